"""What a report needs of a run: its plan and its records. ``runs.store.Run`` has these members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from trimtab.core.spec import JudgePlan, Plan
from trimtab.core.types import Completion, Sample, Score

RowKey = tuple[str, str, int]  # cell, sample, index: as in Completion.key


class GateLike(Protocol):
    """One honesty check; ``runs.gates.Gate`` is one."""

    @property
    def name(self) -> str:
        """What was checked."""
        ...

    @property
    def status(self) -> str:
        """How it ended: pass, warn or fail."""
        ...

    @property
    def detail(self) -> str:
        """The figures behind it."""
        ...


class LoadLike(Protocol):
    """What one phase cost; ``runs.load.PhaseLoad`` is one, and says what each number is."""

    @property
    def attempt(self) -> int:
        """Number of the attempt."""
        ...

    @property
    def phase(self) -> str:
        """Name of the phase."""
        ...

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        ...

    @property
    def seconds(self) -> float:
        """Wall time."""
        ...

    @property
    def rows(self) -> int:
        """Rows written."""
        ...

    @property
    def tokens_per_second(self) -> float | None:
        """Speed."""
        ...

    @property
    def threads(self) -> int | None:
        """Threads of the models."""
        ...

    @property
    def other_load(self) -> float | None:
        """Cores that other processes kept busy."""
        ...

    @property
    def disturbed(self) -> bool:
        """Whether that was too much for the time to say anything."""
        ...

    @property
    def peak_memory_mib(self) -> float | None:
        """Most resident memory so far."""
        ...

    @property
    def device(self) -> str | None:
        """Where models ran."""
        ...

    @property
    def dtype(self) -> str | None:
        """Their number formats."""
        ...


class SpendLike(Protocol):
    """What one judge spent on an API; ``clients.budget.Account`` is one."""

    @property
    def name(self) -> str:
        """The judge's key."""
        ...

    @property
    def requests(self) -> int:
        """Requests that money was set aside for."""
        ...

    @property
    def replies(self) -> int:
        """How many of them brought a reply that is kept."""
        ...

    @property
    def dollars(self) -> float:
        """What they cost, with what may have been billed."""
        ...

    @property
    def unsure(self) -> float:
        """The part of it that no provider confirmed, in dollars."""
        ...

    @property
    def cap(self) -> float | None:
        """Most that may be spent, in dollars."""
        ...


class StageLike(Protocol):
    """A phase under one state of code and machine; ``runs.stages.Stage`` is one."""

    @property
    def phase(self) -> str:
        """Name of the phase."""
        ...

    @property
    def attempts(self) -> Sequence[int]:
        """Numbers of the attempts that did it."""
        ...

    @property
    def state(self) -> Mapping[str, Any]:
        """Code, packages, machine and environment, as the manifest has them."""
        ...


class RunSource(Protocol):
    """The records of one run, read-only; a record that does not exist is left out."""

    @property
    def plan(self) -> Plan:
        """The plan that the run follows."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved configuration of the experiment."""
        ...

    def samples(self, key: str) -> Mapping[str, Sample]:
        """Return a sample set by id, in its stored order."""
        ...

    def completions(self, cell: str) -> Mapping[RowKey, Completion]:
        """Return the completions of the cell with this key, by (cell, sample, index)."""
        ...

    def scores(self, judge: str, cell: str) -> Mapping[RowKey, Score]:
        """Return a judge's scores of a cell, by (cell, sample, index)."""
        ...

    def artifact_info(self, key: str) -> Mapping[str, Any] | None:
        """Return what is known of a fitted artifact; None while it is owed."""
        ...

    @property
    def doses(self) -> Mapping[str, Mapping[str, float]]:
        """Each cell's strength as ``raw``, ``unit`` and ``relative``, by cell key."""
        ...

    def judges(self) -> Sequence[JudgePlan]:
        """Return the judges whose scores belong to the run."""
        ...

    @property
    def judge_checks(self) -> Sequence[Mapping[str, Any]]:
        """What checks against human labels found, one entry per judge and metric."""
        ...
