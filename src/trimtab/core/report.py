"""What a run tells its report beside the results: checks, usage, spending, stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from trimtab.core.types import Record

Status = Literal["pass", "warn", "fail"]
# Cores that other processes may keep busy before a time says little.
_DISTURBED_CORES = 0.5


@dataclass(frozen=True)
class Check:
    """One honesty check.

    Attributes:
        name: What is checked.
        status: How it ended.
        detail: The figures behind it.
    """

    name: str
    status: Status
    detail: str


class Usage(Record):
    """What one phase of one attempt cost.

    Attributes:
        attempt: Which one.
        phase: ``fit``, ``generate`` or ``score`` with the judge's name.
        finished: Whether it came to its end.
        seconds: Wall time, loading of models included.
        rows: Artifacts, completions or scores that were written.
        tokens: Tokens of those rows: written ones, or prompts' where options were scored.
        threads: Threads that models computed with; None if no model ran.
        other_load: Cores that other processes kept busy on average; None if unknown.
        peak_memory_mib: Most resident memory of the process since its start, or of one of its
            workers, whose memory has the weights in it as well; None if unknown.
        device: Where models ran; None if none did.
        dtype: Their number formats.
    """

    attempt: int
    phase: str
    finished: bool
    seconds: float
    rows: int
    tokens: int
    threads: int | None
    other_load: float | None
    peak_memory_mib: float | None
    device: str | None
    dtype: str | None

    @property
    def tokens_per_second(self) -> float | None:
        """Speed; None for a phase without tokens."""
        return self.tokens / self.seconds if self.tokens and self.seconds > 0 else None

    @property
    def disturbed(self) -> bool:
        """Whether other processes were so busy that the times say little."""
        return self.other_load is not None and self.other_load > _DISTURBED_CORES


@dataclass(frozen=True)
class Spend:
    """What one judge spent on an API.

    Attributes:
        name: A judge's key.
        requests: Requests that money was set aside for, repetitions among them.
        replies: How many of them brought a reply that is kept.
        dollars: What they cost, with what may have been billed.
        unsure: The part of ``dollars`` that was set aside and never confirmed.
        cap: Most that the account may spend, in dollars; None if only the run has a cap.
    """

    name: str
    requests: int
    replies: int
    dollars: float
    unsure: float
    cap: float | None


@dataclass(frozen=True)
class Stage:
    """A phase as it was done under one state.

    Attributes:
        phase: ``fit``, ``generate``, ``score`` or ``report``.
        attempts: Numbers of the attempts that did it; none for the report that is being written.
        state: What ``manifest.collect`` found; of a report the code alone, which is all that its
            numbers depend on.
    """

    phase: str
    attempts: tuple[int, ...]
    state: dict[str, Any]

    @property
    def name(self) -> str:
        """The phase with its attempts, e.g. ``generate (attempts 1 and 3)``."""
        if not self.attempts:
            return self.phase
        word = "attempt" if len(self.attempts) == 1 else "attempts"
        return f"{self.phase} ({word} {' and '.join(map(str, self.attempts))})"
