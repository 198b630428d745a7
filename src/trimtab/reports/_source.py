"""What a report needs of a run: its plan and its records. ``runs.store.Run`` has these members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from trimtab.core.spec import JudgePlan, Plan
from trimtab.core.types import Completion, Sample, Score


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

    def samples(self, key: str) -> Sequence[Sample]:
        """Return the samples of a sample set."""
        ...

    def completions(self, cell_key: str) -> Sequence[Completion]:
        """Return the completions of a cell, without duplicates."""
        ...

    def scores(self, judge_key: str, cell_key: str) -> Sequence[Score]:
        """Return one judge's scores of a cell, without duplicates."""
        ...

    def judges(self) -> Sequence[JudgePlan]:
        """Return the judges whose scores belong to the run."""
        ...
