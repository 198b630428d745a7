"""What judges are worth against people, and what their measured mistakes make of their rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trimtab.reports.data.content import Content
from trimtab.reports.data.numbers import Ends, MetricNumbers, Numbers
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import CONFIDENCE, ends
from trimtab.reports.draw.format import DASH, Form
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Value, changed, measured
from trimtab.stats.correction import (
    Corrected,
    Measured,
    prediction_powered,
    rogan_gladen,
    rogan_gladen_difference,
)
from trimtab.stats.intervals import Interval


class Rate(Content):
    """A number that a check measured, with its interval and the questions that this rests on."""

    value: float | None
    interval: Ends | None
    clusters: int = 0


class LengthBias(Content):
    """The chance that of two answers with one label the longer is the accepted one.

    ``yes`` and ``no``: among the answers with that label.
    """

    bias: float | None = None
    yes: float | None = None
    no: float | None = None


class LabelCheck(Content):
    """A judge against people's labels, whatever it gives.

    Attributes:
        measure: Where the judge's numbers are.
        id: Id of the metric there.
        judge: Key of the judge.
        metric: Name of the metric.
        labels: Name of the file of labels.
        labels_sha256: Its hash.
        labels_total: Labels that it holds.
        seed: What drew some of them.
        n: Labels that were asked for.
        judged: Those with a verdict or grade.
        parse_rate: Their share.
        error: Mean of label minus judge.
        kappa: Cohen's; of grades weighted by squared distance.
        usable: Whether a result may rest on it.
        verdict: The same in words.
    """

    measure: str
    id: str
    judge: str
    metric: str
    labels: str
    labels_sha256: str = ""
    labels_total: int
    seed: int = 0
    n: int
    judged: int
    parse_rate: Rate | None = None
    error: Rate | None = None
    kappa: Rate | None = None
    usable: bool | None = None
    verdict: str


class JudgeCheck(LabelCheck):
    """A judge's verdicts against people's.

    Attributes:
        positives: Judged answers that people accept.
        negatives: Those that people don't.
        yes_rate: Share that the judge accepts.
        label_rate: Share that people accept.
        sensitivity: Share of yes where people say yes.
        specificity: Share of no where they say no.
        accuracy: Share of equal verdicts.
        auc: Of the judge's probability.
        length: Its bias for length.
    """

    positives: int | None = None
    negatives: int | None = None
    yes_rate: float | None = None
    label_rate: float | None = None
    sensitivity: Rate | None = None
    specificity: Rate | None = None
    accuracy: float | None = None
    auc: float | None = None
    length: LengthBias | None = None


class CorrectedRate(Content):
    """A corrected rate; where it has no value the method says why."""

    value: float | None
    interval: Ends | None
    method: str


class Correction(Content):
    """What the mistakes of a judge make of one condition's rate and its difference."""

    rogan_gladen: CorrectedRate
    prediction_powered: CorrectedRate
    difference: CorrectedRate | None


Corrections = dict[str, dict[str, dict[str, Correction | None]]]
"""Measure -> condition -> metric id -> correction; None where a number is missing."""


def used_checks(numbers: Numbers, checks: Sequence[Mapping[str, Any]]) -> list[JudgeCheck]:
    """Return the checks of judges that give a verdict in this run."""
    found = best_checks(numbers, checks, ("binary",))
    return [JudgeCheck.pick(check, measure=name, id=id) for name, id, check in found]


def best_checks(
    numbers: Numbers, checks: Sequence[Mapping[str, Any]], kinds: Sequence[str]
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield measure, id and check of each metric of these kinds whose judge was checked.

    Of several checks of one judge the one with most verdicts counts.
    """
    best: dict[tuple[str, str], Mapping[str, Any]] = {}
    for check in sorted(checks, key=lambda check: (-check["judged"], check["labels"])):
        best.setdefault((check["judge"], check["metric"]), check)
    for name, _, metric in numbers.metrics():
        known = best.get((metric.judge or "", metric.name))
        if known is not None and metric.kind in kinds:
            yield name, metric.id, known


def corrections(numbers: Numbers, checks: Sequence[JudgeCheck]) -> Corrections:
    """Return the corrected rates of every metric whose judge was checked."""
    corrected: Corrections = {}
    for check in checks:
        for condition, entry in numbers.measures[check.measure].conditions.items():
            by_metric = corrected.setdefault(check.measure, {}).setdefault(condition, {})
            by_metric[check.id] = _correct(entry.metrics[check.id], check)
    return corrected


def _correct(numbers: MetricNumbers, check: JudgeCheck) -> Correction | None:
    """Return the corrected rate by both estimators and the corrected difference to the baseline."""
    rate = _measured(numbers.mean, numbers.interval)
    se, sp, error = (
        None if found is None else _measured(found.value, found.interval)
        for found in (check.sensitivity, check.specificity, check.error)
    )
    if rate is None or se is None or sp is None or error is None:
        return None
    against = numbers.vs_baseline
    gap = None if against is None else _measured(against.difference, against.interval)
    difference = rogan_gladen_difference(gap, se, sp, CONFIDENCE) if gap else None
    return Correction(
        rogan_gladen=_rate(rogan_gladen(rate, se, sp, CONFIDENCE)),
        prediction_powered=_rate(prediction_powered(rate, error, CONFIDENCE)),
        difference=None if difference is None else _rate(difference),
    )


def _measured(value: float | None, bounds: Ends | None) -> Measured | None:
    if value is None or bounds is None:
        return None
    return Measured.from_interval(value, Interval(bounds[0], bounds[1], CONFIDENCE, ""))


def _rate(corrected: Corrected) -> CorrectedRate:
    interval = corrected.interval
    return CorrectedRate(value=corrected.value, interval=ends(interval), method=interval.method)


def check_table(checks: Sequence[JudgeCheck]) -> Table:
    """Return what each judge is worth against people; without rows if none was checked."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            *(check.judge, check.metric, f"{check.judged}/{check.n}", check.labels_total),
            rate_cell(check.sensitivity, "rate"),
            rate_cell(check.specificity, "rate"),
            rate_cell(check.kappa, "number"),
            Value(None if check.length is None else check.length.bias),
            check.verdict,
        )
        for check in checks
    )
    columns = ("judge", "metric", "judged", "of labels", "sensitivity %", "specificity %", "kappa")
    note = (
        "Against human labels; where fewer were asked for than there are, a random draw of them. "
        "Sensitivity: yes where people say yes; specificity: no where they "
        "say no. Length: the chance that of two answers with the same label, one accepted and one "
        "not, the longer is the accepted one; 0.5 is no bias."
    )
    title = "Judges against people"
    return Table("judge_checks", title, (*columns, "length", "verdict"), rows, note)


def rate_cell(rate: Rate | None, form: Form) -> Cell:
    """Return a number of a check with its interval."""
    if rate is None:
        return DASH
    return measured(rate.value, rate.interval, form, clusters=rate.clusters)


def corrected_table(checks: Sequence[JudgeCheck], corrected: Corrections, run: RunData) -> Table:
    """Return raw rates beside what the judge's measured mistakes say they would be."""
    rows: list[tuple[Cell, ...]] = []
    for check in checks:
        measure = run.shown.measures[check.measure]
        for condition in run.shown.labels():
            numbers = measure.numbers(condition, check.id)
            if numbers is None:
                continue
            fixed, clusters = corrected[check.measure][condition][check.id], numbers.num_clusters
            rows.append(
                (
                    *(condition, check.id),
                    measured(numbers.mean, numbers.interval, "rate", clusters=clusters),
                    _corrected(None if fixed is None else fixed.rogan_gladen, clusters),
                    _corrected(None if fixed is None else fixed.prediction_powered, clusters),
                    changed(numbers.vs_baseline, "rate"),
                    _corrected(None if fixed is None else fixed.difference, clusters, signed=True),
                )
            )
    columns = ("condition", "metric", "raw %", "Rogan-Gladen %", "prediction-powered %")
    note = (
        "Corrected for the mistakes that the judge made on labelled answers. Rogan-Gladen carries "
        "over its two error rates, the prediction-powered estimate its mean error: both assume "
        "that it errs on these answers as on the labelled ones, and that steering does not change "
        "how it errs. No estimate where the judge can't be told from chance."
    )
    title = "Corrected for the judge's mistakes"
    return Table("corrected", title, (*columns, "raw Δ", "corrected Δ"), tuple(rows), note)


def _corrected(rate: CorrectedRate | None, clusters: int, *, signed: bool = False) -> Cell:
    if rate is None:
        return DASH
    if rate.value is None:
        return rate.method.removeprefix("none: ")
    return measured(rate.value, rate.interval, "rate", signed=signed, clusters=clusters)
