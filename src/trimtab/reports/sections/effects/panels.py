"""The numbers behind the figures: what is drawn is what the CSV beside each figure holds."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from typing import Any

from trimtab.reports.data.rows import NLL
from trimtab.reports.draw.format import label, scale
from trimtab.reports.sections.behaviours.table import MATCHING
from trimtab.reports.sections.effects.verdicts import headline_metric

# Most panels in a row of the strength figure.
MAX_PANELS = 3
_EFFECTS = ("truth_info", "mc1", "mc2", "two_option")
_DAMAGE = ("perplexity_ratio", "kl", "repetition")


@dataclass(frozen=True)
class Point:
    """One condition in one panel.

    Attributes:
        panel: Title of the panel.
        condition: Label of the condition.
        group: What it is there for: baseline, zero, prompt, random, control or treatment.
        series: Which line it belongs to.
        dose: Strength, if it has one.
        x: Horizontal coordinate (the dose in the strength figure).
        y: Value in the panel's unit.
        low: Lower end of the interval of ``y``.
        high: Upper end.
        n: Scored completions, or pairs where ``y`` is a difference.
    """

    panel: str
    condition: str
    group: str
    series: str
    dose: float | None
    x: float | None
    y: float
    low: float | None
    high: float | None
    n: int


def to_csv(points: list[Point]) -> str:
    """Return ``points`` as CSV; a missing number is an empty cell."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [f.name for f in fields(Point)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(point) for point in points)
    return out.getvalue()


def strength_panels(summary: dict[str, Any]) -> list[list[str]]:
    """Return the panel titles of the two rows, effects and damage; see ``strength_points``."""
    chosen = _chosen(summary)
    return [[title for title, *_ in row] for row in chosen if row]


def strength_points(summary: dict[str, Any]) -> list[Point]:
    """Return every condition's value in every panel; empty if no treatment has a dose.

    One axis has one unit: conditions whose strength is in another are left out.
    """
    if not any(_dose(c) is not None for c in summary["conditions"] if c["group"] == "treatment"):
        return []
    points, unit = [], strength_unit(summary)
    for row in _chosen(summary):
        for title, measure, metric, key in row:
            for condition in summary["conditions"]:
                found = _value(summary, measure, metric, key, condition)
                if found is None or condition["group"] in ("pooled", "vector"):
                    continue
                if _dose(condition) and _unit(condition) != unit:
                    continue
                factor, n = (1.0 if key else scale(metric)), found[2]
                points.append(_point(title, condition, _dose(condition), found, factor, n))
    return points


def strength_unit(summary: dict[str, Any]) -> str:
    """Return the unit of most doses (raw, unit, relative); empty if they say none."""
    units = [_unit(c) for c in summary["conditions"] if _dose(c)]
    return max(units, key=units.count, default="")


def tradeoff_points(summary: dict[str, Any]) -> tuple[str, str, list[Point]] | None:
    """Return axis labels and points: side effect against effect, both relative to the baseline."""
    chosen = headline_metric(summary)
    damage = next((p for p in _candidates(summary, ("kl", "perplexity_ratio"))), None)
    if chosen is None or damage is None:
        return None
    measure, metric = chosen
    side, side_measure, side_metric, key = damage
    points = []
    for condition in summary["conditions"]:
        entry = summary["measures"][measure]["conditions"].get(condition["condition"])
        found = entry and entry["metrics"][metric["id"]].get("vs_baseline")
        across = _value(summary, side_measure, side_metric, key, condition)
        # Single draws are what a reader should see; their pool would draw over them.
        if found and across and condition["group"] not in ("pooled", "vector"):
            y = (found["difference"], found["interval"], found["n"])
            points.append(_point(side, condition, across[0], y, scale(metric), found["n"]))
    if not points:
        return None
    up = f"Δ {label(metric)} to {summary['baseline']}"
    return side, up.replace(" %", "") + (" (points)" if scale(metric) == 100 else ""), points


def _chosen(summary: dict[str, Any]) -> list[list[tuple[str, str, dict[str, Any], str]]]:
    effects = _candidates(summary, _EFFECTS)
    if not effects:
        effects = [
            (label(metric), name, metric, "")
            for name, block in summary["measures"].items()
            for metric in block["metrics"]
            # behaviours have a figure of their own
            if metric["role"] == "effect" and metric["name"] != MATCHING
        ]
    return [effects[:MAX_PANELS], _candidates(summary, _DAMAGE)[:MAX_PANELS]]


def _candidates(
    summary: dict[str, Any], names: tuple[str, ...]
) -> list[tuple[str, str, dict[str, Any], str]]:
    """Return (title, measure, metric, derived key) of the wanted metrics that the run has."""
    titles = {"perplexity_ratio": "perplexity ratio", "kl": "KL to baseline (nats/token)"}
    found: list[tuple[int, str, str, dict[str, Any], str]] = []
    for wanted in names:
        key = wanted if wanted == "perplexity_ratio" else ""
        holders = [
            (measure, metric)
            for measure, block in summary["measures"].items()
            for metric in block["metrics"]
            if metric["name"] == (NLL if key else wanted)
        ]
        for rank, (measure, metric) in enumerate(holders):
            title = titles.get(wanted, label(metric)) + (f", {measure}" if rank else "")
            found.append((rank, title, measure, metric, key))
    # Every wanted metric once before any of them on a second measure.
    return [chosen[1:] for chosen in sorted(found, key=lambda chosen: chosen[0])]


def _value(
    summary: dict[str, Any],
    measure: str,
    metric: dict[str, Any],
    key: str,
    condition: dict[str, Any],
) -> tuple[float, list[float | None] | None, int] | None:
    """Return (value, interval, n), or None where nothing is scored."""
    entry = summary["measures"][measure]["conditions"].get(condition["condition"])
    if entry is None:
        return None
    numbers = entry["metrics"][metric["id"]]
    shown = numbers.get(key) if key else numbers
    if key and condition["group"] == "baseline" and numbers["mean"] is not None:
        return (1.0, None, numbers["n"])
    if shown is None or shown["mean"] is None:
        return None
    return (shown["mean"], shown["interval"], numbers["n"])


def _point(
    panel: str,
    condition: dict[str, Any],
    x: float | None,
    value: tuple[float, list[float | None] | None, int],
    factor: float,
    n: int,
) -> Point:
    low, high = value[1] or (None, None)
    return Point(
        panel=panel,
        condition=condition["condition"],
        group=condition["group"],
        series=_series(condition),
        dose=_dose(condition),
        x=x,
        y=value[0] * factor,
        low=None if low is None else low * factor,
        high=None if high is None else high * factor,
        n=n,
    )


def _series(condition: dict[str, Any]) -> str:
    place = condition["coordinates"]
    name = str(place.get("series", condition["intervention"]))
    layer = place.get("layer")
    return f"{name}, layer {layer:g}" if isinstance(layer, int | float) else name


def _dose(condition: dict[str, Any]) -> float | None:
    dose = condition["coordinates"].get("dose")
    return float(dose) if isinstance(dose, int | float) else None


def _unit(condition: dict[str, Any]) -> str:
    return str(condition["coordinates"].get("unit", ""))
