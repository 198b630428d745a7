"""What interventions decided while they ran: strengths chosen token by token, gates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from trimtab.core.types import Completion, GateReading
from trimtab.reports.data.blocks import with_pools
from trimtab.reports.data.content import Content
from trimtab.reports.data.measures import pool_members
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Value
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Adaptive"]


class Strengths(Content):
    """The strengths of one property: mean, largest, share at zero, over so many tokens."""

    mean: float
    largest: float
    zero: float
    tokens: int


class Gates(Content):
    """One gate: mean value, mean factor, share of rows in which the factor is above one half."""

    mean: float
    factor: float
    open: float
    rows: int


class Decisions(Content):
    """What was decided in the completions of one condition, by property and by gate."""

    strengths: tuple[Strengths, ...] = ()
    gates: tuple[Gates, ...] = ()


class AdaptiveContent(Content):
    """Measure -> condition -> what was decided; only where something was."""

    measures: dict[str, dict[str, Decisions]]

    def rows(self) -> Iterator[tuple[str, str, Decisions]]:
        """Yield (condition, measure, decisions)."""
        for name, conditions in self.measures.items():
            for condition, decisions in conditions.items():
                yield condition, name, decisions


class Adaptive(Section[NoConfig, AdaptiveContent]):
    """Dynamic strengths and gates."""

    Config = NoConfig
    part = "methods"
    order = 130

    def read(self, run: RunData) -> AdaptiveContent | None:
        """Return every decision; None for a run of constant interventions."""
        pools = pool_members(run.numbers.conditions)
        measures: dict[str, dict[str, Decisions]] = {}
        for block in run.blocks:
            rows = with_pools(block, pools)
            shown = [label for label in run.numbers.labels() if label in rows]
            for label in (label for label in shown if rows[label].decides):
                decisions = decided(row for _, row in rows[label].read())
                if decisions is not None:
                    measures.setdefault(block.name, {})[label] = decisions
        return AdaptiveContent(measures=measures) if measures else None

    def tables(self, view: View[AdaptiveContent]) -> Sequence[Table]:
        """Return the strengths that were chosen, and how often gates were open."""
        return [
            table
            for table in (_strength_table(view.content), _gate_table(view.content))
            if table.rows
        ]


def decided(completions: Iterable[Completion]) -> Decisions | None:
    """Return what was decided in some completions; None if nothing was."""
    by_property: dict[int, list[float]] = {}
    by_gate: dict[int, list[GateReading]] = {}
    for completion in completions:
        for number, strengths in enumerate(completion.strengths or ()):
            by_property.setdefault(number, []).extend(strengths)
        for number, reading in enumerate(completion.gates or ()):
            by_gate.setdefault(number, []).append(reading)
    decisions: dict[str, tuple[Content, ...]] = {}
    if by_property:
        decisions["strengths"] = tuple(_spread(values) for _, values in sorted(by_property.items()))
    if by_gate:
        decisions["gates"] = tuple(_openness(readings) for _, readings in sorted(by_gate.items()))
    return Decisions.model_validate(decisions) if decisions else None


def _openness(readings: Sequence[GateReading]) -> Gates:
    count = len(readings)
    return Gates(
        mean=math.fsum(reading.value for reading in readings) / count,
        factor=math.fsum(reading.factor for reading in readings) / count,
        open=sum(reading.factor > 0.5 for reading in readings) / count,
        rows=count,
    )


def _spread(values: Sequence[float]) -> Strengths:
    return Strengths(
        mean=math.fsum(values) / len(values),
        largest=max(values),
        zero=sum(value == 0 for value in values) / len(values),
        tokens=len(values),
    )


def _strength_table(content: AdaptiveContent) -> Table:
    rows = tuple(
        (
            *(condition, measure, number),
            *(Value(chosen.mean, form=".3g"), Value(chosen.largest, form=".3g")),
            *(Value(100 * chosen.zero, form=".0f", suffix=" %"), chosen.tokens),
        )
        for condition, measure, decisions in content.rows()
        for number, chosen in enumerate(decisions.strengths, start=1)
    )
    columns = ("condition", "measure", "property", "mean", "largest", "tokens at 0", "tokens")
    return Table("strengths", "Strengths chosen while running", columns, rows)


def _gate_table(content: AdaptiveContent) -> Table:
    rows = tuple(
        (
            *(condition, measure, number),
            Value(100 * gate.open, form=".0f", suffix=" %"),
            *(Value(gate.factor, form=".3g"), Value(gate.mean, form=".3g"), gate.rows),
        )
        for condition, measure, decisions in content.rows()
        for number, gate in enumerate(decisions.gates, start=1)
    )
    columns = ("condition", "measure", "gate", "open", "mean factor", "mean value", "rows")
    return Table("gates", "Gates of conditional interventions", columns, rows)
