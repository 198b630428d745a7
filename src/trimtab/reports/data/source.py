"""What a report needs of a run: its plan and its records. ``runs.store.Run`` has these members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trimtab.core.plan import JudgePlan, Plan
from trimtab.core.report import Spend, Stage, Usage
from trimtab.core.types import Completion, Sample, Score

RowKey = tuple[str, str, int]  # cell, sample, index: as in Completion.key


class PlanSource(Protocol):
    """What is to be done, and what is known of what was fitted for it."""

    @property
    def plan(self) -> Plan:
        """The plan that the run follows."""
        ...

    def artifact_info(self, key: str, /) -> Mapping[str, Any] | None:
        """Return what is known of a fitted artifact; None while it is owed."""
        ...


class RunSource(PlanSource, Protocol):
    """The records of one run, read-only; a record that does not exist is left out."""

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

    @property
    def strengths(self) -> Mapping[str, Mapping[str, float]]:
        """Each cell's strength as ``raw``, ``unit`` and ``relative``, by cell key."""
        ...

    def judges(self) -> Sequence[JudgePlan]:
        """Return the judges whose scores belong to the run."""
        ...

    @property
    def judge_checks(self) -> Sequence[Mapping[str, Any]]:
        """What checks against human labels found, one entry per judge and metric."""
        ...


@dataclass(frozen=True)
class Making:
    """How a run's records were made; nothing that a result depends on.

    Attributes:
        usage: What each phase took.
        spending: What each judge spent on APIs.
        stages: Code and machine of each phase.
    """

    usage: Sequence[Usage] = ()
    spending: Sequence[Spend] = ()
    stages: Sequence[Stage] = ()
