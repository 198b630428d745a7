"""What a rubric with a scale or labels measures, and what a reply to it comes to.

A reply is a grade, unparsed, or says that the answer refuses. A refusal is a verdict: it has no
grade, no points, and is no pass; what could not be read is missing throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.spec import Metric
from trimtab.judges._rubric_file import RubricFile
from trimtab.judges.base import Verdict
from trimtab.text.rubric_grades import Grade, parse_grade, parse_label
from trimtab.text.verdicts import unparsed_reason

REFUSED, PASS, CREDIT = "_refused", "_pass", "_credit"
"""Ends of the names of metrics beside a grade's."""
REFUSAL = "the answer was called a refusal, so it has no grade"


def readings_of(grade: Metric, *, passes: bool, points: bool) -> list[Metric]:
    """Return the grade, and a pass and the share of points where there are any.

    One of them is the result and the others read it again: the share of points, to which a refusal
    counts, else the grade.
    """
    credit = grade.model_copy(update={"name": grade.name + CREDIT, "kind": "fraction"})
    found = [grade.read_again(grade.name, grade.kind) if points else grade]
    if passes:
        found.append(grade.read_again(grade.name + PASS, "binary"))
    return [*found, credit] if points else found


def refusal_of(name: str) -> Metric:
    """Return the metric of answers that are called a refusal."""
    return Metric(name=name + REFUSED, kind="binary", role="damage", higher_is_better=False)


@dataclass(frozen=True)
class Grading:
    """How replies to one rubric are read.

    Attributes:
        name: The metric.
        file: The rubric.
        labels: Labels that may be given, if any.
        target: The labels that count.
    """

    name: str
    file: RubricFile
    labels: tuple[str, ...]
    target: tuple[str, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The grade, or whether the label is a wanted one; a pass; a share of points; a refusal."""
        file = self.file
        kind: Literal["binary", "number"] = "binary" if self.labels else "number"
        grade = Metric(
            name=self.name, kind=kind, role=file.role, higher_is_better=file.higher_is_better
        )
        found = readings_of(grade, passes=file.passes is not None, points=file.points)
        return (*found, *([] if file.refusal is None else [refusal_of(self.name)]))

    def verdict(self, reply: str) -> Verdict:
        """Return the verdict that ``reply`` gives."""
        grade = self._read(reply)
        if not grade.parsed:
            why = unparsed_reason(reply)
            values: dict[str, float | None] = dict.fromkeys(m.name for m in self.metrics)
            return Verdict(values, reply, f"the judge's reply could not be read: {why}")
        return Verdict(self.values(grade), reply, REFUSAL if grade.refused else None)

    def values(self, grade: Grade) -> dict[str, float | None]:
        """Return the metrics of a grade, a label or a refusal."""
        value = grade.value
        if self.labels:
            value = float(grade.label in self.target)
        values: dict[str, float | None] = {self.name: value}
        if self.file.passes is not None:
            values[self.name + PASS] = float(value is not None and value >= self.file.passes)
        if self.file.points and self.file.scale is not None:
            low, high = self.file.scale.low, self.file.scale.high
            values[self.name + CREDIT] = 0.0 if value is None else (value - low) / (high - low)
        if self.file.refusal is not None:
            values[self.name + REFUSED] = float(grade.refused)
        return values

    def shown(self, verdict: bool | float | str) -> str:
        """Return what a good judge replies; raise ConfigError for what can't be replied."""
        text = f"{verdict:g}" if isinstance(verdict, float) else str(verdict)
        if isinstance(verdict, bool) or not self._read(text).parsed:
            raise ConfigError(f"An example of the rubric has the verdict {text!r}, which is none.")
        return text

    def _read(self, reply: str) -> Grade:
        file = self.file
        if file.scale is not None:
            return parse_grade(reply, file.scale.grades, file.refusal, self.name)
        return parse_label(reply, self.labels, file.refusal, self.name)


def grading_of(
    name: str, file: RubricFile, labels: tuple[str, ...], target: tuple[str, ...]
) -> Grading | None:
    """Return how replies are read; None for a rubric that is answered by yes or no.

    Args:
        name: The metric.
        file: The rubric.
        labels: What the configuration gives in place of the file's labels; empty for those.
        target: The labels that count; empty for the first.

    Raises:
        ConfigError: The rubric has no labels, or a target is none of them.
    """
    if file.kind != "labels":
        if labels or target:
            raise ConfigError(
                f"The rubric {name!r} has no labels, so labels and target can't be given."
            )
        return None if file.kind == "yes_no" else Grading(name, file, (), ())
    given = labels or file.labels
    wanted = target or given[:1]
    for label in wanted:
        if label not in given:
            raise ConfigError(f"target: there is no label {label!r}. {did_you_mean(label, given)}")
    try:
        parse_label("", given)
    except ValueError as error:
        raise ConfigError(f"labels: {error}.") from None
    return Grading(name, file, given, wanted)
