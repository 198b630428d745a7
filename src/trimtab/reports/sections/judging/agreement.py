"""What the judges themselves are worth: how far they agree, and what their mistakes hide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from trimtab.core.spec import JudgePlan
from trimtab.reports.data.rows import Block, applies
from trimtab.reports.data.source import RowKey, RunSource
from trimtab.reports.data.statistics import CONFIDENCE, seed_for
from trimtab.stats.agreement import (
    agreement_rate,
    cohen_kappa,
    kappa_interval,
    krippendorff_alpha,
)
from trimtab.stats.correction import (
    Corrected,
    Measured,
    prediction_powered,
    rogan_gladen,
    rogan_gladen_difference,
)
from trimtab.stats.intervals import Interval


def agreements(run: RunSource, blocks: Iterable[Block]) -> list[dict[str, Any]]:
    """Return, for each verdict that several judges give, how far each two of them agree.

    Members of panels are among them, and the panel itself is not: it is made of their votes. All
    conditions are pooled; intervals of kappa draw whole questions.
    """
    panels = {judge.key for judge in run.judges() if judge.members}
    found = []
    for block in blocks:
        by_metric: dict[str, list[JudgePlan]] = {}
        cells = [cell for rows in block.conditions.values() for cell in rows.cells]
        for judge in run.judges():
            if judge.key in panels or not applies(judge, cells[0]):
                continue
            for metric in judge.metrics:
                if metric.kind == "binary":
                    by_metric.setdefault(metric.name, []).append(judge)
        for metric_name, judges in by_metric.items():
            if len(judges) > 1:
                votes = [_votes(run, judge, cells, metric_name) for judge in judges]
                found.append(_agreement(block, metric_name, judges, votes, run.plan.seed))
    return found


def _votes(
    run: RunSource, judge: JudgePlan, cells: Sequence[Any], metric: str
) -> dict[RowKey, int]:
    return {
        key: round(value)
        for cell in cells
        for key, score in run.scores(judge.key, cell.key).items()
        if (value := score.values.get(metric)) is not None
    }


def _agreement(
    block: Block,
    metric: str,
    judges: Sequence[JudgePlan],
    votes: Sequence[Mapping[RowKey, int]],
    seed: int,
) -> dict[str, Any]:
    keys = sorted({key for own in votes for key in own})
    alpha = krippendorff_alpha([[own.get(key) for own in votes] for key in keys])
    pairs = []
    for (left, a), (right, b) in combinations(zip(judges, votes, strict=True), 2):
        both = [key for key in keys if key in a and key in b]
        pair: dict[str, Any] = {"left": left.key, "right": right.key, "n": len(both)}
        if both:
            x, y = [a[key] for key in both], [b[key] for key in both]
            units = [block.units[key[1]] for key in both]
            own = seed_for(seed, block.name, metric, left.key, right.key)
            interval = kappa_interval(x, y, units, seed=own, level=CONFIDENCE)
            pair |= {
                "agreement": agreement_rate(x, y),
                "kappa": cohen_kappa(x, y),
                "interval": _bounds(interval),
                "yes_left": sum(x) / len(x),
                "yes_right": sum(y) / len(y),
            }
        pairs.append(pair)
    return {"measure": block.name, "metric": metric, "alpha": alpha, "pairs": pairs}


def add_corrections(
    measures: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Put corrected rates beside those of every judge that was checked; return the checks used.

    Of several checks of one judge the one with most verdicts counts.
    """
    best: dict[tuple[str, str], Mapping[str, Any]] = {}
    for check in sorted(checks, key=lambda check: (-check["judged"], check["labels"])):
        best.setdefault((check["judge"], check["metric"]), check)
    used = []
    for name, measure in measures.items():
        for metric in measure["metrics"]:
            found = best.get((metric["judge"], metric["name"]))
            if found is None or metric["kind"] != "binary":
                continue
            used.append({"measure": name, "id": metric["id"], **found})
            for entry in measure["conditions"].values():
                numbers = entry["metrics"][metric["id"]]
                numbers["corrected"] = _correct(numbers, found)
    return used


def _correct(numbers: Mapping[str, Any], check: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the corrected rate by both estimators and the corrected difference to the baseline."""
    rate = _measured(numbers["mean"], numbers["interval"])
    se, sp, error = (
        _measured(found["value"], found["interval"]) if (found := check.get(name)) else None
        for name in ("sensitivity", "specificity", "error")
    )
    if rate is None or se is None or sp is None or error is None:
        return None
    against = numbers.get("vs_baseline")
    gap = against and _measured(against["difference"], against["interval"])
    difference = rogan_gladen_difference(gap, se, sp, CONFIDENCE) if gap else None
    return {
        "rogan_gladen": _shown(rogan_gladen(rate, se, sp, CONFIDENCE)),
        "prediction_powered": _shown(prediction_powered(rate, error, CONFIDENCE)),
        "difference": None if difference is None else _shown(difference),
    }


def _measured(value: float | None, bounds: Sequence[float] | None) -> Measured | None:
    if value is None or bounds is None:
        return None
    return Measured.from_interval(value, Interval(bounds[0], bounds[1], CONFIDENCE, ""))


def _shown(found: Corrected) -> dict[str, Any]:
    return {
        "value": found.value,
        "interval": _bounds(found.interval),
        "method": found.interval.method,
    }


def _bounds(interval: Interval) -> list[float] | None:
    return [interval.low, interval.high] if interval.is_defined else None
