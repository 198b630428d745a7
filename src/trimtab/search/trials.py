"""What became of each trial, read from the plan and the records of a run.

A trial is a cell per rung, whose coordinates hold its number, its batch, its rung and its
parameters. Nothing else is kept of a search: whoever reads the records sees the same study.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal, Protocol

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.plan import Cell, JudgePlan, Plan
from trimtab.core.presence import RowKey
from trimtab.core.spec import Component, Metric
from trimtab.core.types import Completion, Sample, Score
from trimtab.search.settings import PERPLEXITY_RATIO, SearchSettings
from trimtab.search.space import Params

State = Literal["running", "complete", "pruned", "failed"]
BASELINE, PROMPT = 0, 1
"""Numbers of the trials that nobody asked for: the model as it is, and the prompt condition."""

SELECT, CONFIRM, HELDOUT = "select", "confirm", "held-out text"
"""Measures of a search; those of rungs are ``select 1``, ``select 2``, ..."""

OWN, CORRECT = "own solutions", "correct"
"""Measure of the solutions that contrast pairs are made of, and the metric that says which are
right."""

_PLACES = ("trial", "batch", "rung")
_NLL = "nll_per_token"


class Records(Protocol):
    """What is read of a run."""

    @property
    def plan(self) -> Plan:
        """The plan with all fragments that are there."""
        ...

    def samples(self, key: str) -> Mapping[str, Sample]:
        """Return a sample set by id."""
        ...

    def completions(self, cell: str) -> Mapping[RowKey, Completion]:
        """Return the completions of a cell."""
        ...

    def scores(self, judge: str, cell: str) -> Mapping[RowKey, Score]:
        """Return a judge's scores of a cell."""
        ...

    def judges(self) -> Sequence[JudgePlan]:
        """Return the judges of the run."""
        ...


@dataclass(frozen=True)
class Scored:
    """A metric, and the judge that gives it."""

    judge: JudgePlan
    metric: Metric

    @property
    def sign(self) -> int:
        """1 where more is better, else -1."""
        return -1 if self.metric.higher_is_better is False else 1


@dataclass(frozen=True)
class Trial:
    """One configuration and what is known of it.

    Attributes:
        number: From 0, in the order in which they were asked for.
        batch: Trials of one batch are evaluated together.
        component: The intervention.
        params: What the sampler chose; empty of the baseline and the prompt.
        rungs: The objective of each problem, by its id, for each rung that was evaluated whole.
        planned: How many rungs are planned.
        state: ``complete`` has passed every rung; ``pruned`` ended before.
        error: Why it failed.
        means: Means of the other metrics that the search looks at.
        unchanged: Whether every answer is the baseline's, word for word.
    """

    number: int
    batch: int
    component: Component
    params: Params
    rungs: tuple[Mapping[str, float], ...]
    planned: int
    state: State
    error: str | None = None
    means: Mapping[str, float] = field(default_factory=dict)
    unchanged: bool = False

    @property
    def values(self) -> dict[str, float]:
        """The objective of each problem that was scored."""
        return {sample: value for rung in self.rungs for sample, value in rung.items()}

    @property
    def value(self) -> float | None:
        """The mean objective; None where no problem was scored."""
        return fmean(self.values.values()) if self.values else None

    def violation(self, settings: SearchSettings) -> dict[str, float]:
        """Return how far it is beyond each constraint, by metric; 0 and less is within."""
        return {
            constraint.metric: self.means[constraint.metric] - constraint.at_most
            for constraint in settings.constraints
            if constraint.metric in self.means
        }

    def is_feasible(self, settings: SearchSettings) -> bool:
        """Return whether it is known to keep to every constraint."""
        beyond = self.violation(settings)
        return len(beyond) == len(settings.constraints) and all(v <= 0 for v in beyond.values())


def objectives(trial: Trial, settings: SearchSettings) -> list[float] | None:
    """Return the values of a trial's objectives; None if one is missing."""
    second = [] if settings.second is None else [trial.means.get(settings.second)]
    values = [trial.value, *second]
    return None if None in values else [value for value in values if value is not None]


def rung_measure(rung: int) -> str:
    """Return the measure of a rung, counted from 0."""
    return f"{SELECT} {rung + 1}"


def params_of(cell: Cell) -> Params:
    """Return what a sampler chose, of the trial that a cell belongs to."""
    return {name: value for name, value in cell.coordinates.items() if name not in _PLACES}


def find_metric(judges: Sequence[JudgePlan], name: str | None) -> Scored:
    """Return the metric of a name, ``metric`` or ``judge.metric``; None is the first of all.

    Raises:
        ConfigError: No judge of the run gives it.
    """
    known = {
        key: Scored(judge, metric)
        for judge in reversed(judges)
        for metric in reversed(judge.metrics)
        for key in (f"{judge.component.name}.{metric.name}", metric.name)
    }
    if name is None:
        return Scored(judges[0], judges[0].metrics[0])
    if name not in known:
        raise ConfigError(
            f"search: no judge of this experiment gives the metric {name!r}.",
            hint=did_you_mean(name, [*known, PERPLEXITY_RATIO]),
        )
    return known[name]


def are_high(judges: Sequence[JudgePlan], settings: SearchSettings) -> tuple[bool, ...]:
    """Return whether each objective is to be high."""
    names = (settings.objective, *filter(None, (settings.second,)))
    return tuple(name != PERPLEXITY_RATIO and find_metric(judges, name).sign > 0 for name in names)


def read_confirmed(run: Records, settings: SearchSettings) -> dict[int, float | None]:
    """Return the mean objective of each trial that has answered all confirm problems.

    None is one that failed there: a mean over what is left would flatter it.
    """
    scored = find_metric(run.judges(), settings.objective)
    means: dict[int, float | None] = {}
    for cell in run.plan.cells:
        if cell.measure == CONFIRM and "trial" in cell.coordinates:
            values, owed, error = _values(run, cell, scored)
            known = fmean(values.values()) if values and error is None else None
            means |= {} if owed else {int(cell.coordinates["trial"]): known}
    return means


def read_trials(run: Records, settings: SearchSettings) -> list[Trial]:
    """Return every trial in order.

    A trial is ``failed`` with its first row that holds an error, or where nothing could be scored;
    it is ``pruned`` if the plan goes on without it.
    """
    objective = find_metric(run.judges(), settings.objective)
    cells: dict[int, list[Cell]] = {}
    pruned = {number for fragment in run.plan.fragments for number in fragment.without}
    for fragment in run.plan.fragments:
        for cell in fragment.cells:
            # the confirm problems must not speak for what is confirmed on them
            if "trial" in cell.coordinates and cell.measure != CONFIRM:
                number = int(cell.coordinates["trial"])
                cells.setdefault(number, []).append(cell)
    nll = _Perplexity(run, [cell for some in cells.values() for cell in some])
    base = _texts(run, cells.get(BASELINE, ()))
    trials = []
    for number in sorted(cells):
        rungs = sorted(
            (cell for cell in cells[number] if "rung" in cell.coordinates),
            key=lambda cell: cell.coordinates["rung"],
        )
        ended = f"{number}" in pruned
        trial = _trial(run, settings, objective, cells[number], rungs, nll, ended)
        told = _texts(run, rungs) if trial.state == "complete" else {}
        same = bool(told) and all(base.get(row) == text for row, text in told.items())
        trials.append(replace(trial, unchanged=same and number != BASELINE))
    return trials


def _texts(run: Records, cells: Sequence[Cell]) -> dict[tuple[str, int], str | None]:
    """Return the answers to the select problems, by problem and index."""
    return {
        (row.sample_id, row.index): row.text
        for cell in cells
        if "rung" in cell.coordinates
        for row in run.completions(cell.key).values()
    }


def _trial(
    run: Records,
    settings: SearchSettings,
    objective: Scored,
    cells: Sequence[Cell],
    rungs: Sequence[Cell],
    nll: _Perplexity,
    ended: bool,
) -> Trial:
    place = rungs[0].coordinates
    done: list[dict[str, float]] = []
    error: str | None = None
    for cell in rungs:
        values, owed, problem = _values(run, cell, objective)
        error = error or problem
        if owed:
            break
        done.append(values)
    state: State = "running"
    if error is not None:
        state = "failed"
    elif len(done) == len(settings.rungs):
        state = "complete"
        if not any(done):
            state, error = "failed", f"{objective.judge.key} scored none of its answers"
    elif ended:
        state = "pruned"
    return Trial(
        number=int(place["trial"]),
        batch=int(place["batch"]),
        component=rungs[0].intervention,
        params=params_of(rungs[0]),
        rungs=() if state == "failed" else tuple(done),
        planned=len(rungs),
        state=state,
        error=error,
        means=_means(run, settings, cells, nll) if state in ("complete", "pruned") else {},
    )


def _values(run: Records, cell: Cell, scored: Scored) -> tuple[dict[str, float], bool, str | None]:
    """Return the value of each scored problem, whether any is owed, and the first error."""
    completions = run.completions(cell.key)
    scores = run.scores(scored.judge.key, cell.key)
    planned = [(cell.key, s, i) for s in run.samples(cell.samples) for i in range(cell.num_samples)]
    found: dict[str, list[float]] = {}
    owed, error = False, None
    for key in planned:
        row, score = completions.get(key), scores.get(key)
        if row is not None and row.error is not None:
            error = error or row.error
        elif row is None or score is None:
            owed = True
        elif (value := score.values.get(scored.metric.name)) is not None and math.isfinite(value):
            found.setdefault(key[1], []).append(value)
    return {sample: fmean(values) for sample, values in found.items()}, owed, error


def _means(
    run: Records, settings: SearchSettings, cells: Sequence[Cell], nll: _Perplexity
) -> dict[str, float]:
    """Return the means of the metrics that constraints and the second objective name."""
    means: dict[str, float] = {}
    for name in settings.metrics:
        if name == PERPLEXITY_RATIO:
            ratio = nll.ratio(cells)
            means |= {} if ratio is None else {name: ratio}
            continue
        scored = find_metric(run.judges(), name)
        some = [cell for cell in cells if scored.judge.scores(cell)]
        values = [v for cell in some for v in _values(run, cell, scored)[0].values()]
        means |= {name: fmean(values)} if values else {}
    return means


class _Perplexity:
    """How much less probable held-out text is than to the baseline, by the same passages."""

    def __init__(self, run: Records, cells: Sequence[Cell]) -> None:
        self._run = run
        self._judges = [j for j in run.judges() if any(m.name == _NLL for m in j.metrics)]
        mine = [cell for cell in cells if cell.coordinates.get("trial") == BASELINE]
        self._base = self._nll(mine)

    def ratio(self, cells: Sequence[Cell]) -> float | None:
        """Return exp of the mean difference; None where there is none."""
        mine = self._nll(cells)
        shared = mine.keys() & self._base.keys()
        if not shared:
            return None
        return math.exp(min(700.0, fmean(mine[s] - self._base[s] for s in sorted(shared))))

    def _nll(self, cells: Sequence[Cell]) -> dict[str, float]:
        held = [cell for cell in cells if cell.measure == HELDOUT]
        return {
            sample: value
            for judge in self._judges
            for metric in judge.metrics
            if metric.name == _NLL
            for cell in held
            for sample, value in _values(self._run, cell, Scored(judge, metric))[0].items()
        }
