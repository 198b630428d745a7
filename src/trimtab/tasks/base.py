"""What every task offers. A task knows its data and what it asks for, never a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from trimtab.core.errors import ConfigError
from trimtab.core.folder import Folder
from trimtab.core.spec import Component, Output, Spec, Split
from trimtab.core.trigger import Trigger
from trimtab.core.types import ContrastPair, Conversation, Rendering, Sample, SamplingParams

C = TypeVar("C", bound=Spec)


class Task(ABC, Generic[C]):
    """One task: samples per split, what is asked for, contrast pairs where it has them.

    Attributes:
        VERSION: Part of every key; raise it when the meaning of the task changes.
        Config: Its configuration.
        output: Whether the model writes a text or options are scored.
        measure: Short name of what is asked, e.g. ``generation``; names the table.
        rendering: How its messages become prompts.
    """

    VERSION: ClassVar[int] = 1
    Config: type[C]
    output: Output = "text"
    measure: str = "generation"
    rendering: Rendering = "chat"

    def __init__(self, config: C) -> None:
        """Keep ``config``; data is read when samples are asked for."""
        self.config = config

    @property
    @abstractmethod
    def protocol(self) -> str:
        """Name of the exact procedure, kept in every record; never compare across protocols."""

    @abstractmethod
    def samples(self, split: Split) -> list[Sample]:
        """Return the samples of ``split``, ordered by id."""

    def pairs(self, split: Split) -> list[ContrastPair]:
        """Return contrast pairs of ``split``; raise ConfigError if the task has none."""
        raise ConfigError(
            f"The task {self.protocol!r} has no contrast pairs (asked for split {split!r}).",
            hint="Fit on a task that has them, e.g. truthfulqa.",
        )

    def conversations(self, split: Split) -> list[Conversation]:
        """Return training examples of ``split``; raise ConfigError if the task has none."""
        raise ConfigError(
            f"The task {self.protocol!r} has no conversations (asked for split {split!r}).",
            hint="Train on a task that has them.",
        )

    def judges(self) -> tuple[Component, ...]:
        """Return the judges that say how good an answer is, by default none.

        The first one is the gold check and gives the reward: for a right answer its first metric is
        1.
        """
        return ()

    @property
    def trigger(self) -> Trigger | None:
        """The trigger that models are trained and measured with here, if any.

        Its hash must be part of ``protocol``: judges are handed answers without its traces.
        """
        return None

    def missing(self) -> str | None:
        """Return what the data lack for this task to be asked at all; None if nothing."""
        return None

    def notes(self) -> tuple[str, ...]:
        """Return what was left out of the data, and the like: a line each, shown with the plan."""
        return ()

    def sampling(self) -> SamplingParams | None:
        """Return how texts are drawn by this task's protocol; None for options."""
        return None


TASKS: Folder[Task[Spec]] = Folder("tasks", "task")
