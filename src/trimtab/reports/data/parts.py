"""Part of a run's plan, with the records of that part: results, or what a choice was made by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trimtab.core.plan import Cell, JudgePlan, Plan
from trimtab.core.spec import Purpose
from trimtab.core.types import Completion, Sample, Score
from trimtab.reports.data.source import RowKey, RunSource


class PartOfRun:
    """A run as if its plan held only some of its cells; everything else is as it is."""

    def __init__(self, run: RunSource, shown: Callable[[Cell], Cell | None]) -> None:
        """Take what ``shown`` makes of each cell, and leave out those of which it makes None."""
        self._run = run
        self._shown = shown

    @property
    def plan(self) -> Plan:
        """The plan with the cells of this part."""
        plan = self._run.plan
        parts = [
            part.model_copy(
                update={"cells": tuple(filter(None, map(self._shown, part.cells)))},
            )
            for part in plan.fragments
        ]
        return plan.model_copy(update={"fragments": tuple(parts)})

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved configuration of the experiment."""
        return self._run.config

    @property
    def strengths(self) -> Mapping[str, Mapping[str, float]]:
        """Each cell's strength in every unit, by cell key."""
        return self._run.strengths

    @property
    def judge_checks(self) -> Sequence[Mapping[str, Any]]:
        """What checks against human labels found."""
        return self._run.judge_checks

    def samples(self, key: str) -> Mapping[str, Sample]:
        """Return a sample set by id."""
        return self._run.samples(key)

    def completions(self, cell: str) -> Mapping[RowKey, Completion]:
        """Return the completions of a cell."""
        return self._run.completions(cell)

    def scores(self, judge: str, cell: str) -> Mapping[RowKey, Score]:
        """Return a judge's scores of a cell."""
        return self._run.scores(judge, cell)

    def judges(self) -> Sequence[JudgePlan]:
        """Return the judges whose scores belong to the run."""
        return self._run.judges()

    def artifact_info(self, key: str) -> Mapping[str, Any] | None:
        """Return what is known of a fitted artifact."""
        return self._run.artifact_info(key)


def part_of(run: RunSource, purpose: Purpose) -> RunSource:
    """Return a run with the cells of one purpose; the run itself if all are of that."""
    if all(cell.purpose == purpose for cell in run.plan.cells):
        return run
    return PartOfRun(run, lambda cell: cell if cell.purpose == purpose else None)
