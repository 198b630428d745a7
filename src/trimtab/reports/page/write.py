"""Write a report: ``summary.json`` and, in ``report/``, page, Markdown, tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.core.report import Check
from trimtab.reports.data.source import Making, RunSource
from trimtab.reports.draw.tables import Table
from trimtab.reports.page.content import Page
from trimtab.reports.page.html import render_html
from trimtab.reports.page.markdown import render_markdown
from trimtab.reports.page.report import Report, read_report, to_json
from trimtab.reports.page.stage import Stage, staged
from trimtab.reports.sections.base import PARTS

__all__ = ["Written", "write_pages", "write_report"]


@dataclass(frozen=True)
class Written:
    """What a report consists of.

    Attributes:
        summary: The content of ``summary.json``.
        html: The page.
        files: Every file, the page among them.
        headline: The tables that a terminal shows after a run.
    """

    summary: dict[str, Any]
    html: Path
    files: tuple[Path, ...]
    headline: tuple[Table, ...]


def write_report(
    source: RunSource,
    checks: Sequence[Check],
    out_dir: Path,
    *,
    making: Making | None = None,
    notices: Sequence[str] = (),
) -> Written:
    """Write the whole report of a run below ``out_dir``; equal arguments give equal bytes.

    Args:
        source: The run, in whatever state it is; what is missing is shown as missing.
        checks: The honesty checks so far.
        out_dir: The run directory, usually: takes ``summary.json`` and ``report/``.
        making: How the records were made, for tables at the end; like what follows, not in
            ``summary.json``.
        notices: Lines on what weakens what the run guarantees.

    Raises:
        StoreError: The report can't be written; the old one is as it was.
    """
    return write_pages(read_report(source, making), checks, out_dir, notices=notices)


def write_pages(
    report: Report, checks: Sequence[Check], out_dir: Path, *, notices: Sequence[str] = ()
) -> Written:
    """Write a report that was read; other arguments and errors as ``write_report``."""
    summary = report.summary()
    with staged(out_dir) as stage:
        return _write_all(report, summary, stage, checks, notices)


def _write_all(
    report: Report,
    summary: dict[str, Any],
    stage: Stage,
    checks: Sequence[Check],
    notices: Sequence[str],
) -> Written:
    stage.write("summary.json", to_json(summary))
    results, methods, closing = map(report.tables, PARTS)
    for table in (*results, *methods, *closing):
        stage.write(f"report/tables/{table.stem}.csv", table.to_csv())
    files = report.files()
    for name, file in files.items():
        stage.write(f"report/{name}", file.text)
    figures = report.figures()
    drawn = stage.folder("report/figures")
    for figure in figures:
        figure.write(drawn)
    page = Page(
        name=report.run.plan.name,
        recipe=report.run.plan.recipe,
        seed=report.run.plan.seed,
        models=tuple(summary["models"]),
        finding=report.finding.text,
        cards=tuple(report.cards()),
        checks=tuple(checks),
        notices=tuple(notices),
        results=tuple(results),
        methods=tuple(methods),
        closing=tuple(closing),
        figures=tuple(figure for figure in figures if figure.plot is not None),
        terms=tuple(report.terms()),
        files=tuple((name, file.about) for name, file in files.items()),
    )
    stage.write("report/report.md", render_markdown(page))
    html = stage.write("report/index.html", render_html(page, report.run, drawn))
    return Written(summary, html, stage.finish(), tuple(report.headline()))
