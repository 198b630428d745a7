"""What each way to choose is worth: against random and majority, by k, and by difficulty."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from trimtab.core.spec import Metric
from trimtab.reports.data.numbers import Comparison
from trimtab.reports.data.statistics import (
    CONFIDENCE,
    compare,
    corrected,
    ends,
    estimate,
    seed_for,
)
from trimtab.reports.sections.selection.candidates import CandidateSet
from trimtab.reports.sections.selection.content import (
    AccuracyAt,
    DifficultyBin,
    Gap,
    McNemar,
    Selector,
    Temperature,
)
from trimtab.reports.sections.selection.selectors import (
    FIRST_OF_TIES,
    MAJORITY,
    ORACLE,
    RANDOM,
    Values,
    best_by,
    each,
    vote_by,
)
from trimtab.stats import selection as choose
from trimtab.stats import subsets
from trimtab.stats.intervals import cluster_bootstrap_ratio
from trimtab.stats.paired import mcnemar_exact
from trimtab.stats.selection import Candidates

ACCURACY = Metric(name="correct", kind="binary", role="effect")


def selector_rows(
    candidates: CandidateSet, values: Mapping[str, Values], seed: int
) -> tuple[Selector, ...]:
    """Return each selector's accuracy and differences, corrected over the selectors of the set."""
    rows = [_selector(candidates, name, values, seed) for name in values]
    for reference in (RANDOM, MAJORITY):
        rows = _corrected(rows, f"vs_{reference}")
    return tuple(rows)


def _selector(
    candidates: CandidateSet, name: str, values: Mapping[str, Values], seed: int
) -> Selector:
    chosen, clusters = values[name], candidates.clusters
    accuracy = estimate(chosen, clusters, ACCURACY, seed)
    row = Selector(
        selector=name,
        n=len(chosen),
        right=math.fsum(chosen.values()),
        **accuracy.model_dump(exclude_unset=True),
        mcnemar=_mcnemar(chosen, values[FIRST_OF_TIES], clusters),
        gap=_gap(chosen, values, clusters, seed),
    )
    against = {
        f"vs_{reference}": compare(
            chosen, values[reference], clusters, seed_for(seed, name, reference)
        )
        for reference in (RANDOM, MAJORITY)
        if name != reference
    }
    return row.model_copy(update=against)


def _corrected(rows: Sequence[Selector], field: str) -> list[Selector]:
    family: list[Comparison] = [c for row in rows if (c := getattr(row, field)) is not None]
    adjusted = iter(corrected(family))
    return [
        row if getattr(row, field) is None else row.model_copy(update={field: next(adjusted)})
        for row in rows
    ]


def _mcnemar(chosen: Values, majority: Values, clusters: Mapping[str, str]) -> McNemar | None:
    """Return the exact test against a majority vote without ties; None where it has no meaning.

    That is where a choice is an expectation and not a choice, and where problems share a cluster.
    """
    pairs = [(chosen[unit], majority[unit]) for unit in chosen if unit in majority]
    single = len({clusters[unit] for unit in chosen}) == len(chosen)
    expected = any(value not in (0.0, 1.0) for pair in pairs for value in pair)
    if chosen is majority or not single or expected:
        return None
    wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    return McNemar(wins=wins, losses=losses, p=mcnemar_exact(wins, losses))


def _gap(
    chosen: Values, values: Mapping[str, Values], clusters: Mapping[str, str], seed: int
) -> Gap | None:
    """Return (selector - random) / (oracle - random); None where nothing is to be gained."""
    units = [unit for unit in chosen if unit in values[RANDOM]]
    gained = [chosen[unit] - values[RANDOM][unit] for unit in units]
    possible = [values[ORACLE][unit] - values[RANDOM][unit] for unit in units]
    if not units or math.fsum(possible) <= 0:
        return None
    interval = cluster_bootstrap_ratio(
        gained, possible, [clusters[unit] for unit in units], seed=seed, level=CONFIDENCE
    )
    return Gap(mean=math.fsum(gained) / math.fsum(possible), interval=ends(interval))


def sizes_of(num_candidates: int) -> list[int]:
    """Return the k of the curves: powers of two below N, and N."""
    powers = [2**i for i in range(num_candidates.bit_length()) if 2**i < num_candidates]
    return [*powers, num_candidates]


def curves(
    candidates: CandidateSet, temperatures: Mapping[str, Temperature], seed: int
) -> dict[str, tuple[AccuracyAt, ...]]:
    """Return each selector's accuracy against k, by exact expectation over subsets."""
    sets = candidates
    at_k: dict[str, Callable[[str, Candidates, int], float | None]] = {
        RANDOM: lambda _, p, _k: choose.random_choice(p),
        MAJORITY: lambda _, p, k: subsets.majority_at_k(p, k),
        ORACLE: lambda _, p, k: subsets.oracle_at_k(p, k),
        "format filter": lambda u, p, k: subsets.filtered_at_k(p, sets.formatted[u], k),
        "shortest": lambda u, p, k: subsets.lowest_at_k(p, sets.lengths[u], k),
        "longest": lambda u, p, k: subsets.lowest_at_k(p, [-x for x in sets.lengths[u]], k),
    }
    for ranking in sets.rankings:
        at_k[best_by(ranking)] = partial(_best_at_k, ranking.scores)
        heat = temperatures[ranking.name].value
        at_k[vote_by(ranking)] = partial(_vote_at_k, ranking.scores, heat, seed)
    return {
        name: tuple(_accuracy_at(candidates, curve, k, seed) for k in sizes_of(sets.num_candidates))
        for name, curve in at_k.items()
    }


def _accuracy_at(
    candidates: CandidateSet,
    curve: Callable[[str, Candidates, int], float | None],
    k: int,
    seed: int,
) -> AccuracyAt:
    values = each(candidates, lambda unit, problem: curve(unit, problem, k))
    accuracy = estimate(values, candidates.clusters, ACCURACY, seed)
    return AccuracyAt(k=k, **accuracy.model_dump(exclude_unset=True))


def _best_at_k(
    scores: Mapping[str, Sequence[float]], unit: str, problem: Candidates, k: int
) -> float | None:
    return subsets.lowest_at_k(problem, scores[unit], k)


def _vote_at_k(
    scores: Mapping[str, Sequence[float]],
    heat: float,
    seed: int,
    unit: str,
    problem: Candidates,
    k: int,
) -> float | None:
    drawn = seed_for(seed, unit)
    return subsets.weighted_at_k(problem, scores[unit], k, heat, seed=drawn)


def difficulty(values: Mapping[str, Values]) -> tuple[DifficultyBin, ...]:
    """Return each selector's gain over random, by the share of right candidates of a problem."""
    edges = ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))
    shares = values.get(RANDOM, {})
    bins: list[tuple[str, list[str]]] = [("none right", [u for u in shares if shares[u] == 0])]
    for low, high in edges:
        inside = [u for u in shares if low < shares[u] <= high and shares[u] < 1]
        bins.append((f"{100 * low:.0f} to {100 * high:.0f} %", inside))
    bins.append(("all right", [u for u in shares if shares[u] == 1]))
    return tuple(
        DifficultyBin(
            bin=name,
            problems=len(units),
            gain={
                selector: math.fsum(by_unit[u] - shares[u] for u in units if u in by_unit)
                / max(1, sum(u in by_unit for u in units))
                for selector, by_unit in values.items()
                if selector != RANDOM
            },
        )
        for name, units in bins
        if units
    )
