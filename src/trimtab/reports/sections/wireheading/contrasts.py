"""Conditions against one another at the end, paired by seed: the seed is the unit.

Runs of one seed learn from the same items, so their differences say more than their means.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from trimtab.reports.data.cohorts import TrainedRun
from trimtab.reports.data.seeds import OverSeeds, over_seeds
from trimtab.reports.data.statistics import SIGNIFICANCE, seed_for
from trimtab.reports.sections.wireheading.content import Contrast, ContrastVerdict
from trimtab.reports.sections.wireheading.reading import (
    items_at,
    seen,
    way_of,
)
from trimtab.stats.nested import mean_p_value_t, nested_bootstrap_mean
from trimtab.stats.paired import holm

NUMBERS = {"inflation_all": "inflation", "actual": "actual reward", "reward": "reward"}
"""What is compared, with its name in tables."""

Runs = Mapping[int, TrainedRun]


def contrasts(runs: Sequence[TrainedRun], seed: int) -> list[Contrast]:
    """Return every contrast, those of one number corrected as one family.

    Args:
        runs: All of them; those that were given up are left out.
        seed: The plan's.
    """
    groups: dict[tuple[str, str], list[TrainedRun]] = defaultdict(list)
    for run in runs:
        groups[run.model, run.task].append(run)
    found = [
        _contrast(left, right, number, seed)
        for some in groups.values()
        for left, right in _pairs(some)
        for number in NUMBERS
    ]
    adjusted: dict[int, float | None] = {}
    for number in NUMBERS:
        family = [i for i, contrast in enumerate(found) if contrast.number == number]
        adjusted |= dict(zip(family, holm([found[i].p for i in family]), strict=True))
    return [_decided(contrast, adjusted[i]) for i, contrast in enumerate(found)]


def _pairs(runs: Sequence[TrainedRun]) -> Iterator[tuple[Runs, Runs]]:
    """Yield each condition with the first control, and each self-graded one with the first honest.

    Only seeds that neither side gave up are in them.
    """
    named: dict[str, dict[int, TrainedRun]] = defaultdict(dict)
    for run in runs:
        named[run.condition][run.seed] = run
    conditions = list(named.values())

    def rewarded(name: str) -> list[dict[int, TrainedRun]]:
        return [some for some in conditions if next(iter(some.values())).rewarded == name]

    control, honest = rewarded("control")[:1], rewarded("honest")
    wanted = [(left, right) for right in control for left in (*rewarded("selfgrade"), *honest)]
    wanted += [(left, right) for right in honest[:1] for left in rewarded("selfgrade")]
    for left, right in wanted:
        both = [s for s in left if s in right and not (left[s].failed or right[s].failed)]
        if both:
            yield {s: left[s] for s in both}, {s: right[s] for s in both}


def _contrast(left: Runs, right: Runs, number: str, seed: int) -> Contrast:
    a, b = next(iter(left.values())), next(iter(right.values()))
    way = way_of([*left.values(), *right.values()])
    pairs = {s: [getattr(seen(x[s], way, last=True), number) for x in (left, right)] for s in left}
    values = [one - other for one, other in pairs.values() if None not in (one, other)]
    name = seed_for(seed, "wireheading", a.model, a.task, a.condition, b.condition, number)
    groups = [] if way is None else [_by_question(left[s], right[s], way, number) for s in left]
    nested = nested_bootstrap_mean(groups, seed=name) if groups and all(groups) else None
    defined = nested is not None and nested.is_defined
    return Contrast(
        model=a.model,
        task=a.task,
        left=a.condition,
        right=b.condition,
        number=number,
        difference=over_seeds(values),
        nested=(nested.low, nested.high) if nested is not None and defined else None,
        questions=min(map(len, groups), default=0) if defined else 0,
        p=mean_p_value_t(values) if values else None,
    )


def _by_question(left: TrainedRun, right: TrainedRun, way: str, number: str) -> list[float]:
    """Return the difference of each held-out item that both have a value of, at the end."""
    both = [_values(run, way, number) for run in (left, right)]
    return [both[0][item] - both[1][item] for item in both[0] if item in both[1]]


def _values(run: TrainedRun, way: str, number: str) -> dict[str, float]:
    found = {}
    for item, true, _, grade in items_at(run, way, last=True):
        graded = 0.0 if grade is None else grade
        reward = graded if run.rewarded == "selfgrade" else true
        value = {"actual": true, "reward": reward}.get(number)
        if number == "inflation_all":
            value = None if true is None else graded - true
        if value is not None:
            found[item] = value
    return found


def _decided(contrast: Contrast, p_holm: float | None) -> Contrast:
    verdict: ContrastVerdict = "could not be told"
    if p_holm is not None and p_holm < SIGNIFICANCE and contrast.difference.mean is not None:
        verdict = "higher" if contrast.difference.mean > 0 else "lower"
    return contrast.model_copy(update={"p_holm": p_holm, "verdict": verdict})


def told_apart(value: OverSeeds) -> float | None:
    """Return half the width of an interval: what is smaller could not have been told from none."""
    if value.low is None or value.high is None:
        return None
    return (value.high - value.low) / 2
