"""How far the judges of one question agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from trimtab.reports.data.blocks import Block
from trimtab.reports.data.content import Content
from trimtab.reports.data.numbers import Ends
from trimtab.reports.data.statistics import CONFIDENCE, ends, seed_for
from trimtab.reports.data.votes import NO_VOTE, Votes
from trimtab.reports.draw.format import DASH
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Value, measured
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


def agreements(blocks: Iterable[Block], seed: int) -> list[Agreement]:
    """Return, for each verdict that several judges give, how far each two of them agree.

    Members of panels are among them, and the panel itself is not: it is made of their votes. All
    conditions are pooled; intervals of kappa draw whole questions.
    """
    return [_agreement(block, votes, seed) for block in blocks for votes in block.votes]


def _agreement(block: Block, votes: Votes, seed: int) -> Agreement:
    ballots_NJ = np.concatenate(votes.ballots)
    questions_N = block.unit_codes[np.concatenate(votes.units)]
    given = [[None if vote == NO_VOTE else vote for vote in row] for row in ballots_NJ.tolist()]
    pairs = []
    for (i, left), (j, right) in combinations(enumerate(votes.judges), 2):
        both = (ballots_NJ[:, i] != NO_VOTE) & (ballots_NJ[:, j] != NO_VOTE)
        pair = JudgePair(left=left, right=right, n=int(np.count_nonzero(both)))
        if both.any():
            x, y = ballots_NJ[both, i].tolist(), ballots_NJ[both, j].tolist()
            drawn = seed_for(seed, block.name, votes.metric, left, right)
            interval = kappa_interval(x, y, questions_N[both], seed=drawn, level=CONFIDENCE)
            pair = JudgePair(
                left=left,
                right=right,
                n=len(x),
                agreement=agreement_rate(x, y),
                kappa=cohen_kappa(x, y),
                interval=ends(interval),
                clusters=np.unique(questions_N[both]).size,
                yes_left=sum(x) / len(x),
                yes_right=sum(y) / len(y),
            )
        pairs.append(pair)
    alpha = krippendorff_alpha(given)
    return Agreement(measure=block.name, metric=votes.metric, alpha=alpha, pairs=tuple(pairs))


def agreement_table(agreement: Sequence[Agreement]) -> Table:
    """Return how far each two judges of one question agree; without rows for single judges."""
    rows: list[tuple[Cell, ...]] = []
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


def _share(pair: JudgePair, value: float | None) -> Cell:
    if not pair.n:
        return DASH
    return f"{DASH} %" if value is None else Value(value, form="rate", suffix=" %")
