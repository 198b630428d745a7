"""Read a search from the records of its run."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.core.keys import derive_seed
from trimtab.core.lazy import lazy
from trimtab.core.plan import Cell
from trimtab.reports.data.numbers import Comparison, Estimate, Measure, MetricNumbers
from trimtab.reports.data.parts import PartOfRun
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import codes_of, comparisons, estimates
from trimtab.reports.sections.search.content import Confirmed, SearchContent, TrialNumbers
from trimtab.runs.solutions import own_pairs
from trimtab.search.outcome import best_confirmed, fronts, optimism, ranked
from trimtab.search.sampling import has_optuna
from trimtab.search.settings import SearchSettings
from trimtab.search.space import METHOD
from trimtab.search.trials import (
    BASELINE,
    CONFIRM,
    PROMPT,
    Scored,
    Trial,
    are_high,
    find_metric,
    read_confirmed,
    read_trials,
)
from trimtab.stats.paired import holm

if TYPE_CHECKING:
    import optuna
else:
    optuna = lazy("optuna")

_OWN = {BASELINE: "baseline", PROMPT: "prompt"}


def read_search(run: RunData) -> SearchContent | None:
    """Return what a search found; None for a run that searched nothing."""
    if not any("trial" in cell.coordinates for cell in run.whole.plan.cells):
        return None
    settings = SearchSettings.model_validate(run.whole.config.get("search") or {})
    scored = find_metric(run.whole.judges(), settings.objective)
    trials = read_trials(run.whole, settings)
    higher = are_high(run.whole.judges(), settings)
    high = higher[0]
    first = fronts(trials, settings, higher)[:1] if settings.second else []
    numbers = _trials(run, trials, scored, settings)
    order = ranked(trials, settings, high)
    confirmed, tests = _confirmed(run, numbers, scored)
    means = read_confirmed(run.whole, settings)
    whole = len(means) == len(confirmed)
    won = best_confirmed(means, order, high, settings.leak) if whole else None
    own = own_pairs(run.whole)
    confirmed = _tested(run, _without_failed(confirmed, means), scored, won)
    every = sum(settings.rungs)
    return SearchContent(
        objective=scored.metric.name,
        kind=scored.metric.kind,
        high=high,
        second=settings.second,
        second_high=higher[-1],
        front=tuple(trial.number for front in first for trial in front),
        sampler=settings.sampler,
        pruner=settings.pruner,
        trials=tuple(numbers),
        confirmed=tuple(confirmed),
        winner=None if won is None else won.number,
        configuration=None if won is None else won.component.model_dump(mode="json"),
        tests=tests,
        test_tests=_tests(run, confirmed, scored),
        leak=settings.leak,
        own_solutions=None if own is None else str(own[1]),
        optimism=optimism(order, high, derive_seed(run.plan.seed, "optimism")),
        importance=_importance(trials, high),
        rows=sum(len(t.values) for t in trials if t.number > PROMPT),
        rows_unpruned=every * sum(t.number > PROMPT and t.state != "failed" for t in trials),
    )


def _trials(
    run: RunData, trials: Sequence[Trial], scored: Scored, settings: SearchSettings
) -> list[TrialNumbers]:
    seed = derive_seed(run.plan.seed, "search")
    asked = sorted({sample for trial in trials for sample in trial.values})
    clusters = codes_of(asked)  # each problem is one
    values = [np.array([t.values.get(s, math.nan) for s in asked], np.float64) for t in trials]
    means = estimates([(some, scored.metric) for some in values], clusters, seed)
    unknown = np.full(len(asked), math.nan)
    numbered = zip(trials, values, strict=True)
    base = next((some for trial, some in numbered if trial.number == BASELINE), unknown)
    changes = comparisons([(some, base) for some in values], clusters, seed)
    fragments = run.whole.plan.fragments
    why = {number: why for fragment in fragments for number, why in fragment.without.items()}
    return [
        TrialNumbers(
            number=trial.number,
            batch=trial.batch,
            method=_OWN.get(trial.number) or str(trial.params.get(METHOD) or trial.component.name),
            state=trial.state,
            why=trial.error or why.get(f"{trial.number}") or _breaks(trial, settings),
            rungs=len(trial.rungs),
            select=mean,
            change=None if trial.number == BASELINE else change,
            params=dict(trial.params),
            means=dict(trial.means),
            unchanged=trial.unchanged,
            feasible=trial.is_feasible(settings),
        )
        for trial, mean, change in zip(trials, means, changes, strict=True)
    ]


def _breaks(trial: Trial, settings: SearchSettings) -> str | None:
    """Say which constraints a complete trial is beyond, so that it could not win."""
    if trial.state != "complete" or trial.number <= PROMPT:
        return None
    beyond = trial.violation(settings)
    most = {constraint.metric: constraint.at_most for constraint in settings.constraints}
    found = [
        f"{name} is {trial.means[name]:.3g}, at most {most[name]:g} is allowed"
        if name in beyond
        else f"{name} was not measured"
        for name in most
        if beyond.get(name, 1) > 0
    ]
    return "; ".join(found) or None


def _confirmed(
    run: RunData, trials: Sequence[TrialNumbers], scored: Scored
) -> tuple[list[Confirmed], int]:
    """Return what was compared again, and how many tests Holm's correction counts there."""
    part = PartOfRun(run.whole, _of_a_trial)
    if not part.plan.cells:
        return [], 0
    numbers = RunData(part, purpose="tuning").numbers
    (measure,) = numbers.measures.values()
    by_number = {trial.number: trial for trial in trials}
    found = []
    for cell in part.plan.cells:
        measured = _metric(measure, cell.condition, scored)
        trial = by_number[int(cell.coordinates["trial"])]
        found.append(
            Confirmed(
                number=trial.number,
                condition=cell.condition,
                select=trial.select,
                confirm=_estimate(measured),
                change=None if measured is None else measured.vs_baseline,
                test=None,
                test_change=None,
            )
        )
    if scored.metric.role == "effect":
        return found, numbers.families["baseline"].tests
    own = _corrected([item.change for item in found])
    found = [i.model_copy(update={"change": c}) for i, c in zip(found, own, strict=True)]
    return found, sum(change is not None and change.p is not None for change in own)


def _tests(run: RunData, confirmed: Sequence[Confirmed], scored: Scored) -> int:
    """Return how many tests Holm's correction counts on the test split."""
    if scored.metric.role == "effect":
        return run.numbers.tests
    return sum(c.test_change is not None and c.test_change.p is not None for c in confirmed)


def _corrected(changes: Sequence[Comparison | None]) -> list[Comparison | None]:
    """Return comparisons of an objective that is no effect, and so in no family, as one family."""
    adjusted = holm([None if change is None else change.p for change in changes])
    return [
        None if change is None else change.model_copy(update={"p_holm": p})
        for change, p in zip(changes, adjusted, strict=True)
    ]


def _without_failed(
    confirmed: Sequence[Confirmed], means: Mapping[int, float | None]
) -> list[Confirmed]:
    """Return the confirmed without the numbers of those that failed there."""
    nothing = {"confirm": _estimate(None), "change": None}
    return [
        c.model_copy(update=nothing) if c.number in means and means[c.number] is None else c
        for c in confirmed
    ]


def _of_a_trial(cell: Cell) -> Cell | None:
    return cell if cell.measure == CONFIRM and "trial" in cell.coordinates else None


def _tested(
    run: RunData, confirmed: Sequence[Confirmed], scored: Scored, won: Trial | None
) -> list[Confirmed]:
    """Return the confirmed with their numbers on the test split, where they have any."""
    measures = run.numbers.measures.values()
    test = next((m for m in measures if m.split == "test" and m.output == "text"), None)
    if test is None:
        return list(confirmed)
    labels = {**_OWN, **({} if won is None else {won.number: "winner"})}
    found = [_metric(test, labels.get(item.number, ""), scored) for item in confirmed]
    changes = [None if numbers is None else numbers.vs_baseline for numbers in found]
    if scored.metric.role != "effect":
        changes = _corrected(changes)
    return [
        item
        if numbers is None
        else item.model_copy(update={"test": _estimate(numbers), "test_change": change})
        for item, numbers, change in zip(confirmed, found, changes, strict=True)
    ]


def _metric(measure: Measure, condition: str, scored: Scored) -> MetricNumbers | None:
    ids = [m.id for m in measure.metrics if m.judge == scored.judge.key]
    named = [key for key in ids if measure.metric(key).name == scored.metric.name]
    if not named or condition not in measure.conditions:
        return None
    return measure.conditions[condition].metrics[named[0]]


def _estimate(numbers: MetricNumbers | None) -> Estimate:
    if numbers is None:
        return Estimate(mean=None, interval=None, method=None, num_clusters=0)
    return Estimate(
        mean=numbers.mean,
        interval=numbers.interval,
        method=numbers.method,
        num_clusters=numbers.num_clusters,
    )


def _importance(trials: Sequence[Trial], high: bool) -> dict[str, float]:
    """Return PED-ANOVA's importance of each setting that all complete trials have.

    Watanabe, Bansal and Hutter, IJCAI 2023. Where there are several methods, within the one that
    has most complete trials. Empty with fewer than 8 of them, where all have one value, and where
    Optuna is not installed.
    """
    complete = [t for t in trials if t.number > PROMPT and t.state == "complete"]
    methods = [str(t.params.get(METHOD, "")) for t in complete]
    most = max(sorted(set(methods)), key=methods.count, default="")
    mine = [t for t, method in zip(complete, methods, strict=True) if method == most]
    if len(mine) < 8 or len({t.value for t in mine}) < 2 or not has_optuna():
        return {}
    names = [name for name in mine[0].params if name != METHOD]
    spread = {name: sorted({t.params[name] for t in mine}, key=str) for name in names}
    varied = [name for name in names if len(spread[name]) > 1]
    if not varied:
        return {}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(direction="maximize" if high else "minimize")
        distributions: Mapping[str, Any] = {name: _distribution(spread[name]) for name in varied}
        for trial in mine:
            study.add_trial(
                optuna.trial.create_trial(
                    value=trial.value,
                    params={name: trial.params[name] for name in varied},
                    distributions=dict(distributions),
                )
            )
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in found.items()}


def _distribution(values: Sequence[Any]) -> Any:
    if all(isinstance(value, int | float) for value in values):
        return optuna.distributions.FloatDistribution(min(values), max(values))
    return optuna.distributions.CategoricalDistribution([str(value) for value in values])
