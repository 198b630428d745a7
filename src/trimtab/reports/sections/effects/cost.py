"""What a condition broke, in a sentence, so that no gain is told without its cost."""

from __future__ import annotations

from typing import Any

from trimtab.reports.draw.format import label, number, with_interval

_LEAST_POINTS = 0.05
_LEAST_RATIO = 1.1


def broken(summary: dict[str, Any], condition: str) -> str:
    """Return the damage of ``condition`` against the baseline; "" if there is none to speak of.

    Told are shares that got worse by 5 points or more, a length that at least halved or doubled,
    and a perplexity that rose by a tenth or more; each with an interval that leaves out no change.
    """
    said = []
    for block in summary["measures"].values():
        entry = block["conditions"].get(condition)
        base = block["conditions"].get(summary["baseline"])
        for metric in block["metrics"] if entry and base else ():
            numbers = entry["metrics"][metric["id"]]
            found = numbers.get("vs_baseline")
            if metric["role"] == "damage" and found is not None:
                said += _share(metric, found)
                said += _length(metric, numbers, base["metrics"][metric["id"]], found)
            said += _perplexity(numbers.get("perplexity_ratio"))
    return f" At a cost: {', '.join(said)}." if said else ""


def _share(metric: dict[str, Any], found: dict[str, Any]) -> list[str]:
    if metric["kind"] == "number" or metric["higher_is_better"] is None or not _clear(found):
        return []
    worse = found["difference"] * (-1 if metric["higher_is_better"] else 1)
    if worse < _LEAST_POINTS:
        return []
    shown = with_interval(found["difference"], found["interval"], metric, sign=True)
    return [f"{label(metric).removesuffix(' %')} {shown} points"]


def _length(
    metric: dict[str, Any], numbers: dict[str, Any], base: dict[str, Any], found: dict[str, Any]
) -> list[str]:
    now, before = numbers["mean"], base["mean"]
    if metric["name"] != "words" or not _clear(found) or before / 2 < now < before * 2:
        return []
    return [f"{number(now, percent=False)} words for {number(before, percent=False)}"]


def _perplexity(ratio: dict[str, Any] | None) -> list[str]:
    if ratio is None or ratio["mean"] is None or ratio["mean"] < _LEAST_RATIO:
        return []
    if ratio["interval"] is None or (low := ratio["interval"][0]) is None or low <= 1:
        return []
    shown = with_interval(ratio["mean"], ratio["interval"], {"kind": "number"})
    return [f"perplexity {shown} times the baseline's"]


def _clear(found: dict[str, Any]) -> bool:
    bounds = found["interval"]
    return bounds is not None and not bounds[0] <= 0 <= bounds[1]
