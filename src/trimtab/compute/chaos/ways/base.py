"""What a way to start workers offers to faults."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar


class Work(ABC):
    """Workers of one run that were started together."""

    pause_s: ClassVar[float] = 0.001
    """How long to wait before asking again whether they run."""

    @abstractmethod
    def runs(self) -> bool:
        """Return whether some may still work, or wait to begin."""

    @abstractmethod
    def kill(self, rng: random.Random) -> bool:
        """SIGKILL a worker; return whether one was hit."""

    @abstractmethod
    def preempt(self, rng: random.Random) -> bool:
        """Have a worker told to end as a scheduler tells it; return whether one was hit."""

    @abstractmethod
    def wait(self, *, disturbed: bool) -> list[str]:
        """Wait for the end; return what is wrong with it.

        Args:
            disturbed: Whether something was done to it after which it may leave work undone.
        """


class Way(ABC):
    """A way to start workers.

    Attributes:
        unplayable: Faults that can't be played so, each with the reason.
    """

    unplayable: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @abstractmethod
    def start(self, run: Path, *, limit: int | None = None) -> Work:
        """Start workers.

        Args:
            run: A run that is planned.
            limit: Most bytes of a file that they may write.
        """

    def start_twice(self, run: Path) -> tuple[Work, Work]:
        """Start workers of one run twice, as by mistake."""
        return self.start(run), self.start(run)

    @abstractmethod
    def finish(self, run: Path) -> list[str]:
        """Go on with a run to its end, undisturbed; return what is wrong with that."""

    @abstractmethod
    def left(self, run: Path) -> int | None:
        """Return how many processes or jobs live still, after a moment; None if nothing tells."""

    @abstractmethod
    def end(self, run: Path) -> None:
        """End at once all that was started on a run."""
