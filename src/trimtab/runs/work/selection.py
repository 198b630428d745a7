"""Which units of a run serve some of its judges alone."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.core.plan import FitPlan, JudgePlan
from trimtab.runs.store.run import Run
from trimtab.runs.work.units import FitUnit, ScoreUnit, Unit


def needed_judges(run: Run, keys: Sequence[str]) -> frozenset[str]:
    """Return the keys of judges and of all whose scores they need: members, and who labels."""
    judges = {judge.key: judge for judge in run.judges()}
    found: set[str] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += judges[key].members
            waiting += [other for fit in _fits(run, judges[key]) for other in _labels(fit)]
    return frozenset(found)


def serving(units: Sequence[Unit], run: Run, keys: frozenset[str]) -> list[Unit]:
    """Return the units that generate, or that score for the judges ``keys``, with their fits."""
    fits = {fit.key for j in run.judges() if j.key in keys for fit in _fits(run, j)}
    return [
        unit
        for unit in units
        if unit.kind != "score"
        or (isinstance(unit, ScoreUnit) and unit.judge.key in keys)
        or (isinstance(unit, FitUnit) and unit.plan.key in fits)
    ]


def _fits(run: Run, judge: JudgePlan) -> list[FitPlan]:
    wanted = set(judge.artifacts.values())
    return [fit for fit in run.plan.fits if wanted & set(fit.artifacts.values())]


def _labels(fit: FitPlan) -> list[str]:
    return [judge for ref in fit.completions.values() for judge in ref.judges]
