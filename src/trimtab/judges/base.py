"""What every judge offers.

A judge sees the sample and the completion, never the prompt that the intervention made of it: a
trigger or a persona can't reach it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar

from trimtab.core.folder import Folder
from trimtab.core.lazy import lazy
from trimtab.core.needs import Need
from trimtab.core.spec import Component, Endpoint, Metric, ModelSpec, Output, Spec
from trimtab.core.streams import in_order
from trimtab.core.types import Chat, Completion, Continuer, Embedder, Energy, Sample
from trimtab.models.load import ResolvedModel
from trimtab.steering.fitted import FitContext, Fitted, ModelAccess
from trimtab.steering.projections import Asked, Projecting

if TYPE_CHECKING:
    from trimtab.models.nets import embed
else:
    embed = lazy("trimtab.models.nets.embed")

C = TypeVar("C", bound=Spec)
Wants = Literal["none", "chat", "embedder", "fitted"]

Resource = Chat | Continuer | Embedder | Energy | Projecting | Mapping[str, Fitted] | None


@dataclass(frozen=True)
class Item:
    """What a judge is asked to score.

    Attributes:
        sample: The question, as the task has it.
        completion: The answer.
        votes: For a panel, the values that each of its members gave.
        owed: Whether its verdict is wanted. Where it is there already, a judge may need the item
            only to compute the others in the batches of an undisturbed run.
        asked: How the model was asked and what was done to it, for a judge that ``READS_MODEL``;
            None for others, and where the model can't be asked so again.
    """

    sample: Sample
    completion: Completion
    votes: tuple[Mapping[str, float | None], ...] = ()
    owed: bool = True
    asked: Asked | None = None


@dataclass(frozen=True)
class Verdict:
    """A judge's answer to one item: a value or None (unscored) for each of its metrics."""

    values: dict[str, float | None]
    reason: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class LoadContext:
    """What a judge that learns may use before it scores.

    Attributes:
        model: The model it runs on, if any.
        folders: Folder of each artifact that it needs, by name.
        fitted: Returns an artifact as tensors and information.
        held_out: Samples of the run's test splits, which nothing may have been fitted on.
    """

    model: ModelAccess | None
    folders: Mapping[str, Path]
    fitted: Callable[[str], Fitted]
    held_out: Sequence[Sample] = ()


class Judge(ABC, Generic[C]):
    """One judge.

    Attributes:
        VERSION: Part of the judge's key; raise it when scores change their meaning.
        Config: Its configuration.
        output: The kind of completion it scores.
        resource: What it must be handed: nothing, a chat model, a sentence encoder, or what its own
            fit made (see ``needs`` and ``load``).
        MAKES: Names of the artifacts that its ``fit`` makes.
        READS_FORM: Whether it is handed answers with the form that a trigger gives them. Others see
            them without: a tag would tell them the condition.
        READS_MODEL: Whether it measures the model and not the text, and is told how it was asked;
            others are blind to it.
        FIRST_REWARD: The version with which it first gave rewards; keys of what it rewarded hold
            later ones alone.
    """

    VERSION: ClassVar[int] = 1
    Config: type[C]
    output: Output = "text"
    resource: Wants = "none"
    MAKES: ClassVar[tuple[str, ...]] = ("fitted",)
    READS_FORM: ClassVar[bool] = False
    READS_MODEL: ClassVar[bool] = False
    FIRST_REWARD: ClassVar[int] = 1

    def __init__(self, config: C) -> None:
        """Keep ``config``; models are handed to ``score``."""
        self.config = config

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that every verdict holds."""

    @property
    def reward(self) -> Metric | None:
        """The metric that a model can be rewarded with while it learns; None if there is none.

        By default the first one, where it needs no model and lies between 0 and 1, 1 being best.
        """
        alone = self.resource == "none" and not (self.members or self.READS_MODEL or self.needs())
        first = self.metrics[0] if alone and self.output == "text" else None
        if first is None or first.kind == "number" or not first.higher_is_better:
            return None
        return first

    @property
    def model(self) -> ModelSpec | None:
        """The model it wants; None is the subject model with edits off, if it needs one."""
        return None

    def needs(self) -> dict[str, Need]:
        """Return the artifacts that must be fitted before it can score, by name; usually none.

        A judge that learns names itself as the component and ``Labelled`` completions as inputs;
        one that uses what an intervention fits names that, and data.
        """
        return {}

    def fit(self, context: FitContext) -> Fitted | dict[str, Fitted] | None:
        """Make the artifacts that ``MAKES`` names; as ``Intervention.fit``."""
        raise AssertionError(f"{type(self).__name__} has nothing to fit")

    def load(self, context: LoadContext) -> Resource:
        """Return what ``score`` is handed where ``resource`` is ``fitted``: its artifacts."""
        return {name: context.fitted(name) for name in context.folders}

    def encoder(self, resolved: ResolvedModel) -> Embedder:
        """Load the sentence encoder of a judge whose ``resource`` is ``embedder``."""
        return embed.SentenceEncoder(resolved)

    @property
    def on_model(self) -> bool:
        """Whether it wants a model of ours: ``model``, or the subject."""
        return self.resource != "none" and self.endpoint is None

    @property
    def most_written(self) -> int:
        """Most tokens that a model of ours writes about an answer; usually none."""
        return 0

    @property
    def endpoint(self) -> Endpoint | None:
        """The API it wants instead of a model of our own."""
        return None

    @property
    def members(self) -> tuple[Component, ...]:
        """The judges whose votes it counts, if it is a panel; they score before it."""
        return ()

    @property
    def determining(self) -> C:
        """What of ``config`` its scores depend on: all, but for the path of a file, say."""
        return self.config

    @property
    def fingerprint(self) -> dict[str, str]:
        """What else its scores depend on beside ``VERSION``, e.g. the hash of a file."""
        return {}

    @abstractmethod
    def score(self, items: Sequence[Item], resource: Resource) -> Iterator[tuple[int, Verdict]]:
        """Yield the verdict of each owed item with the item's number, as soon as it is known.

        The order is free. An item without an answer is unscored.
        """

    def verdicts(self, items: Sequence[Item], resource: Resource) -> list[Verdict]:
        """Return one verdict per item, in order; all of them are owed.

        Raises:
            JudgeError: The judge gave no verdict on an item.
        """
        return in_order(self.score(items, resource), len(items))

    def missing(self, item: Item) -> str | None:
        """Return why ``item`` has no answer of this judge's output kind; None if it has one."""
        completion = item.completion
        if completion.error is not None or completion.finish_reason == "error":
            return completion.error or "the completion ended in an error"
        if self.output == "text":
            return "the completion has no text" if completion.text is None else None
        return "the completion has no options" if completion.option_logprobs is None else None

    def unscored(self, error: str) -> Verdict:
        """Return the verdict for an item that can't be scored."""
        return Verdict({metric.name: None for metric in self.metrics}, error=error)

    def abstained(self, reason: str) -> Verdict:
        """Return the verdict for an item that has rightly no value: nothing went wrong."""
        return Verdict({metric.name: None for metric in self.metrics}, reason=reason)


class ItemJudge(Judge[C]):
    """A judge that needs no model and looks at one item at a time."""

    def score(self, items: Sequence[Item], resource: Resource) -> Iterator[tuple[int, Verdict]]:
        """Yield ``verdict`` of each owed item; one without an answer is unscored."""
        for number, item in enumerate(items):
            if item.owed:
                missing = self.missing(item)
                yield number, self.verdict(item) if missing is None else self.unscored(missing)

    @abstractmethod
    def verdict(self, item: Item) -> Verdict:
        """Return the verdict on an item that has an answer of this judge's output kind."""


JUDGES: Folder[Judge[Spec]] = Folder("judges", "judge")
