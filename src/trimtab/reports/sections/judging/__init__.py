"""What the judges themselves are worth: how far they agree, and what their mistakes hide."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.content import Content
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import NoConfig, Section, View
from trimtab.reports.sections.judging.agreement import Agreement, agreement_table, agreements
from trimtab.reports.sections.judging.answers import truth_tables, verbosity_tables
from trimtab.reports.sections.judging.checks import (
    Corrections,
    JudgeCheck,
    check_table,
    corrected_table,
    corrections,
    used_checks,
)
from trimtab.reports.sections.judging.grade_checks import (
    GradeCheck,
    grade_check_table,
    used_grade_checks,
)

__all__ = ["Judging"]


class JudgingContent(Content):
    """What is known of a run's judges.

    Attributes:
        agreement: For each verdict that several judges give, how far they agree.
        checks: What each judge is worth against people.
        grade_checks: The same of judges that give grades.
        corrected: Corrected rates of the checked judges, by measure, condition and metric.
    """

    agreement: tuple[Agreement, ...]
    checks: tuple[JudgeCheck, ...]
    grade_checks: tuple[GradeCheck, ...]
    corrected: Corrections


class Judging(Section[NoConfig, JudgingContent]):
    """Truth beside information, length, agreement, checks against people and corrected rates."""

    Config = NoConfig
    order = 90

    def read(self, run: RunData) -> JudgingContent | None:
        """Return what is known of the judges; None for a run without judges."""
        if not run.source.judges():
            return None
        checks = used_checks(run.numbers, run.source.judge_checks)
        return JudgingContent(
            agreement=tuple(agreements(run.blocks, run.plan.seed)),
            checks=tuple(checks),
            grade_checks=used_grade_checks(run.numbers, run.source.judge_checks),
            corrected=corrections(run.numbers, checks),
        )

    def tables(self, view: View[JudgingContent]) -> Sequence[Table]:
        """Return truth and length of the answers, then agreement, checks and corrected rates."""
        about = (
            agreement_table(view.content.agreement),
            check_table(view.content.checks),
            grade_check_table(view.content.grade_checks),
            corrected_table(view.content.checks, view.content.corrected, view.run),
        )
        checked = {check.judge for check in view.content.checks}
        return [
            *truth_tables(view.run, checked),
            *verbosity_tables(view.run),
            *(table for table in about if table.rows),
        ]
