"""``index.html``: one file that needs nothing else, and that hostile model output can't script.

Tables and prose are rendered by Jinja2 with escaping on; answers are JSON in a data block, see
``_browser``. A content security policy admits the page's own script by its hash and no request.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.lazy import lazy
from trimtab.reports.data.rows import Block
from trimtab.reports.data.source import GateLike
from trimtab.reports.draw import style
from trimtab.reports.draw.format import label, with_interval
from trimtab.reports.draw.tables import Table, difference
from trimtab.reports.page.browser import browser_data, to_script
from trimtab.reports.sections.behaviours.figure import CAPTIONS as BEHAVIOUR_CAPTIONS
from trimtab.reports.sections.behaviours.table import behaviour_cards
from trimtab.reports.sections.effects.verdicts import best_treatment, headline_metric
from trimtab.reports.sections.methods import GLOSSARY
from trimtab.reports.sections.selection.figures import CAPTIONS
from trimtab.reports.sections.selection.tables import selection_cards

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
_CAPTIONS = {
    **CAPTIONS,
    **BEHAVIOUR_CAPTIONS,
    "strength": "Effect (above) and damage (below) against strength. Bands and bars: 95 % "
    "intervals; grey band: baseline; dashed: the prompt; grey crosses: random vectors of equal "
    "norm.",
    "tradeoff": "What each condition changed, against what it cost; labels are strengths. "
    "Bars: 95 % intervals of the paired difference to the baseline.",
}


def render_html(
    summary: dict[str, Any],
    gates: Sequence[GateLike],
    tables: Sequence[Table],
    methods: Sequence[Table],
    figures: Sequence[Path],
    blocks: Iterable[Block],
    *,
    notices: Sequence[str] = (),
    closing: Sequence[Table] = (),
) -> str:
    """Return the page.

    Args:
        summary: What ``summarise`` returned.
        gates: The honesty checks.
        tables: Result tables in reading order.
        methods: Tables of the methods section.
        figures: Files that ``write_figures`` wrote; the SVG ones are put into the page.
        blocks: The records, for the answers browser.
        notices: Lines that stand below the honesty checks.
        closing: Tables at the end, on how the records were made.
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
    return environment.get_template("index.html.j2").render(
        summary=summary,
        gates=gates,
        worst=_worst(gates),
        notices=notices,
        closing=closing,
        cards=_cards(summary),
        groups={c["condition"]: c["group"] for c in summary["conditions"]},
        tables=[t for t in tables if not _folded(t)],
        folded=[t for t in tables if _folded(t)],
        methods=methods,
        glossary=GLOSSARY,
        figures=[
            (path.stem, _CAPTIONS[path.stem], inline_svg(path))
            for path in figures
            if path.suffix == ".svg"
        ],
        css=(_TEMPLATES / "style.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=digest,
        answers=to_script(browser_data(blocks, summary["baseline"], _shown_first(summary))),
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


def _folded(table: Table) -> bool:
    """Whether a table is long enough to be shown only when asked for."""
    return table.name in ("verdicts", "categories") or table.name.startswith("against_")


def _worst(gates: Sequence[GateLike]) -> str:
    found = {gate.status for gate in gates}
    return next((status for status in ("fail", "warn", "pass") if status in found), "none")


def _shown_first(summary: dict[str, Any]) -> list[str]:
    """Return the baseline, the prompt and the treatments that moved the headline metric most."""
    best = best_treatment(summary)
    groups = {"baseline", "prompt"}
    shown = [c["condition"] for c in summary["conditions"] if c["group"] in groups]
    treatments = [c["condition"] for c in summary["conditions"] if c["group"] == "treatment"]
    members = {c["condition"]: c["members"][:1] for c in summary["conditions"] if "members" in c}
    chosen = [*([best] if best else treatments[:1]), *treatments[-1:]]
    # a pool has no answers of its own
    return [*shown, *(label for name in chosen for label in members.get(name, [name]))]


def _cards(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, value, detail) of the few numbers that a reader wants first."""
    if summary["behaviours"]:
        return behaviour_cards(summary)
    chosen = headline_metric(summary)
    if chosen is None:
        return []
    if best_treatment(summary) is None and (found_among := selection_cards(summary)):
        return found_among
    measure, metric = chosen
    conditions = summary["measures"][measure]["conditions"]
    named = [
        next((c["condition"] for c in summary["conditions"] if c["group"] == group), None)
        for group in ("baseline", "prompt")
    ]
    cards = []
    for name in dict.fromkeys([*named, best_treatment(summary)]):
        if name in conditions:
            found = conditions[name]["metrics"][metric["id"]]
            shown = with_interval(found["mean"], found["interval"], metric)
            against = difference(found.get("vs_baseline"), metric)
            detail = f"Δ {against}" if against else f"n = {found['n']}"
            cards.append((f"{name}: {label(metric)}", shown, detail))
    return cards
