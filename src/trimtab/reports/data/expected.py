"""What a plan will be able to find, said before anything is spent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from trimtab.core.plan import Cell, Plan
from trimtab.core.types import Sample
from trimtab.reports.data.conditions import TREATMENT, conditions
from trimtab.reports.data.metrics import metrics_of
from trimtab.reports.data.rows import unit_of
from trimtab.reports.data.statistics import SIGNIFICANCE
from trimtab.stats.position import LEAST_DIRECTIONS, detectable_among, times_width
from trimtab.stats.power import detectable_errors, detectable_rate, least_p, questions_needed

ENOUGH = 0.35
"""Share of answers: a measure that can only find that more of them changed is called too small."""


_NONE: Mapping[tuple[str, str], int] = MappingProxyType({})


@dataclass(frozen=True)
class Expected:
    """What one measure will be able to find.

    Attributes:
        measure: Its name.
        split: Which split it asks.
        questions: Questions.
        clusters: Clusters that they form.
        tests: Tests that are corrected together, over all measures.
        rate: Share of answers that must change one way to be found in four runs of five; None
            where no share is enough.
        deviations: The same of a number: mean change in standard deviations of a question's change;
            with random vectors that do nothing. None where no number, or none of any size, is.
        needed: Questions and clusters, as large as these, with which a third of the answers would
            do; None where these do.
        allowed: Most tests with which an effect of some size can be established by these clusters.
        directions: Fewest random directions beside a treatment that has any; None where none has.
        times: How many times as far as random vectors on average an effect must go; None where
            they are too few.
        section: The section that compares; empty of differences to the baseline.
    """

    measure: str
    split: str
    questions: int
    clusters: int
    tests: int
    rate: float | None
    deviations: float | None
    needed: tuple[int, int] | None
    allowed: int
    directions: int | None
    times: float | None
    section: str = ""


@dataclass(frozen=True)
class _Unfitted:
    """A plan of which nothing is done."""

    plan: Plan

    def artifact_info(self, _key: str, /) -> Mapping[str, Any] | None:
        return None


def expected(
    plan: Plan,
    samples: Mapping[str, Sequence[Sample]],
    families: Mapping[tuple[str, str], int] = _NONE,
) -> list[Expected]:
    """Return what each measure with treatments and effect metrics can find, in plan order.

    Args:
        plan: The plan.
        samples: Sample sets by key.
        families: Rates that sections compare otherwise: by section and measure, how many
            differences are tested together. They come last.
    """
    treatments = [c for c in conditions(_Unfitted(plan)) if c.group == TREATMENT]
    draws = {cell.condition: cell.coordinates.get("draw", cell.condition) for cell in plan.cells}
    first: dict[str, Cell] = {}
    measured: dict[str, set[str]] = {}
    for cell in plan.cells:
        first.setdefault(cell.measure, cell)
        measured.setdefault(cell.measure, set()).add(cell.condition)
    asked = {
        name: [t for t in treatments if (t.members or (t.condition,))[0] in measured[name]]
        for name in first
    }
    effects = {
        name: sum(ref.metric.role == "effect" for ref in metrics_of(cell, plan.judges))
        for name, cell in first.items()
    }
    tests = sum(len(asked[name]) * effects[name] for name in first)
    beside = {
        name: [len({draws[x] for x in t.randoms if x in measured[name]}) for t in asked[name]]
        for name in first
    }
    against = sum(effects[name] * sum(map(bool, beside[name])) for name in first)
    return [
        _expected(cell, samples[cell.samples], tests, [n for n in beside[name] if n], against)
        for name, cell in first.items()
        if asked[name] and effects[name]
    ] + [
        replace(
            _expected(first[name], samples[first[name].samples], tests, [], 0),
            section=section,
            deviations=None,
        )
        for (section, name), tests in families.items()
    ]


def _expected(
    cell: Cell, rows: Sequence[Sample], tests: int, directions: Sequence[int], against: int
) -> Expected:
    clusters = {unit_of(row): row.cluster or unit_of(row) for row in rows}
    questions, groups, level = len(clusters), len(set(clusters.values())), SIGNIFICANCE / tests
    rate = detectable_rate(questions, groups, level)
    errors = detectable_errors(groups, level)
    ratio = questions / groups
    more = None if rate is not None and rate <= ENOUGH else questions_needed(ratio, ENOUGH, level)
    fewest = min(directions, default=None)
    times = None
    if fewest is not None and fewest >= LEAST_DIRECTIONS:
        times = times_width(fewest, SIGNIFICANCE / against)
        errors = errors and max(errors, detectable_among(fewest, SIGNIFICANCE / against))
    return Expected(
        measure=cell.measure,
        split=cell.split,
        questions=questions,
        clusters=groups,
        tests=tests,
        rate=rate,
        deviations=None if errors is None else errors / math.sqrt(questions),
        needed=None if more is None else (more, math.floor(more / ratio)),
        allowed=math.ceil(SIGNIFICANCE / least_p(groups)) - 1,
        directions=fewest,
        times=times,
    )
