"""``report.md``: the same report for a terminal, a pull request or a paper's appendix."""

from __future__ import annotations

from collections.abc import Iterable

from trimtab.reports.draw.tables import Table
from trimtab.reports.page.content import Page
from trimtab.text.escapes import markdown


def render_markdown(page: Page) -> str:
    """Return the report as Markdown; figures are linked as ``figures/<name>.png``."""
    parts = [f"# {markdown(page.name)}", markdown(page.finding)]
    if page.checks:
        checks = "\n".join(
            f"- **{c.status}** {markdown(c.name)}: {markdown(c.detail)}" for c in page.checks
        )
        parts += ["## Honesty checks", checks]
    if page.notices:
        parts += ["## Notes", "\n".join(f"- {markdown(notice)}" for notice in page.notices)]
    parts += ["## Results", *_tables(page.shown)]
    if page.figures:
        parts.append("## Figures")
        parts += [
            f"![{f.name}](figures/{f.name}.png)\n\n{markdown(f.caption)}" for f in page.figures
        ]
    glossary = "\n".join(f"- **{term}**: {markdown(meaning)}" for term, meaning in page.glossary)
    parts += ["## Methods", *_tables(page.methods), glossary, f"Statistics seed: {page.seed}."]
    parts += _tables(page.closing)
    if page.files:
        listed = "\n".join(f"- [{name}]({name}): {markdown(about)}" for name, about in page.files)
        parts += ["## Files", listed]
    return "\n\n".join(parts) + "\n"


def _tables(tables: Iterable[Table]) -> list[str]:
    return [table.to_markdown().rstrip() for table in tables if table.rows]
