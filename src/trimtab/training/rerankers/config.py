"""What an energy model is trained on, and how; and what its candidates are answers to. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, model_validator

from trimtab.core.spec import ModelSpec, Spec
from trimtab.core.training import Training
from trimtab.core.types import Sample

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


def problem_of(sample: Sample) -> str:
    """Return what a candidate is an answer to: the bare question, or the last message."""
    question = sample.metadata.get("question")
    return question if isinstance(question, str) else sample.messages[-1].content


def asked_of(sample: Sample) -> str:
    """Return the last message as it was asked, instruction included."""
    return sample.messages[-1].content
