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
from trimtab.reports.page.report import read_report, to_json
from trimtab.reports.sections.base import PARTS

__all__ = ["Written", "write_report"]


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
    """
    report = read_report(source, making)
    summary = report.summary()
    folder = out_dir / "report"
    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    files = [_write(out_dir / "summary.json", to_json(summary))]
    results, methods, closing = map(report.tables, PARTS)
    for table in (*results, *methods, *closing):
        files.append(_write(folder / "tables" / f"{table.stem}.csv", table.to_csv()))
    figures = report.figures()
    for figure in figures:
        files += figure.write(folder / "figures")
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
    )
    files.append(_write(folder / "report.md", render_markdown(page)))
    html = _write(folder / "index.html", render_html(page, report.run, folder / "figures"))
    return Written(summary, html, (*files, html), tuple(report.headline()))


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="\n")
    return path
