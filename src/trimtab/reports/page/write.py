"""Write a report: ``summary.json`` and, in ``report/``, page, Markdown, tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.reports.data.rows import read_blocks
from trimtab.reports.data.source import GateLike, LoadLike, RunSource, SpendLike, StageLike
from trimtab.reports.draw.tables import (
    Table,
    all_tables,
    condition_table,
    damage_table,
    numbers_table,
)
from trimtab.reports.page.html import render_html
from trimtab.reports.page.markdown import render_markdown
from trimtab.reports.page.summary import summarise, to_json
from trimtab.reports.sections.adaptive import gate_table, strength_table
from trimtab.reports.sections.behaviours.table import behaviour_table
from trimtab.reports.sections.effects.figures import write_figures
from trimtab.reports.sections.judging.tables import (
    agreement_table,
    category_table,
    check_table,
    corrected_table,
    truth_tables,
    verbosity_tables,
)
from trimtab.reports.sections.learned import learned_table
from trimtab.reports.sections.making import speed_table, spending_table, stage_table
from trimtab.reports.sections.methods import (
    artifact_table,
    bank_table,
    condition_list,
    curve_table,
    judge_table,
    layer_table,
    model_table,
    protocol_table,
)
from trimtab.reports.sections.rerankers import reranker_table
from trimtab.reports.sections.selection.tables import (
    ranking_table,
    selection_tables,
    selector_table,
)

__all__ = ["Written", "bank_tables", "fit_tables", "headline_tables", "write_report"]


@dataclass(frozen=True)
class Written:
    """What a report consists of.

    Attributes:
        summary: The content of ``summary.json``.
        html: The page.
        files: Every file, the page among them.
    """

    summary: dict[str, Any]
    html: Path
    files: tuple[Path, ...]


def write_report(
    run: RunSource,
    gates: Sequence[GateLike],
    out_dir: Path,
    *,
    loads: Sequence[LoadLike] = (),
    notices: Sequence[str] = (),
    spending: Sequence[SpendLike] = (),
    stages: Sequence[StageLike] = (),
) -> Written:
    """Write the whole report of ``run`` below ``out_dir``; equal arguments give equal bytes.

    Args:
        run: The run, in whatever state it is; what is missing is shown as missing.
        gates: The honesty checks so far.
        out_dir: The run directory, usually: takes ``summary.json`` and ``report/``.
        loads: What each phase took, for a table at the end; like what follows, not in
            ``summary.json``.
        notices: Lines on what weakens what the run guarantees.
        spending: What the judges spent on APIs.
        stages: Code and machine of each phase.
    """
    summary = summarise(run)
    report = out_dir / "report"
    (report / "tables").mkdir(parents=True, exist_ok=True)
    behaviours, learned = behaviour_table(summary), summary["learned"]
    tables = [
        *([behaviours] if behaviours else []),
        *selection_tables(summary),
        *all_tables(summary),
        *([learned_table(summary)] if learned else []),
        *_about_judging(summary),
    ]
    methods = _methods(run, summary)
    closing = [
        *([spending_table(spending)] if spending else []),
        *([stage_table(stages)] if stages else []),
        *([speed_table(loads)] if loads else []),
    ]
    files = [_write(out_dir / "summary.json", to_json(summary))]
    for table in (*tables, numbers_table(summary), *methods, *closing):
        path = report / "tables" / f"{_stem(table)}.csv"
        files.append(_write(path, table.to_csv()))
    figures = write_figures(summary, report / "figures")
    tables, methods = ([table for table in some if table.rows] for some in (tables, methods))
    markdown = render_markdown(
        summary, gates, tables, methods, figures, notices=notices, closing=closing
    )
    page = render_html(
        summary, gates, tables, methods, figures, read_blocks(run), notices=notices, closing=closing
    )
    html = _write(report / "index.html", page)
    files += [*figures, _write(report / "report.md", markdown), html]
    return Written(summary, html, tuple(files))


def _methods(run: RunSource, summary: dict[str, Any]) -> list[Table]:
    return [
        condition_list(run, summary),
        *filter(None, [artifact_table(run)]),
        *([reranker_table(summary)] if summary["rerankers"] else []),
        *bank_tables(run),
        *filter(None, [layer_table(run), strength_table(summary), gate_table(summary)]),
        protocol_table(run, summary),
        model_table(run),
        judge_table(run),
    ]


def _about_judging(summary: dict[str, Any]) -> list[Table]:
    single = (category_table, agreement_table, check_table, corrected_table)
    found = [table for make in single if (table := make(summary)) is not None]
    return [*truth_tables(summary), *verbosity_tables(summary), *found]


def fit_tables(run: RunSource) -> list[Table]:
    """Return what is known of the fitted artifacts: vectors, banks, the choice of layers."""
    found = [artifact_table(run), *bank_tables(run), layer_table(run)]
    return [table for table in found if table is not None]


def bank_tables(run: RunSource) -> list[Table]:
    """Return what banks of vectors are worth: by size, and against the law of reliability."""
    return [table for table in (bank_table(run), curve_table(run)) if table is not None]


def headline_tables(summary: dict[str, Any]) -> list[Table]:
    """Return the tables that a terminal shows after a run: effects per measure, then damage.

    Of a run that has a test split, no other split is shown, and of candidates no parts. Behaviours
    are one table.
    """
    if (behaviours := behaviour_table(summary, compact=True)) is not None:
        return [behaviours]
    splits = {block["split"] for block in summary["measures"].values()}
    shown = {"test"} & splits or splits
    conditions = {c["condition"] for c in summary["conditions"]}
    effects = [
        condition_table(summary, name, compact=True)
        for name, block in summary["measures"].items()
        if block["split"] in shown and any(m["role"] == "effect" for m in block["metrics"])
    ]
    chosen = [
        table
        for made in summary["selection"]
        if made["problems"] and made["split"] in shown and made["condition"] in conditions
        for table in (selector_table(made, compact=True), ranking_table(made, compact=True))
    ]
    kept = {n: block for n, block in summary["measures"].items() if block["split"] in shown}
    damage = damage_table({**summary, "measures": kept} if chosen else summary, compact=True)
    return [*chosen, *effects, *([damage] if len(damage.columns) > 1 else [])]


def _stem(table: Table) -> str:
    """Return the table's file name; a measure may be named after a hub id, which has a slash."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in table.name)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="\n")
    return path
