"""What may be claimed: a verdict for each treatment and effect metric."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.core.counted import counted
from trimtab.reports.data.conditions import TREATMENT
from trimtab.reports.data.content import Content
from trimtab.reports.data.headline import effects
from trimtab.reports.data.numbers import Comparison, Ends, MetricNumbers
from trimtab.reports.data.randoms import beyond_random
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import can_establish, significant
from trimtab.reports.draw.format import form_of, label, no_interval, p_equals
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Value, measured, probability
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Verdicts"]


class Verdict(Content):
    """What may be said of one treatment in one metric.

    Attributes:
        condition: The treatment.
        measure: The measure.
        metric: Id of the metric.
        verdict: In words.
        n: Questions that are compared.
        num_clusters: Clusters that they form.
        difference: Paired difference to the baseline.
        interval: Ends of its interval.
        p_holm: Corrected.
        mde: True difference that is found in four runs of five, corrected.
    """

    condition: str
    measure: str
    metric: str
    verdict: str
    n: int
    num_clusters: int
    difference: float | None
    interval: Ends | None
    p_holm: float | None
    mde: float | None


class VerdictsContent(Content):
    """A verdict per treatment and effect metric, in plan order."""

    verdicts: tuple[Verdict, ...]


class Verdicts(Section[NoConfig, VerdictsContent]):
    """Every effect with its verdict and what this run could have found."""

    Config = NoConfig
    order = 50
    terms = (
        (
            "detectable",
            "The true difference that is found in four runs of five by the test that is used, over "
            "this many clusters, corrected for all tests of the family; a dash where none is known "
            "or possible.",
        ),
    )

    def read(self, run: RunData) -> VerdictsContent | None:
        """Return the verdicts; None without a treatment or an effect."""
        numbers = run.numbers
        verdicts = tuple(
            _verdict(condition, name, metric.id, entries[condition].metrics[metric.id],
                     numbers.tests)
            for condition in numbers.labels(TREATMENT)
            for name, metric in effects(numbers)
            for entries in [numbers.measures[name].conditions]
            if condition in entries
        )  # fmt: skip
        return VerdictsContent(verdicts=verdicts) if verdicts else None

    def tables(self, view: View[VerdictsContent]) -> Sequence[Table]:
        """Return the verdicts, with the difference this run could have found beside each."""
        rows = []
        for verdict in view.content.verdicts:
            metric = view.run.shown.measures[verdict.measure].metric(verdict.metric)
            form = form_of(metric)
            rows.append(
                (
                    verdict.condition,
                    verdict.measure,
                    label(metric),
                    verdict.verdict,
                    measured(
                        *(verdict.difference, verdict.interval, form),
                        signed=True,
                        clusters=verdict.num_clusters,
                    ),
                    probability(verdict.p_holm),
                    verdict.n,
                    Value(verdict.mde, form=form, change=True),
                )
            )
        columns = (
            "condition", "measure", "metric", "verdict", "Δ to baseline", "p (Holm)", "n pairs",
            "detectable",
        )  # fmt: skip
        tests = view.run.shown.tests
        corrected = f" and corrected for {counted(tests, 'test')}" if tests else ""
        note = (
            "Detectable: the true difference that is found in four runs of five, with these "
            f"clusters{corrected}. Finding nothing says little about effects smaller than that."
        )
        return [Table("verdicts", "Verdicts", columns, tuple(rows), note, display="folded")]


def _verdict(
    condition: str, measure: str, metric: str, numbers: MetricNumbers, tests: int
) -> Verdict:
    comparison, words = numbers.vs_baseline, _words(numbers.vs_baseline, tests)
    if significant(comparison) and beyond_random(numbers) is False:
        words += ", but not shown to go beyond random vectors"
    return Verdict(
        condition=condition,
        measure=measure,
        metric=metric,
        verdict=words,
        n=comparison.n if comparison else 0,
        num_clusters=comparison.num_clusters if comparison else 0,
        difference=comparison.difference if comparison else None,
        interval=comparison.interval if comparison else None,
        p_holm=comparison.p_holm if comparison else None,
        mde=comparison.mde if comparison else None,
    )


def _words(comparison: Comparison | None, tests: int) -> str:
    if comparison is None:
        return "no data"
    p = p_equals(comparison.p_holm, "Holm p")
    if significant(comparison):
        return f"{'higher' if comparison.difference > 0 else 'lower'} than baseline ({p})"
    if comparison.interval is None:
        same = comparison.wins == comparison.losses == 0
        return "equal to baseline on every row" if same else no_interval(comparison)
    low, high = comparison.interval
    if low <= 0 <= high:
        return "no effect found (interval contains 0)"
    few = ""
    if not can_establish(comparison, tests):
        clusters = counted(comparison.num_clusters, "cluster is", "clusters are")
        few = f"; {clusters} too few for {counted(tests, 'test')}"
    return f"not established (interval excludes 0, but {p}{few})"
