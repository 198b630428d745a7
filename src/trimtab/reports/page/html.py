"""``index.html``: one file that needs nothing else, and that hostile model output can't script.

Tables and prose are rendered by Jinja2 with escaping on; answers are JSON in a data block, see
``_browser``. A content security policy admits the page's own script by its hash and no request.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.core.counted import counted
from trimtab.core.lazy import lazy
from trimtab.reports.data.headline import shown_first
from trimtab.reports.data.run import RunData
from trimtab.reports.draw import style
from trimtab.reports.draw.values import write_cell
from trimtab.reports.page.browser import browser_data, to_script
from trimtab.reports.page.content import Page

if TYPE_CHECKING:
    import jinja2
else:
    jinja2 = lazy("jinja2")

_TEMPLATES = Path(__file__).parent / "templates"
# The page's own colours replace the paper's, so that figures follow its light and dark modes.
_THEME = {
    style.INK: "var(--ink)",
    style.MUTED: "var(--muted)",
    style.GRID: "var(--line)",
    style.PAPER: "var(--card)",
    style.PROMPT: "var(--prompt)",
    style.CONTROL: "var(--control)",
    **{colour: f"var(--s{index})" for index, colour in enumerate(style.SERIES)},
}


def render_html(page: Page, run: RunData, figures: Path) -> str:
    """Return the page.

    Args:
        page: What stands on it.
        run: The run, for the answers browser and the colours of the conditions.
        figures: Folder of the figures that were written; their SVG files are put into the page.
    """
    script = (_TEMPLATES / "app.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    first = shown_first(run.shown, run.best)
    return environment.get_template("index.html.j2").render(
        page=page,
        worst=_worst([check.status for check in page.checks]),
        groups={c.condition: c.group for c in run.shown.conditions},
        figures=[(f.name, f.caption, inline_svg(figures / f"{f.name}.svg")) for f in page.figures],
        write_cell=write_cell,
        counted=counted,
        css=(_TEMPLATES / "style.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=digest,
        answers=to_script(browser_data(run.blocks, run.plan.baseline, first)),
    )


def inline_svg(path: Path) -> str:
    """Return a figure's ``<svg>`` element in the page's colours and font, its ids made unique."""
    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'<svg([^>]*?) width="[^"]*"', r"<svg\1", text, count=1)
    text = re.sub(r'<svg([^>]*?) height="[^"]*"', r"<svg\1", text, count=1)
    for prefix in ('id="', 'href="#', "url(#"):
        text = text.replace(prefix, f"{prefix}{path.stem}-")
    for colour, variable in _THEME.items():
        text = text.replace(colour, variable)
    return text.replace("'DejaVu Sans'", "var(--sans)").rstrip()


def _worst(statuses: list[str]) -> str:
    return next((status for status in ("fail", "warn", "pass") if status in statuses), "none")
