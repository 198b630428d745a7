"""Figure of all behaviours: what each strength changed, and beside it the side effects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.reports.draw import style
from trimtab.reports.draw.format import MINUS
from trimtab.reports.sections.behaviours.table import in_points
from trimtab.reports.sections.effects.panels import Point, to_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 9.0
_EFFECT = "Δ probability of the matching letter (points)"
CAPTIONS = {
    "behaviours": "What steering along each behaviour changed: the probability of the letter "
    "whose answer shows it, and of the right letter where nothing should change. Bars: 95 % "
    "intervals of the paired difference to the baseline; grey crosses: random vectors of equal "
    "norm.",
}


def behaviour_figure(summary: dict[str, Any], out_dir: Path) -> list[Path]:
    """Write ``behaviours.*``: a row per behaviour, a panel per kind; [] for other runs."""
    points = behaviour_points(summary)
    if not points:
        return []
    names = [row["measure"] for row in summary["behaviours"]]
    titles = list(dict.fromkeys(point.panel for point in points))
    with style.canvas(_WIDTH, 1.3 + 0.5 * len(names)) as figure:
        # one scale: a side effect must not look as large as an effect that it is not
        panels = figure.subplots(1, len(titles), sharex=True, sharey=True, squeeze=False)[0]
        for axes, title in zip(panels, titles, strict=True):
            _panel(axes, [p for p in points if p.panel == title], names)
            axes.set_xlabel(title)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].set_ylim(len(names) - 0.5, -0.5)
        handles: dict[str, Any] = {}
        for axes in panels:
            for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(name, handle)
        style.legend_below(figure, handles)
        (out_dir / "behaviours.csv").write_text(to_csv(points), encoding="utf-8", newline="\n")
        return [*style.save(figure, out_dir / "behaviours"), out_dir / "behaviours.csv"]


def behaviour_points(summary: dict[str, Any]) -> list[Point]:
    """Return every difference in points; ``series`` is the behaviour, ``y`` the difference."""
    points = []
    for row in summary["behaviours"]:
        name = row["measure"]
        for given in row["strengths"]:
            points.append(_point(_EFFECT, name, given, given["effect"], "treatment"))
            for side in given["side_effects"]:
                title = f"Δ right letter, {side['measure']} (points)"
                points.append(_point(title, name, given, side["effect"], "treatment"))
        for random in _random(summary, row):
            points.append(_point(_EFFECT, name, random, random["effect"], "random"))
    found = [point for point in points if point is not None]
    return sorted(found, key=lambda point: point.panel != _EFFECT)


def _random(summary: dict[str, Any], row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each random direction that was measured on a behaviour."""
    entries = summary["measures"][row["measure"]]["conditions"]
    return [
        {
            "condition": c["condition"],
            "dose": c["coordinates"].get("dose"),
            "effect": entries[c["condition"]]["metrics"][row["metric"]].get("vs_baseline"),
        }
        for c in summary["conditions"]
        if c["group"] == "random" and c["condition"] in entries
    ]


def _point(
    panel: str, name: str, given: dict[str, Any], found: dict[str, Any] | None, group: str
) -> Point | None:
    value = None if found is None else in_points(found["difference"])
    if found is None or value is None:
        return None
    low, high = found["interval"] or (None, None)
    return Point(
        panel=panel,
        condition=given["condition"],
        group=group,
        series=name,
        dose=given["dose"],
        x=None,
        y=value,
        low=in_points(low),
        high=in_points(high),
        n=found["n"],
    )


def _panel(axes: Axes, points: list[Point], names: list[str]) -> None:
    axes.axvline(0, color=style.BASELINE, lw=1.0)
    looks = sorted({(p.group == "random", p.dose or 0.0, p.group) for p in points})
    treated = [dose for _, dose, group in looks if group == "treatment"]
    for index, (_, dose, group) in enumerate(looks):
        colour, marker, label = style.CONTROL, "X", "random vector"
        if group == "treatment":
            colour, marker = style.series_look(treated.index(dose))
            label = f"strength {dose:+g}".replace("-", MINUS)
        shift = (index - (len(looks) - 1) / 2) * 0.6 / len(looks)
        for point in (p for p in points if (p.group, p.dose or 0.0) == (group, dose)):
            y = names.index(point.series) + shift
            if point.low is not None and point.high is not None:
                axes.plot([point.low, point.high], [y, y], color=colour, lw=1.4)
            axes.plot(
                point.y, y, color=colour, marker=marker, ms=6, ls="none", mec="white", mew=0.7,
                label=label,
            )  # fmt: skip
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.08)
