"""What learned steering gained over the constant vector that it started from, on the select split.

Training was stopped by the same split, so its gain there is an upper bound of what to expect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.reports.data.source import RunSource
from trimtab.reports.data.statistics import SIGNIFICANCE, compare, seed_for
from trimtab.reports.draw.format import DASH, number, p_value, with_interval
from trimtab.reports.draw.tables import Table

_UNITS = {"mc": "hinge", "gen": "NLL per token"}
_REFERENCES = ("constant", "none", "random", "shuffled")
_NATS = {"kind": "number"}


def summarise_learned(run: RunSource) -> list[dict[str, Any]]:
    """Return one entry per network that was fitted, in plan order.

    Each has the mean loss (nats) over the select split's questions without a vector (``none``),
    with the ``constant`` vector, a ``random`` one and the ``learned`` one, and, if the network
    reads prompts, with ``shuffled`` ones; and the paired differences of ``learned`` to each.
    """
    found = []
    for artifact in run.plan.artifacts:
        learned = (run.artifact_info(artifact.key) or {}).get("learned")
        if learned is None:
            continue
        names = [
            cell.condition
            for cell in run.plan.cells
            if cell.artifact == artifact.key and cell.role == "treatment"
        ]
        name = ", ".join(dict.fromkeys(names)) or artifact.component.name
        found.append(_entry(name, artifact.key, learned, run.plan.seed))
    return found


def _entry(name: str, key: str, learned: Mapping[str, Any], seed: int) -> dict[str, Any]:
    select = learned["select"]
    losses = {
        kind: dict(zip(select["items"], values, strict=True))
        for kind, values in select["losses"].items()
    }
    clusters = dict(zip(select["items"], select["questions"], strict=True))
    kept = (
        "mode", "input", "trained_at", "unit", "margin", "parameters", "fit_questions", "updates",
        "ended_by", "best_update", "history",
    )  # fmt: skip
    return {
        "learned": name,
        "key": key,
        **{what: learned[what] for what in kept},
        "questions": len(set(select["questions"])),
        "means": {kind: sum(some.values()) / len(some) for kind, some in losses.items()},
        "differences": {
            kind: compare(
                losses["learned"], losses[kind], clusters, seed_for(seed, "learned", key, kind)
            )
            for kind in _REFERENCES
            if kind in losses
        },
    }


def learned_table(summary: dict[str, Any]) -> Table:
    """Return each network's loss on the select split beside the constant vector's."""
    rows = []
    for found in summary["learned"]:
        means, constant = found["means"], found["differences"]["constant"]
        shown = (means.get(kind) for kind in ("none", "random", "shuffled", "constant", "learned"))
        rows.append(
            (
                found["learned"],
                _UNITS[found["mode"]],
                str(found["questions"]),
                *(number(value, percent=False) for value in shown),
                with_interval(constant["difference"], constant["interval"], _NATS, sign=True),
                p_value(constant["p"]),
                f"{found['best_update']} of {found['updates']}",
                _verdict(found),
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
    told = " ".join(_sentence(found) for found in summary["learned"])
    title = "Learned steering: loss on the select split"
    return Table("learned", title, (*columns, *more), tuple(rows), note + told)


def _verdict(found: Mapping[str, Any]) -> str:
    if found["best_update"] == 0:
        return "not lower: no update improved on the constant vector"
    constant = found["differences"]["constant"]
    if constant["p"] is None or constant["interval"] is None:
        return "too few questions to say"
    low, high = constant["interval"]
    if high < 0 and constant["p"] < SIGNIFICANCE:
        return "lower"
    if low > 0 and constant["p"] < SIGNIFICANCE:
        return "higher"
    return "not lower: no difference found"


def _sentence(found: Mapping[str, Any]) -> str:
    """Return in plain words whether training helped and, if it reads prompts, if they matter."""
    verdict = _verdict(found)
    helped = "did" if verdict == "lower" else "did not demonstrably"
    loss = _UNITS[found["mode"]]
    text = f"{found['learned']}: training {helped} lower the {loss} of the constant vector"
    shuffled = found["differences"].get("shuffled")
    if shuffled is None:
        return text + "."
    shown = with_interval(shuffled["difference"], shuffled["interval"], _NATS, sign=True)
    return f"{text}; against its vectors with shuffled prompts the difference is {shown}."
