"""A run as sections see it: its records, and what they share, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from trimtab.core.plan import Plan
from trimtab.core.spec import Purpose
from trimtab.reports.data.blocks import Block
from trimtab.reports.data.conditions import conditions
from trimtab.reports.data.headline import (
    Headline,
    headline_metric,
    largest_gains,
    treatment_comparisons,
)
from trimtab.reports.data.measures import measured
from trimtab.reports.data.numbers import Numbers
from trimtab.reports.data.parts import part_of
from trimtab.reports.data.rows import read_blocks
from trimtab.reports.data.source import Making, RunSource


class RunData:
    """The records of a run with everything that several sections need.

    What is expensive is computed when it is first asked for.

    Attributes:
        whole: The records.
        source: Those of them whose numbers are results; what was measured to choose something is
            shown by the sections that tell of the choice.
        making: How they were made.
    """

    def __init__(
        self, source: RunSource, making: Making | None = None, purpose: Purpose = "result"
    ) -> None:
        """Read nothing yet; ``purpose`` says which numbers are asked for."""
        self.whole = source
        self.source = part_of(source, purpose)
        self.making = making or Making()

    @property
    def plan(self) -> Plan:
        """The plan that the run follows."""
        return self.source.plan

    @cached_property
    def blocks(self) -> Sequence[Block]:
        """The rows of each measure."""
        return read_blocks(self.source)

    @cached_property
    def numbers(self) -> Numbers:
        """What was measured, to the last bit."""
        plan = self.plan
        return measured(self.blocks, conditions(self.source), plan.baseline, plan.seed)

    @cached_property
    def shown(self) -> Numbers:
        """What was measured, as ``summary.json`` holds it: what tables and figures show."""
        return self.numbers.rounded()

    @cached_property
    def checked_judges(self) -> frozenset[str]:
        """Keys of the judges whose verdicts in this run were checked against people."""
        metrics = {
            (metric.judge, metric.name): metric.kind for _, _, metric in self.numbers.metrics()
        }
        return frozenset(
            str(check["judge"])
            for check in self.source.judge_checks
            if metrics.get((check["judge"], check["metric"])) == "binary"
        )

    @cached_property
    def headline(self) -> Headline | None:
        """The measure and metric that the report leads with."""
        return headline_metric(self.numbers, self.plan.headline, self.checked_judges)

    @cached_property
    def best(self) -> str | None:
        """The treatment with the largest gain in the headline metric, or the only one.

        None where none gains, or several gain equally much.
        """
        if self.headline is None:
            return None
        leading = largest_gains(self.numbers, self.headline)
        chosen = leading or list(treatment_comparisons(self.numbers, *self.headline))
        return chosen[0] if len(chosen) == 1 else None

    @property
    def shown_splits(self) -> set[str]:
        """The splits that results are quoted from: of a run with a test split, that one."""
        splits = {measure.split for measure in self.numbers.measures.values()}
        return {"test"} & splits or set(splits)
