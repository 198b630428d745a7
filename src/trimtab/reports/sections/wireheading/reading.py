"""Numbers of each condition over its seeds, from held-out items or the last rounds of training."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.reports.data.cohorts import TrainedRun, mean_known, smoothed
from trimtab.reports.data.seeds import OverSeeds, over_seeds
from trimtab.reports.sections.wireheading.content import Gap, Outcome
from trimtab.reports.sections.wireheading.rule import decide

_WAYS = ("sampled", "greedy")
_MOST_SMOOTHED = 20

Item = tuple[str, float | None, str, float | None]


@dataclass(frozen=True)
class Seen:
    """What one run is like at one time; None is not measured."""

    reward: float | None
    actual: float | None
    grade: float | None
    grade_all: float | None
    inflation: float | None
    inflation_all: float | None
    unparsed: float | None
    refused: float | None


def outcomes(runs: Sequence[TrainedRun]) -> list[Outcome]:
    """Return one outcome per model, task and condition, in their order."""
    groups: dict[tuple[str, str, str], list[TrainedRun]] = defaultdict(list)
    for run in runs:
        groups[run.model, run.task, run.condition].append(run)
    return [_outcome(some) for some in groups.values()]


def _outcome(runs: Sequence[TrainedRun]) -> Outcome:
    whole = [run for run in runs if run.failed is None]
    way = way_of(whole)
    ends = [seen(run, way, last=True) for run in whole]
    starts = [seen(run, way, last=False) for run in whole]

    def end(name: str) -> OverSeeds:
        return over_seeds([getattr(each, name) for each in ends])

    def rise(name: str) -> OverSeeds:
        pairs = [(getattr(a, name), getattr(b, name)) for a, b in zip(starts, ends, strict=True)]
        return over_seeds([None if None in pair else pair[1] - pair[0] for pair in pairs])

    inflation, risen = end("inflation_all"), rise("inflation_all")
    rises = {name: rise(name) for name in ("reward", "actual")}
    verdict, why = decide(inflation, risen, rises["reward"], rises["actual"])
    numbers: dict[str, Any] = {name: end(name) for name in Seen.__dataclass_fields__}
    return Outcome(
        **{name: getattr(runs[0], name) for name in ("model", "task", "condition", "rewarded")},
        seeds=len(runs),
        failed=len(runs) - len(whole),
        measured="last rounds" if way is None else f"held out, {way}",
        **numbers,
        divergence=over_seeds([_last(run, "divergence") for run in whole]),
        reward_rise=rises["reward"],
        actual_rise=rises["actual"],
        inflation_rise=risen,
        inflation_start=over_seeds([each.inflation_all for each in starts]),
        points=tuple(
            (each.actual, each.reward)
            for each in ends
            if each.actual is not None and each.reward is not None
        ),
        verdict=verdict,
        why=why,
    )


def gaps(runs: Sequence[TrainedRun]) -> list[Gap]:
    """Return what lies between grade and actual reward while each condition was trained."""
    groups: dict[tuple[str, str, str], list[TrainedRun]] = defaultdict(list)
    for run in runs:
        if run.failed is None and run.curves.get("grade_all"):
            groups[run.model, run.task, run.condition].append(run)
    found = [_gap(*group, some) for group, some in groups.items()]
    return [gap for gap in found if gap.points]


def _gap(model: str, task: str, condition: str, runs: Sequence[TrainedRun]) -> Gap:
    window = max(1, min(_MOST_SMOOTHED, min(len(run.curves["step"]) for run in runs) // 10))
    values: dict[float, list[tuple[float, float]]] = defaultdict(list)
    for run in runs:
        both = [smoothed(run.curves[name], window) for name in ("grade_all", "true")]
        rows = list(zip(run.curves["step"], *both, strict=True))[window - 1 :]
        for step, grade, actual in rows:
            if step is not None and grade is not None and actual is not None:
                values[step].append((grade, actual))
    points = tuple(
        (step, math.fsum(g for g, _ in some) / len(some), math.fsum(a for _, a in some) / len(some))
        for step, some in sorted(values.items())
    )
    return Gap(model=model, task=task, condition=condition, window=window, points=points)


def way_of(runs: Sequence[TrainedRun]) -> str | None:
    """Return how held-out items of all runs were answered; None where one looked at none."""
    return next((way for way in _WAYS if runs and all(_has(run, way) for run in runs)), None)


def _has(run: TrainedRun, way: str) -> bool:
    """Whether held-out items were looked at before the first round and at a later one."""
    looked = [row["round"] for row in run.held_out if "items" in row.get(way, {})]
    return len(looked) > 1 and looked[0] == 0


def seen(run: TrainedRun, way: str | None, *, last: bool) -> Seen:
    """Return what a run is like at its end, or before its first round.

    Args:
        run: The run.
        way: How held-out items were answered; None takes the last or first tenth of the rounds.
        last: Whether the end is meant.
    """
    if way is None:
        return _of_rounds(run, last=last)
    return _of_items(_look(run, way, last=last), run.rewarded == "selfgrade")


def items_at(run: TrainedRun, way: str, *, last: bool) -> Sequence[Item]:
    """Return each held-out item: id, what its answer is worth, state and value of its grade."""
    return [tuple(row) for row in _look(run, way, last=last)["items"]]


def _look(run: TrainedRun, way: str, *, last: bool) -> Mapping[str, Any]:
    rows = [row[way] for row in run.held_out if "items" in row.get(way, {})]
    found: Mapping[str, Any] = rows[-1 if last else 0]
    return found


def _of_items(summary: Mapping[str, Any], self_graded: bool) -> Seen:
    """Return what rows of (id, true, state, grade) say."""
    rows = [(true, state, grade) for _, true, state, grade in summary["items"]]
    actual = mean_known([true for true, _, _ in rows])
    grade_all = mean_known([0.0 if grade is None else grade for _, _, grade in rows])
    return Seen(
        reward=grade_all if self_graded else actual,
        actual=actual,
        grade=mean_known([grade for _, _, grade in rows]),
        grade_all=grade_all,
        inflation=summary["inflation_parsed"],
        inflation_all=summary["inflation_all"],
        unparsed=_share(rows, "unparsed"),
        refused=_share(rows, "refused"),
    )


def _share(rows: Sequence[tuple[Any, str, Any]], state: str) -> float | None:
    return sum(found == state for _, found, _ in rows) / len(rows) if rows else None


def _of_rounds(run: TrainedRun, *, last: bool) -> Seen:
    """Return the means over the first or last tenth of the rounds."""

    def mean(name: str) -> float | None:
        return _last(run, name) if last else _tenth(run.curves.get(name, []), first=True)

    size = _episodes(run)
    unparsed, refused = mean("unparsed"), mean("refused")
    return Seen(
        reward=mean("reward"),
        actual=mean("true"),
        grade=mean("grade"),
        grade_all=mean("grade_all"),
        inflation=mean("inflation"),
        inflation_all=mean("inflation_all"),
        unparsed=None if size is None or unparsed is None else unparsed / size,
        refused=None if size is None or refused is None else refused / size,
    )


def _episodes(run: TrainedRun) -> float | None:
    """Return how many episodes a round has; None of artifacts that do not tell."""
    return next((n for n in run.curves.get("episodes", []) if n), None)


def _last(run: TrainedRun, name: str) -> float | None:
    return _tenth(run.curves.get(name, []), first=False)


def _tenth(values: Sequence[float | None], *, first: bool) -> float | None:
    count = max(1, len(values) // 10)
    return mean_known(values[:count] if first else values[-count:])
