"""A model trained to tell right candidates from wrong ones: the lower its energy, the better.

It is fitted in the score phase, on completions of the fit split and another judge's labels of them;
see ``runs.energy``. Nothing is loaded or trained here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, model_validator

from trimtab.core.errors import ConfigError, JudgeError
from trimtab.core.keys import file_sha256
from trimtab.core.spec import Metric, ModelSpec, Spec
from trimtab.core.training import Training
from trimtab.core.types import Energy, Sample
from trimtab.judges.base import Item, Judge, Resource, Verdict

__all__ = ["EnergyJudge"]

Kind = Literal["encoder", "head", "lora", "length", "format", "uncertainty"]
Ablation = Literal["none", "question_removed", "question_shuffled", "answer_permuted"]

_OWN_KEYS: dict[str, tuple[Kind, ...]] = {
    "size": ("encoder",),
    "loops": ("encoder",),
    "positions": ("encoder",),
    "layers": ("head",),
    "rank": ("lora",),
    "model": ("head", "lora", "uncertainty"),
}
# What a kind without a fit can be given.
_UNFITTED_KEYS = ("kind", "model")


class EnergyConfig(Spec):
    """What is trained, on what, and how.

    Attributes:
        kind: ``encoder`` is a small transformer of its own; ``head`` a small network on the
            model's hidden states; ``lora`` a LoRA verifier on the model. ``length`` and ``format``
            see only how long a candidate is, or which marks it holds: what a real reranker must
            beat. ``uncertainty`` is minus the model's self-certainty, and is not fitted.
        size: Of the encoder: ``small`` for a CPU, ``ouroboros`` as published.
        loops: Times the encoder's blocks are applied, with the same weights.
        positions: Without, the encoder sees a bag of tokens: an ablation.
        layers: 0-based blocks that a head is tried on; the select split chooses. None named: at a
            quarter, the half and three quarters of the depth, and the last.
        rank: Of the verifier's LoRA.
        model: Language model of a head or verifier; None is the experiment's own.
        loss: ``pairs`` is group Bradley-Terry, ``listwise`` a softmax over candidates, ``mse`` the
            squared distance to 0 and 1.
        candidates: ``samples`` are completions of the fit split with their labels; ``synthetic``
            are gold solutions with a corrupted final number: how a published reranker was trained
            that then failed on samples.
        most: Right and wrong candidates of a problem per update, drawn anew each time; None is all,
            for a verifier one of each.
        mining: Wrong candidates per problem in a second round, the most convincing ones; 0 is no
            second round. It is kept only if it ranks the select split better.
        overlaps: What happens to problems that share 13 words in a row with one of the test split,
            and to fit problems that do with one of the select split.
        training: Steps and rates; None is the kind's own.
        trained: Folder of an energy model that was fitted before; nothing is fitted then.
        ablation: What is done to pairs when they are scored; the same fit serves all.
    """

    kind: Kind = "encoder"
    size: Literal["small", "ouroboros"] = "small"
    loops: PositiveInt = 1
    positions: bool = True
    layers: tuple[NonNegativeInt, ...] = ()
    rank: PositiveInt = 8
    model: ModelSpec | None = None
    loss: Literal["pairs", "listwise", "mse"] = "pairs"
    candidates: Literal["samples", "synthetic"] = "samples"
    most: PositiveInt | None = None
    mining: NonNegativeInt = 0
    overlaps: Literal["drop", "keep"] = "drop"
    training: Training | None = None
    trained: str | None = None
    ablation: Ablation = "none"

    @model_validator(mode="after")
    def _check_kind(self) -> EnergyConfig:
        given = self.model_dump(exclude_defaults=True)
        for key, kinds in _OWN_KEYS.items():
            if key in given and self.kind not in kinds:
                raise ValueError(f"{key!r} is for kind {' or '.join(kinds)}, not {self.kind}")
        idle = [key for key in given if key not in _UNFITTED_KEYS]
        if self.kind == "uncertainty" and idle:
            raise ValueError(f"{idle[0]!r} is for kinds that are fitted, not {self.kind}")
        return self

    @property
    def on_model(self) -> bool:
        """Whether a language model takes part."""
        return self.kind in ("head", "lora", "uncertainty")

    def fitted_as(self) -> EnergyConfig:
        """Return what determines the fit: ablations of one energy share it."""
        return self.model_copy(update={"ablation": "none", "trained": None})


class EnergyJudge(Judge[EnergyConfig]):
    """The energy of a completion as an answer to its sample's question."""

    Config = EnergyConfig
    need = "energy"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """One number, lower is better, named after what it is not shown."""
        config = self.config
        hidden = "" if config.ablation == "none" else f"_{config.ablation}"
        only = f"_{config.kind}_only" if config.kind in ("length", "format") else ""
        name = "uncertainty" if config.kind == "uncertainty" else "energy"
        return (
            Metric(
                name=f"{name}{only}{hidden}",
                kind="number",
                role="ablation" if hidden or only else "ranking",
                higher_is_better=False,
            ),
        )

    @property
    def fit_config(self) -> EnergyConfig | None:
        """What determines the fit; None if nothing is fitted, or was before."""
        unfitted = self.config.trained is not None or self.config.kind == "uncertainty"
        return None if unfitted else self.config.fitted_as()

    @property
    def on_model(self) -> bool:
        """Whether it runs on a language model."""
        return self.config.on_model

    @property
    def model(self) -> ModelSpec | None:
        """The language model of a head or verifier; None is the subject."""
        return self.config.model

    @property
    def fingerprint(self) -> dict[str, str]:
        """The weights of an energy model that was fitted before."""
        if self.config.trained is None:
            return {}
        path = Path(self.config.trained) / "model.safetensors"
        if not path.is_file():
            raise ConfigError(
                f"judge 'energy': trained = {self.config.trained!r} holds no model.safetensors.",
                hint="Name the folder artifacts/energy-... of a run.",
            )
        return {"model": file_sha256(path)}

    def score(self, items: Sequence[Item], resource: Resource) -> list[Verdict]:
        """Score all items in batches; one without a text is unscored.

        Raises:
            JudgeError: ``resource`` is no energy model, or gives the wrong number of energies.
        """
        if not isinstance(resource, Energy):
            raise JudgeError("The judge 'energy' was given no energy model.")
        missing = [self.missing(item) for item in items]
        # What a model was sure of, it was sure of after the whole prompt.
        problem = asked_of if self.config.kind == "uncertainty" else problem_of
        asked = [
            (problem(item.sample), item.completion.text or "")
            for item, error in zip(items, missing, strict=True)
            if error is None
        ]
        values = resource.energies(asked) if asked else []
        if len(values) != len(asked):
            raise JudgeError(f"{resource.identity} gave {len(values)} of {len(asked)} energies.")
        left = iter(values)
        (metric,) = self.metrics
        return [
            Verdict({metric.name: next(left)}) if error is None else self.unscored(error)
            for error in missing
        ]


def problem_of(sample: Sample) -> str:
    """Return what a candidate is an answer to: the bare question, or the last message."""
    question = sample.metadata.get("question")
    return question if isinstance(question, str) else sample.messages[-1].content


def asked_of(sample: Sample) -> str:
    """Return the last message as it was asked, instruction included."""
    return sample.messages[-1].content
