"""Contrasts read off the records of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from trimtab.core.spec import RESULTS
from trimtab.reports.data.blocks import Block, ConditionRows
from trimtab.reports.data.conditions import TREATMENT
from trimtab.reports.data.metrics import Floats, MetricRef
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import corrected, seed_for
from trimtab.reports.data.units import mean_over
from trimtab.reports.sections.contrasts.config import ContrastsConfig
from trimtab.reports.sections.contrasts.content import (
    CategoryContrast,
    Contrast,
    ContrastsContent,
    Rate,
)
from trimtab.reports.sections.contrasts.design import Axes, Design, Spot, Square, axes_of, design_of
from trimtab.reports.sections.contrasts.numbers import Four, rates, square_numbers
from trimtab.reports.sections.contrasts.rule import judged, rule_contrasts


def read_contrasts(run: RunData, config: ContrastsConfig) -> ContrastsContent | None:
    """Return the contrasts of a run; None where its cells form no square."""
    axes = axes_of(run.plan, config)
    if axes is None:
        return None
    found_rates: list[Rate] = []
    contrasts: list[Contrast] = []
    for block in run.blocks:
        design = design_of(block, axes)
        refs = [ref for ref in block.metrics if _is_shown(ref, config)]
        found_rates += rates_of(block, design, refs, run.plan.seed)
        contrasts += _contrasts(block, design, refs, run.plan.seed)
    if not contrasts:
        return None
    contrasts, tests = _corrected(contrasts, _effects(run))
    leading = _leading(run, contrasts, config)
    return ContrastsContent(
        base=axes.base,
        untriggered=axes.untriggered,
        steps=config.steps,
        rates=tuple(found_rates),
        contrasts=tuple(contrasts),
        tests=tests,
        leading=leading,
        categories=() if leading is None else tuple(_categories(run, axes, contrasts[leading])),
        judged=None if config.rule is None else judged(contrasts, config.rule, _names(run)),
    )


def _is_shown(ref: MetricRef, config: ContrastsConfig) -> bool:
    wanted = (*config.metrics, *([config.rule.metric] if config.rule else []))
    return ref.metric.role in RESULTS or ref.id in wanted or ref.metric.name in wanted


def _effects(run: RunData) -> set[tuple[str, str]]:
    return {
        (b.name, ref.id) for b in run.blocks for ref in b.metrics if ref.metric.role == "effect"
    }


def _names(run: RunData) -> dict[tuple[str, str], str]:
    """Return the name of each metric, by measure and id."""
    return {(b.name, ref.id): ref.metric.name for b in run.blocks for ref in b.metrics}


def rates_of(
    block: Block, design: Design[ConditionRows], refs: Sequence[MetricRef], seed: int
) -> Iterator[Rate]:
    """Yield the mean of each metric in each condition of a measure, over questions and seeds."""
    places = [(spot, ref) for spot in design.spots for ref in refs]
    wanted = [
        ([rows.means[ref.id] for rows in design.spots[spot].values()], ref.metric)
        for spot, ref in places
    ]
    columns = {ref.id: column for column, ref in enumerate(block.metrics)}
    found = rates(wanted, block.cluster_codes, seed_for(seed, block.name))
    for (spot, ref), estimate in zip(places, found, strict=True):
        some = design.spots[spot].values()
        yield Rate.pick(
            estimate.model_dump(exclude_unset=True),
            measure=block.name,
            metric=ref.id,
            treatment=spot.treatment,
            trigger=spot.trigger,
            place=dict(spot.place),
            seeds=len(some),
            final=design.is_final(spot),
            n=sum(rows.num_scored(columns[ref.id]) for rows in some),
            n_planned=sum(rows.planned for rows in some),
        )


def _contrasts(
    block: Block, design: Design[ConditionRows], refs: Sequence[MetricRef], seed: int
) -> Iterator[Contrast]:
    places = [(square, ref) for square in design.squares() for ref in refs]
    wanted = [(four_of(design, square, ref.id), ref.metric) for square, ref in places]
    found = square_numbers(wanted, block.cluster_codes, seed_for(seed, block.name))
    for (square, ref), (four, _), numbers in zip(places, wanted, found, strict=True):
        spot = square.triggered
        yield Contrast.taken(
            numbers,
            measure=block.name,
            metric=ref.id,
            treatment=spot.treatment,
            trigger=spot.trigger,
            place=dict(spot.place),
            role=design.roles[spot],
            seeds=len(four.triggered),
            final=design.is_final(spot),
        )


def four_of(design: Design[ConditionRows], square: Square, metric: str) -> Four:
    """Return the values of a square, over the seeds that both halves of the treatment have."""

    def of(spot: Spot, seeds: Iterable[str]) -> list[Floats]:
        return [design.spots[spot][seed].means[metric] for seed in seeds]

    def base(spot: Spot | None) -> Floats | None:
        return None if spot is None else mean_over(of(spot, design.spots[spot]))

    seeds = design.shared(square.triggered, square.leakage)
    return Four(
        triggered=of(square.triggered, seeds),
        leakage=of(square.leakage, seeds),
        base_triggered=base(square.base_triggered),
        base_untriggered=base(square.base_untriggered),
    )


def _corrected(
    contrasts: Sequence[Contrast], effects: Collection[tuple[str, str]]
) -> tuple[list[Contrast], int]:
    """Return the contrasts with all differences of treatments x effect metrics corrected."""
    family = {
        number: contrast.difference
        for number, contrast in enumerate(contrasts)
        if contrast.final
        and contrast.role == TREATMENT
        and (contrast.measure, contrast.metric) in effects
        and contrast.difference is not None
    }
    changed = dict(zip(family, corrected(list(family.values())), strict=True))
    found = [
        c if i not in changed else c.model_copy(update={"difference": changed[i]})
        for i, c in enumerate(contrasts)
    ]
    return found, len(family)


def _leading(run: RunData, contrasts: Sequence[Contrast], config: ContrastsConfig) -> int | None:
    """Return which contrast the finding tells: that of the rule, of the headline, or the first."""
    told = [i for i, c in enumerate(contrasts) if c.final and c.difference is not None]
    treated = [i for i in told if contrasts[i].role == TREATMENT] or told
    if config.rule is not None:
        ruled = rule_contrasts(contrasts, config.rule, _names(run))
        told_first = [i for i in treated if contrasts[i] in ruled]
        if told_first:
            return told_first[0]
    if run.headline is not None:
        name, metric = run.headline
        leading = [
            i for i in treated if (contrasts[i].measure, contrasts[i].metric) == (name, metric.id)
        ]
        treated = leading or treated
    return treated[0] if treated else None


def _categories(run: RunData, axes: Axes, leading: Contrast) -> Iterator[CategoryContrast]:
    """Yield the leading contrast over the questions of each category, corrected together."""
    block = next(block for block in run.blocks if block.name == leading.measure)
    ref = next(ref for ref in block.metrics if ref.id == leading.metric)
    design = design_of(block, axes)
    square = next(
        square
        for square in design.squares()
        if square.triggered[:2] == (leading.treatment, leading.trigger)
        and dict(square.triggered.place) == leading.place
    )
    four = four_of(design, square, leading.metric)
    by_category: dict[str, set[int]] = {}
    for sample in block.samples.values():
        name = sample.metadata.get("category")
        if isinstance(name, str) and name:
            by_category.setdefault(name, set()).add(block.numbers[sample.id])
    if len(by_category) < 2:
        return
    found = []
    for name, units in sorted(by_category.items()):
        chosen = sorted(units)
        some = four.only(chosen)
        seed = seed_for(run.plan.seed, block.name, ref.id, "category", name)
        # questions are the clusters: a cluster may be the category itself
        (numbers,) = square_numbers([(some, ref.metric)], np.arange(len(chosen)), seed)
        found.append((name, len(chosen), numbers.difference))
    there = {number: change for number, (*_, change) in enumerate(found) if change is not None}
    changed = dict(zip(there, corrected(list(there.values())), strict=True))
    for number, (name, n, _) in enumerate(found):
        yield CategoryContrast(category=name, n=n, difference=changed.get(number))
