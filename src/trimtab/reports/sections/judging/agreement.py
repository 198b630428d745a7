"""How far the judges of one question agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from trimtab.core.plan import Cell, JudgePlan
from trimtab.reports.data.content import Content
from trimtab.reports.data.numbers import Ends
from trimtab.reports.data.rows import Block
from trimtab.reports.data.source import RowKey, RunSource
from trimtab.reports.data.statistics import CONFIDENCE, ends, seed_for
from trimtab.reports.draw.format import DASH
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell as TableCell
from trimtab.reports.draw.values import Value, measured
from trimtab.stats.agreement import (
    agreement_rate,
    cohen_kappa,
    kappa_interval,
    krippendorff_alpha,
)


class JudgePair(Content):
    """Two judges of one metric.

    Attributes:
        left: Key of the first.
        right: Key of the second.
        n: Completions that both judged; without any there are no other numbers.
        agreement: Share of them with the same verdict.
        kappa: Cohen's.
        interval: Of kappa, over whole questions.
        clusters: Questions that it rests on.
        yes_left: Share that the first accepts.
        yes_right: Share that the second accepts.
    """

    left: str
    right: str
    n: int
    agreement: float | None = None
    kappa: float | None = None
    interval: Ends | None = None
    clusters: int = 0
    yes_left: float | None = None
    yes_right: float | None = None


class Agreement(Content):
    """All judges of one metric: Krippendorff's alpha, and each two of them."""

    measure: str
    metric: str
    alpha: float | None
    pairs: tuple[JudgePair, ...]


def agreements(run: RunSource, blocks: Iterable[Block]) -> list[Agreement]:
    """Return, for each verdict that several judges give, how far each two of them agree.

    Members of panels are among them, and the panel itself is not: it is made of their votes. All
    conditions are pooled; intervals of kappa draw whole questions.
    """
    panels = {judge.key for judge in run.judges() if judge.members}
    rows = []
    for block in blocks:
        by_metric: dict[str, list[JudgePlan]] = {}
        cells = [cell for condition in block.conditions.values() for cell in condition.cells]
        for judge in run.judges():
            if judge.key in panels or not judge.scores(cells[0]):
                continue
            for metric in judge.metrics:
                if metric.kind == "binary":
                    by_metric.setdefault(metric.name, []).append(judge)
        for metric_name, judges in by_metric.items():
            if len(judges) > 1:
                votes = [_votes(run, judge, cells, metric_name) for judge in judges]
                rows.append(_agreement(block, metric_name, judges, votes, run.plan.seed))
    return rows


def _votes(
    run: RunSource, judge: JudgePlan, cells: Sequence[Cell], metric: str
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
) -> Agreement:
    keys = sorted({key for given in votes for key in given})
    alpha = krippendorff_alpha([[given.get(key) for given in votes] for key in keys])
    pairs = []
    for (left, a), (right, b) in combinations(zip(judges, votes, strict=True), 2):
        both = [key for key in keys if key in a and key in b]
        pair = JudgePair(left=left.key, right=right.key, n=len(both))
        if both:
            x, y = [a[key] for key in both], [b[key] for key in both]
            units = [block.units[key[1]] for key in both]
            drawn = seed_for(seed, block.name, metric, left.key, right.key)
            pair = JudgePair(
                left=left.key,
                right=right.key,
                n=len(both),
                agreement=agreement_rate(x, y),
                kappa=cohen_kappa(x, y),
                interval=ends(kappa_interval(x, y, units, seed=drawn, level=CONFIDENCE)),
                clusters=len(set(units)),
                yes_left=sum(x) / len(x),
                yes_right=sum(y) / len(y),
            )
        pairs.append(pair)
    return Agreement(measure=block.name, metric=metric, alpha=alpha, pairs=tuple(pairs))


def agreement_table(agreement: Sequence[Agreement]) -> Table:
    """Return how far each two judges of one question agree; without rows for single judges."""
    rows: list[tuple[TableCell, ...]] = []
    for row in agreement:
        for pair in row.pairs:
            rows.append(
                (
                    f"{pair.left} / {pair.right}",
                    *(row.measure, row.metric, pair.n),
                    *(_share(pair, x) for x in (pair.agreement, pair.yes_left, pair.yes_right)),
                    measured(pair.kappa, pair.interval, "number", clusters=pair.clusters),
                    Value(row.alpha),
                )
            )
    columns = ("judges", "measure", "metric", "n", "agree", "yes, first", "yes, second", "kappa")
    note = (
        "Kappa: Cohen's, with an interval that draws whole questions; alpha: Krippendorff's, over "
        "all judges of the metric. All conditions are pooled. Judges may agree and be wrong: check "
        "them against people with `trimtab judge-check`."
    )
    return Table("agreement", "Agreement of judges", (*columns, "alpha"), tuple(rows), note)


def _share(pair: JudgePair, value: float | None) -> TableCell:
    if not pair.n:
        return DASH
    return f"{DASH} %" if value is None else Value(value, form="rate", suffix=" %")
