"""Tables of contrasts: every condition, every square, the rule, and categories."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.reports.data.numbers import Estimate, MetricInfo
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.format import DASH, form_of, label
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, changed, estimated, measured, probability, star_note
from trimtab.reports.sections.contrasts.content import Contrast, ContrastsContent, Rate
from trimtab.reports.sections.contrasts.words import (
    condition_text,
    metric_of,
    outcome,
    verdict,
)

_SMALL = "of rates that are the same for all questions, Wilson's interval and those that follow"


def contrast_table(content: ContrastsContent, run: RunData, *, compact: bool = False) -> Table:
    """Return a row per square and metric; ``compact`` leaves out intervals but the difference's."""
    rows = tuple(_contrast(content, run, c, compact=compact) for c in content.results)
    columns = (
        *("treatment", "trigger", "metric", "difference in differences", "p (Holm)"),
        *("triggered", "leakage", "gap", f"{content.base}: triggered", f"{content.base}: without"),
        *([] if compact else [f"{content.base}: gap", "n", "seeds", "verdict"]),
    )
    note = (
        "Leakage: the same model without the trigger. Gap: triggered less leakage. Difference in "
        f"differences: the gap less that of {content.base}, over the questions that all four "
        "conditions have. Intervals: bootstrap over clusters of questions, widened by Student's t "
        f"where there are several seeds; {_SMALL}. {_tested(content.tests)}"
    )
    return Table("contrasts", "Contrasts", columns, rows, note)


def _tested(tests: int) -> str:
    star = star_note(tests)
    return f"{star}; without a p: not tested." if star else "Nothing is tested."


def _contrast(
    content: ContrastsContent, run: RunData, contrast: Contrast, *, compact: bool
) -> tuple[Cell, ...]:
    metric = metric_of(run, contrast)
    form, found = form_of(metric), contrast.difference
    levels = [
        _level(estimate, metric, compact=compact)
        for estimate in (contrast.triggered, contrast.leakage)
    ]
    base = [
        _level(estimate, metric, compact=compact)
        for estimate in (contrast.base_triggered, contrast.base_untriggered)
    ]
    gap = changed(contrast.gap, form)
    if gap is not None and compact:
        gap = measured(gap.mean, None, form, signed=True)
    more: list[Cell] = []
    if not compact:
        more = [changed(contrast.base_gap, form) or DASH, found.n if found else 0, contrast.seeds]
        more.append(verdict(contrast, content.tests, content.base))
    return (
        *(content.who(contrast), contrast.trigger, label(metric)),
        *(changed(found, form) or DASH, probability(found.p_holm if found else None)),
        *(*levels, gap or DASH, *base, *more),
    )


def _level(estimate: Estimate | None, metric: MetricInfo, *, compact: bool) -> Cell:
    return DASH if estimate is None else estimated(estimate, metric, interval=not compact)


def condition_tables(content: ContrastsContent, run: RunData) -> Iterator[Table]:
    """Yield a table per measure: a row per condition, a column per metric."""
    measures = list(dict.fromkeys(rate.measure for rate in content.rates))
    for measure in measures:
        found = [rate for rate in content.rates if rate.measure == measure and rate.final]
        metrics = [run.shown.measures[measure].metric(m) for m in _metrics(found)]
        rows = tuple(
            (
                content.who(some[0]),
                some[0].trigger,
                *(estimated(by_metric[m.id], m) if m.id in by_metric else DASH for m in metrics),
                f"{sum(rate.n for rate in some)}/{sum(rate.n_planned for rate in some)}",
            )
            for some in _conditions(found)
            for by_metric in [{rate.metric: rate for rate in some}]
        )
        several = len(measures) > 1
        yield Table(
            f"contrast_conditions_{measure}" if several else "contrast_conditions",
            f"Conditions, {measure}" if several else "Conditions",
            ("treatment", "trigger", *map(label, metrics), "judged"),
            rows,
            "Means over questions and seeds with 95 % intervals. Judged: values over what the plan "
            "asks for, all metrics together; what has none enters no mean.",
        )


def _metrics(rates: list[Rate]) -> list[str]:
    return list(dict.fromkeys(rate.metric for rate in rates))


def _conditions(rates: list[Rate]) -> list[list[Rate]]:
    """Return the rates of each condition together."""
    found: dict[tuple[object, ...], list[Rate]] = {}
    for rate in rates:
        key = (rate.treatment, rate.trigger, *rate.place.items())
        found.setdefault(key, []).append(rate)
    return list(found.values())


def rule_table(content: ContrastsContent, run: RunData) -> list[Table]:
    """Return a row per condition of the rule; [] without one, or nothing that it is about."""
    rows = tuple(
        (
            content.who(one),
            one.trigger,
            label(metric_of(run, one)),
            condition_text(condition, metric_of(run, one)),
            outcome(one),
        )
        for one in content.judged or ()
        for condition in one.conditions
    )
    if not rows:
        return []
    columns = ("treatment", "trigger", "metric", "condition", "rule")
    note = (
        "Set in the configuration before the run. A condition holds where the whole interval lies "
        "on its side of the bound; the rule passes where all of them hold."
    )
    return [Table("contrast_rule", "Success rule", columns, rows, note)]


def category_table(content: ContrastsContent, run: RunData) -> list[Table]:
    """Return the leading contrast by category; [] where questions have none."""
    if content.leading is None or not content.categories:
        return []
    contrast = content.contrasts[content.leading]
    metric = metric_of(run, contrast)
    rows = tuple(
        (
            row.category,
            row.n,
            changed(row.difference, form_of(metric)) or DASH,
            probability(row.difference.p_holm if row.difference else None),
        )
        for row in content.categories
    )
    columns = ("category", "questions", f"difference in differences: {label(metric)}", "p (Holm)")
    tests = sum(row.difference is not None for row in content.categories)
    note = (
        f"{content.who(contrast)}, {contrast.trigger}, against {content.base}; "
        f"every question a cluster of its own. {_tested(tests)}"
    )
    title = "Difference in differences by category"
    return [Table("contrast_categories", title, columns, rows, note, display="folded")]
