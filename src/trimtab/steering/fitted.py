"""What a fit is given, and what it makes: the same for interventions and judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.fences import Fence, unfenced
from trimtab.core.spec import Component, ModelSpec, Split
from trimtab.core.types import Completion, ContrastPair, Conversation, Rendering, Sample

if TYPE_CHECKING:
    import torch

    from trimtab.engine.engine import Engine

Scores = Callable[[Sequence[tuple[Sample, str]]], Sequence[float | None]]
"""What answers are worth, 1 for a right one; None where it can't be said."""


@dataclass(frozen=True)
class Fitted:
    """What a fit made: ``tensors`` go to a safetensors file, ``info`` to ``artifact.json``."""

    tensors: dict[str, torch.Tensor]
    info: dict[str, Any]


@dataclass(frozen=True)
class ModelAccess:
    """The model of a fit or a judge, loaded when it is first asked for.

    Attributes:
        identity: Hash of weights, tokenizer and template.
        engine: Returns its engine, which others share; its weights never change: what is trained
            are vectors, networks beside it, and adapters.
        spec: Which model; None where it is loaded already.
    """

    identity: str
    engine: Callable[[], Engine]
    spec: ModelSpec | None = None


@dataclass(frozen=True)
class FitData:
    """Data that a fit reads, as it was declared.

    Attributes:
        rows: Pairs, samples or conversations, in a fixed order.
        split: Which split they are of.
        rendering: How their messages become prompts.
        label: What tells them from other inputs of their kind.
    """

    rows: Sequence[ContrastPair | Sample | Conversation]
    split: Split
    rendering: Rendering | None = None
    label: str | None = None

    @property
    def pairs(self) -> list[ContrastPair]:
        """The rows that are contrast pairs."""
        return [row for row in self.rows if isinstance(row, ContrastPair)]

    @property
    def conversations(self) -> list[Conversation]:
        """The rows that are conversations."""
        return [row for row in self.rows if isinstance(row, Conversation)]

    @property
    def samples(self) -> list[Sample]:
        """The rows that are samples."""
        return [row for row in self.rows if isinstance(row, Sample)]


@dataclass(frozen=True)
class ScoredCompletion:
    """A completion that a fit reads.

    Attributes:
        sample: What was asked.
        completion: What was answered.
        reward: The labelling judge's value; None where it could not say.
    """

    sample: Sample
    completion: Completion
    reward: float | None


@dataclass(frozen=True)
class LabelledPrompt:
    """A sample's prompt, the split it is of, and whether a condition holds for it."""

    sample: Sample
    rendering: Rendering
    split: Split
    holds: bool


def _unheard(_: str) -> None:
    """Tell nobody."""


def _no_judge(judge: Component) -> Scores:
    raise AssertionError(f"the fit was given no rule of the judge {judge.name!r}")


@dataclass(frozen=True)
class FitContext:
    """What a fit may use.

    Attributes:
        model: The subject model; None if the fit needs none.
        seed: Seed of everything random in the fit.
        run_seed: The experiment's seed, for what fits of one experiment share.
        note: Told in a line what the user should know of the fit.
        scores_by: Returns the rule by which a judge says what answers are worth.
        data: The declared inputs that are data, by name.
        completions: The declared inputs that are completions of this run, by name.
        made: The declared inputs that other fits made, by name.
        held_out: Samples of the run's test splits, which nothing may be fitted on.
        folder: Where large files of the fit go; None is a temporary place.
        fence: Called before anything is written there; raises HeldError if another worker has
            taken the fit over.
    """

    model: ModelAccess | None
    seed: int
    data: Mapping[str, FitData] = field(default_factory=dict)
    completions: Mapping[str, Sequence[ScoredCompletion]] = field(default_factory=dict)
    made: Mapping[str, Fitted] = field(default_factory=dict)
    held_out: Sequence[Sample] = ()
    folder: Path | None = None
    fence: Fence = unfenced
    run_seed: int = 0
    note: Callable[[str], None] = _unheard
    scores_by: Callable[[Component], Scores] = _no_judge

    @classmethod
    def of_pairs(
        cls,
        engine: Engine,
        pairs: Sequence[ContrastPair],
        rendering: Rendering,
        seed: int,
        *,
        select: Sequence[ContrastPair] = (),
        folder: Path | None = None,
    ) -> FitContext:
        """Return the context of a fit on contrast pairs, for use outside a run."""
        data = {"pairs": FitData(pairs, "fit", rendering)}
        if select:
            data["select_pairs"] = FitData(select, "select", rendering)
        return cls(of_engine(engine), seed, data, folder=folder)

    @property
    def engine(self) -> Engine:
        """The subject model's engine."""
        assert self.model is not None, "the fit was planned without a model"
        return self.model.engine()

    @property
    def pairs(self) -> list[ContrastPair]:
        """The input ``pairs``: contrast pairs of the fit split."""
        return self.data["pairs"].pairs if "pairs" in self.data else []

    @property
    def select(self) -> list[ContrastPair]:
        """The input ``select_pairs``: contrast pairs of the select split."""
        return self.data["select_pairs"].pairs if "select_pairs" in self.data else []

    @property
    def rendering(self) -> Rendering:
        """How the questions of ``pairs`` become prompts."""
        rendering = self.data["pairs"].rendering
        assert rendering is not None
        return rendering

    @property
    def prompts(self) -> list[LabelledPrompt]:
        """The prompts of every input with the label ``holds`` or another."""
        return [
            LabelledPrompt(sample, part.rendering or "chat", part.split, part.label == "holds")
            for part in self.data.values()
            if part.label is not None
            for sample in part.samples
        ]


def of_engine(engine: Engine) -> ModelAccess:
    """Return access to a model that is loaded already."""
    return ModelAccess(engine.identity, lambda: engine)
