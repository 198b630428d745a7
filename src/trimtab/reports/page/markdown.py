"""``report.md``: the same report for a terminal, a pull request or a paper's appendix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.reports.data.source import GateLike
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.methods import GLOSSARY


def render_markdown(
    summary: dict[str, Any],
    gates: Sequence[GateLike],
    tables: Sequence[Table],
    methods: Sequence[Table],
    figures: Sequence[Path],
    *,
    notices: Sequence[str] = (),
    closing: Sequence[Table] = (),
) -> str:
    """Return the report as Markdown; figures are linked as ``figures/<name>.png``."""
    parts = [f"# {summary['name']}", summary["finding"]]
    if gates:
        checks = "\n".join(f"- **{g.status}** {g.name}: {g.detail}" for g in gates)
        parts += ["## Honesty checks", checks]
    if notices:
        parts += ["## Notes", "\n".join(f"- {notice}" for notice in notices)]
    parts += ["## Results", *(table.to_markdown().rstrip() for table in tables)]
    pictures = [path for path in figures if path.suffix == ".png"]
    if pictures:
        parts.append("## Figures")
        parts += [f"![{path.stem}](figures/{path.name})" for path in pictures]
    glossary = "\n".join(f"- **{term}**: {meaning}" for term, meaning in GLOSSARY)
    parts += ["## Methods", *(table.to_markdown().rstrip() for table in methods), glossary]
    parts.append(f"Statistics seed: {summary['seed']}.")
    parts += [table.to_markdown().rstrip() for table in closing]
    return "\n\n".join(parts) + "\n"
