"""What learned steering gained over the constant vector that it started from, on the select split.

Training was stopped by the same split, so its gain there is an upper bound of what to expect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.reports.data.content import Content
from trimtab.reports.data.fits import fitted_artifacts
from trimtab.reports.data.numbers import Comparison
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import SIGNIFICANCE, compare, seed_for
from trimtab.reports.draw.format import DASH, with_interval
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Value, changed, probability
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Learned"]

_LOSSES = {"mc": "hinge", "gen": "NLL per token"}
_REFERENCES = ("constant", "none", "random", "shuffled")
_SHOWN = ("none", "random", "shuffled", "constant", "learned")


class Network(Content):
    """One network that was fitted.

    Attributes:
        learned: The treatments that use it, or its intervention.
        key: Key of the artifact.
        mode: ``mc`` or ``gen``: which loss.
        input: What the network reads.
        trained_at: Length of its vectors in training, in ``unit``.
        unit: Unit of that length.
        margin: Of the hinge; None without one.
        parameters: How many it has.
        fit_questions: Questions that it learned from.
        updates: Updates that were made.
        ended_by: What ended the training.
        best_update: The update that was kept.
        history: The looks at the losses during training.
        questions: Questions of the select split.
        means: Mean loss in nats of each kind of vector.
        differences: Paired differences of ``learned`` to each other kind.
    """

    learned: str
    key: str
    mode: str
    input: str
    trained_at: float
    unit: str
    margin: float | None
    parameters: int
    fit_questions: int
    updates: int
    ended_by: str
    best_update: int
    history: tuple[dict[str, float | int | None], ...]
    questions: int
    means: dict[str, float]
    differences: dict[str, Comparison | None]


class LearnedContent(Content):
    """Every network in plan order."""

    networks: tuple[Network, ...]


class Learned(Section[NoConfig, LearnedContent]):
    """Loss of each network on the select split, beside constant, random and shuffled vectors."""

    Config = NoConfig
    order = 80

    def read(self, run: RunData) -> LearnedContent | None:
        """Return the networks that were fitted; None without any."""
        networks = []
        for fit, key in fitted_artifacts(run.plan):
            info = (run.source.artifact_info(key) or {}).get("learned")
            if info is None:
                continue
            treatments = [
                cell.condition
                for cell in run.plan.cells
                if key in cell.artifacts.values() and cell.role == "treatment"
            ]
            name = ", ".join(dict.fromkeys(treatments)) or fit.component.name
            networks.append(_network(name, key, info, run.plan.seed))
        return LearnedContent(networks=tuple(networks)) if networks else None

    def tables(self, view: View[LearnedContent]) -> Sequence[Table]:
        """Return each network's loss on the select split beside the constant vector's."""
        return [learned_table(view.content)]


def _network(name: str, key: str, info: Mapping[str, Any], seed: int) -> Network:
    select = info["select"]
    losses = {
        kind: dict(zip(select["items"], values, strict=True))
        for kind, values in select["losses"].items()
    }
    clusters = dict(zip(select["items"], select["questions"], strict=True))
    differences = {
        kind: compare(
            losses["learned"], losses[kind], clusters, seed_for(seed, "learned", key, kind)
        )
        for kind in _REFERENCES
        if kind in losses
    }
    return Network.pick(
        info,
        learned=name,
        key=key,
        questions=len(set(select["questions"])),
        means={kind: sum(some.values()) / len(some) for kind, some in losses.items()},
        differences=differences,
    )


def learned_table(content: LearnedContent) -> Table:
    """Return a row per network, and in the note a sentence on each."""
    rows: list[tuple[Cell, ...]] = []
    for network in content.networks:
        constant = network.differences["constant"]
        assert constant is not None, "both were measured on the same questions"
        rows.append(
            (
                *(network.learned, _LOSSES[network.mode], network.questions),
                *(Value(network.means.get(kind)) for kind in _SHOWN),
                changed(constant, "number"),
                probability(constant.p),
                f"{network.best_update} of {network.updates}",
                _verdict(network),
            )
        )
    columns = ("learned", "loss", "questions", "no vector", "random", "shuffled prompts")
    more = ("constant vector", "learned vector", "Δ", "p", "best update", "verdict")
    note = (
        "Mean loss in nats over the questions of the select split, lower is better; all vectors "
        "have the length that the network was trained at. "
        "Δ: learned minus constant vector, paired by question, with a 95 % interval, not corrected "
        "for several networks. Training stopped by these questions, so Δ flatters it; the effects "
        f"above are of the test split. {DASH} is a control that does not apply. "
    )
    sentences = " ".join(_sentence(network) for network in content.networks)
    title = "Learned steering: loss on the select split"
    return Table("learned", title, (*columns, *more), tuple(rows), note + sentences)


def _verdict(network: Network) -> str:
    if network.best_update == 0:
        return "not lower: no update improved on the constant vector"
    constant = network.differences["constant"]
    if constant is None or constant.p is None or constant.interval is None:
        return "too few questions to say"
    low, high = constant.interval
    if high < 0 and constant.p < SIGNIFICANCE:
        return "lower"
    if low > 0 and constant.p < SIGNIFICANCE:
        return "higher"
    return "not lower: no difference found"


def _sentence(network: Network) -> str:
    """Return in plain words whether training helped and, if it reads prompts, if they matter."""
    helped = "did" if _verdict(network) == "lower" else "did not demonstrably"
    loss = _LOSSES[network.mode]
    text = f"{network.learned}: training {helped} lower the {loss} of the constant vector"
    shuffled = network.differences.get("shuffled")
    if shuffled is None:
        return text + "."
    change = with_interval(shuffled.difference, shuffled.interval, "number", sign=True)
    return f"{text}; against its vectors with shuffled prompts the difference is {change}."
