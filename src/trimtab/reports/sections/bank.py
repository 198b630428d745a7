"""How much the vectors of a bank differ in their effects."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.content import Content
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.format import form_of, label
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Value, changed, measured
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Bank"]


class BankContent(Content):
    """The pools of a run's vectors: label of the pool -> labels of its vectors."""

    pools: dict[str, tuple[str, ...]]


class Bank(Section[NoConfig, BankContent]):
    """The spread of single vectors behind each pool; the numbers are in ``measures``."""

    Config = NoConfig
    order = 60

    def read(self, run: RunData) -> BankContent | None:
        """Return the pools; None without a bank."""
        pools = {c.condition: c.members for c in run.numbers.conditions if c.share is not None}
        return BankContent(pools=pools) if pools else None

    def tables(self, view: View[BankContent]) -> Sequence[Table]:
        """Return a row per pool and effect metric; nothing before there are numbers."""
        rows: list[tuple[Cell, ...]] = []
        for condition in view.content.pools:
            for name, measure, metric in view.run.shown.metrics():
                numbers = measure.numbers(condition, metric.id)
                comparison = None if numbers is None else numbers.vs_baseline
                if metric.role != "effect" or comparison is None or comparison.vectors is None:
                    continue
                among, form = comparison.vectors, form_of(metric)
                questions = measured(
                    *(comparison.difference, comparison.interval_questions, form),
                    signed=True,
                    clusters=comparison.num_clusters,
                )
                rows.append(
                    (
                        *(condition, name, label(metric), among.num),
                        *(changed(comparison, form), questions),
                        *(Value(end, form=form) for end in (among.sd, among.low, among.high)),
                        Value(100 * among.share, form=".0f", suffix=" %"),
                    )
                )
        columns = (
            "condition", "measure", "metric", "vectors", "Δ, both", "Δ, questions only", "sd",
            "lowest", "highest", "drawn",
        )  # fmt: skip
        note = (
            "Paired differences to the baseline, mean over vectors. Both: the interval covers "
            "which questions were asked and which questions made the vectors. sd: of a single "
            "vector, corrected for the questions that vectors share. drawn: share of the fit "
            "questions in each vector; at 100 % all vectors are the same and no interval can cover "
            "them."
        )
        table = Table("bank_vectors", "Vectors of the bank", columns, tuple(rows), note)
        return [table] if rows else []
