"""Parts of sentences on a change: how large it is, what random vectors do, what could be found."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.core.counted import counted
from trimtab.reports.data.numbers import Comparison, MetricInfo, MetricNumbers, Numbers
from trimtab.reports.data.randoms import beyond_random
from trimtab.reports.data.statistics import FEW_CLUSTERS, can_establish
from trimtab.reports.draw.format import Form, form_of, number, p_equals, scale, title, with_interval


def change(comparison: Comparison, metric: MetricInfo) -> str:
    """Return a difference with its interval, in points if it is one of rates."""
    text = with_interval(comparison.difference, comparison.interval, form_of(metric), sign=True)
    few = ""
    if comparison.interval is not None and comparison.num_clusters < FEW_CLUSTERS:
        clusters = counted(comparison.num_clusters, "cluster")
        few = f" (over {clusters}, too few for an interval to be trusted)"
    return f"{text} points{few}" if metric.is_rate else f"{text}{few}"


def title_among(numbers: Numbers, measure: str, metric: MetricInfo) -> str:
    """Return a metric's title, with its measure where several have a metric of that title."""
    same = [
        m for each in numbers.measures.values() for m in each.metrics if title(m) == title(metric)
    ]
    return title(metric) if len(same) == 1 else f"{title(metric)} in {measure}"


def power(comparison: Comparison, metric: MetricInfo, tests: int) -> str:
    """Return what the comparison could have found among so many tests."""
    return power_of(comparison, form_of(metric), tests)


def power_of(comparison: Comparison, form: Form, tests: int) -> str:
    """Return the same of a metric of which only the form of its numbers is known."""
    if not can_establish(comparison, tests):
        return (
            f"; with {counted(comparison.num_clusters, 'cluster')} and {counted(tests, 'test')} "
            "no difference of any size could be established"
        )
    if comparison.mde is None:
        return "; too few answers differ to say what this run could have found"
    rate = form == "rate"
    smallest = number(comparison.mde * scale(form), percent=rate, change=True) + " points" * rate
    return f"; this run would miss a true difference below {smallest} more than one time in five"


def power_among(compared: Sequence[Comparison], form: Form, tests: int) -> str:
    """Return what the least able of several comparisons could have found; "" without any."""
    if not compared:
        return ""
    blind = [comparison for comparison in compared if not can_establish(comparison, tests)]
    if blind and len(blind) < len(compared):
        return f"{power_of(blind[0], form, tests)} in {len(blind)} of {len(compared)}"
    unknown = [comparison for comparison in compared if comparison.mde is None]
    if blind or unknown:
        return power_of((blind or unknown)[0], form, tests)
    return power_of(max(compared, key=lambda comparison: comparison.mde or 0.0), form, tests)


def p_words(comparison: Comparison) -> str:
    """Return ``Holm p = 0.031``; of what is in no family its own p, which says so."""
    if comparison.p_holm is not None:
        return p_equals(comparison.p_holm, "Holm p")
    return "no test" if comparison.p is None else f"{p_equals(comparison.p)}, uncorrected"


def against_randoms(numbers: MetricNumbers, metric: MetricInfo, has_length: bool) -> str:
    """Return how far random vectors of equal length go; "" of what has no length."""
    place = numbers.vs_random
    if place is None:
        return ", not compared with random vectors" * has_length
    farthest = with_interval(
        max((place.low, place.high), key=abs), None, form_of(metric), sign=True
    )
    if place.exceeding:
        return (
            f", but {place.exceeding} of {counted(place.vectors, 'random vector')} of equal length "
            f"went as far ({farthest}): no effect of this direction"
        )
    random = f"{counted(place.vectors, 'random vector')} of equal length (at most {farthest}"
    if beyond_random(numbers):
        return f", farther than {random}; {p_equals(place.p_holm, 'Holm p')})"
    if place.p is None:
        return f", and farther than {random}), which are too few to compare with"
    return f", farther than {random}), but not significantly ({p_equals(place.p_holm, 'Holm p')})"
