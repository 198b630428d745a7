"""What steering did to each behaviour and to what it should leave alone: A/B letters, side by side.

A behaviour is a measure with the metric ``matching``; a side effect one with ``right_letter``, on
which a condition of the same label was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trimtab.reports.data.statistics import significant
from trimtab.reports.draw.format import DASH, MINUS, scale, with_interval
from trimtab.reports.draw.tables import Table, difference

MATCHING, RIGHT = "matching", "right_letter"


def summarise_behaviours(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one entry per behaviour, in plan order; empty for a run without any.

    Returns:
        ``measure``, ``metric``, ``n`` (questions), ``mean`` and ``interval`` of the baseline;
        ``strengths``: by ascending strength its condition, the paired difference to the baseline
        (``effect``, as in ``measures``), a ``verdict`` in one word or two, and ``side_effects``:
        the same of each side effect that was measured, whose verdicts are uncorrected.
    """
    places = {c["condition"]: c["coordinates"].get("dose") for c in summary["conditions"]}
    groups = {c["condition"]: c["group"] for c in summary["conditions"]}
    rows = []
    for name, block, metric in _holders(summary, MATCHING):
        base = block["conditions"].get(summary["baseline"], {}).get("metrics", {}).get(metric, {})
        doses = sorted(
            (places[label], label)
            for label in block["conditions"]
            if groups[label] == "treatment" and isinstance(places[label], int | float)
        )
        rows.append(
            {
                "measure": name,
                "metric": metric,
                "n": block["units"],
                "mean": base.get("mean"),
                "interval": base.get("interval"),
                "strengths": [_strength(summary, block, metric, *at) for at in doses],
            }
        )
    return rows


def _strength(
    summary: dict[str, Any], block: dict[str, Any], metric: str, dose: float, label: str
) -> dict[str, Any]:
    found = _effect(block, label, metric)
    sides = [
        {"measure": name, "effect": effect, "verdict": _word(effect, corrected=False)}
        for name, other, right in _holders(summary, RIGHT)
        for effect in [_effect(other, label, right)]
        if effect is not None
    ]
    verdict = _word(found, corrected=True)
    return {
        "dose": dose,
        "condition": label,
        "effect": found,
        "verdict": verdict,
        "side_effects": sides,
    }


def _holders(summary: dict[str, Any], metric: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield (measure, its block, metric id) of every measure that has ``metric``."""
    for name, block in summary["measures"].items():
        for given in block["metrics"]:
            if given["name"] == metric:
                yield name, block, given["id"]


def _effect(block: dict[str, Any], label: str, metric: str) -> dict[str, Any] | None:
    entry = block["conditions"].get(label)
    found: dict[str, Any] | None = entry and entry["metrics"][metric].get("vs_baseline")
    return found


def _word(found: dict[str, Any] | None, *, corrected: bool) -> str:
    """Return higher, lower, null, not established, or no data."""
    if found is None:
        return "no data"
    interval = found["interval"]
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "null"
    if corrected and not significant(found):
        return "not established"
    return "higher" if found["difference"] > 0 else "lower"


def behaviour_table(summary: dict[str, Any], *, compact: bool = False) -> Table | None:
    """Return a row per behaviour with its effects and side effects; None for other runs.

    Args:
        summary: What ``summarise`` returned.
        compact: Leave out the interval of the baseline, for a terminal.
    """
    rows, doses, sides = summary["behaviours"], _doses(summary), _sides(summary)
    if not rows:
        return None
    columns = ["behaviour", "n", "baseline %", *(f"Δ at {_signed(dose)}" for dose in doses)]
    columns += ["effect", *(f"{side}, Δ at {_signed(dose)}" for side in sides for dose in doses)]
    columns += ["side effect"] if sides else []
    tests = summary["families"]["baseline"]["tests"]
    note = (
        "Baseline: mean probability of the letter whose answer shows the behaviour, over both "
        "letters; each question in every order that was asked, averaged first. Δ: paired "
        "difference in points [95 % interval]. Effect: null where the interval contains 0, not "
        f"established where only Holm's correction over {tests} tests fails; * survives it. Side "
        "effect: the probability of the right letter, null where the interval contains 0, "
        "uncorrected."
    )
    cells = tuple(_cells(row, doses, sides, compact=compact) for row in rows)
    return Table("behaviours", "Behaviours", tuple(columns), cells, note)


_FRACTION = {"kind": "fraction"}


def _cells(
    row: dict[str, Any], doses: list[float], sides: list[str], *, compact: bool
) -> tuple[str, ...]:
    at = {given["dose"]: given for given in row["strengths"]}
    effects = [_shown(at[d]["effect"] if d in at else None) for d in doses]
    words = {d: at[d]["verdict"] for d in doses if d in at}
    found = {(side["measure"], dose): side for dose in at for side in at[dose]["side_effects"]}
    beside = [
        _shown(found[side, d]["effect"] if (side, d) in found else None)
        for side in sides
        for d in doses
    ]
    base = with_interval(row["mean"], None if compact else row["interval"], _FRACTION)
    said = [
        _joined({d: found[side, d]["verdict"] for d in doses if (side, d) in found})
        for side in sides
    ]
    return (
        *(row["measure"], str(row["n"]), base, *effects, _joined(words), *beside),
        *([", ".join(dict.fromkeys(said))] if sides else []),
    )


def _shown(found: dict[str, Any] | None) -> str:
    """Return a difference in points; with two decimals or more where one would show only 0."""
    if found is None:
        return DASH
    values = [found["difference"], *(found["interval"] or ())]
    if max(abs(value) for value in values) * scale(_FRACTION) >= 1:
        return difference(found, _FRACTION)
    points = {
        **found,
        "difference": in_points(found["difference"]),
        "interval": found["interval"] and [in_points(value) for value in found["interval"]],
    }
    return difference(points, {"kind": "number"})


def _joined(words: dict[float, str]) -> str:
    """Return the verdicts by strength; one word if they agree."""
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return ", ".join(f"{_signed(dose)} {word}" for dose, word in words.items()) or DASH


def _signed(dose: float) -> str:
    return f"{dose:+g}".replace("-", MINUS)


def _doses(summary: dict[str, Any]) -> list[float]:
    return sorted({given["dose"] for row in summary["behaviours"] for given in row["strengths"]})


def _sides(summary: dict[str, Any]) -> list[str]:
    return [name for name, _, _ in _holders(summary, RIGHT)]


def behaviours_finding(summary: dict[str, Any]) -> str:
    """Return what was found on all behaviours in one or two sentences."""
    rows = summary["behaviours"]
    tests = summary["families"]["baseline"]["tests"]
    parts, changed = [], []
    for dose in _doses(summary):
        given = [(row["measure"], s) for row in rows for s in row["strengths"] if s["dose"] == dose]
        for word in ("higher", "lower"):
            names = [
                f"{name} ({_shown({**s['effect'], 'interval': None}).rstrip('*')})"
                for name, s in given
                if s["verdict"] == word
            ]
            if names:
                parts.append(f"at {_signed(dose)} {word} for {', '.join(names)}")
        changed += [
            s["condition"]
            for _, s in given
            if any(side["verdict"] not in ("null", "no data") for side in s["side_effects"])
        ]
    words = [s["verdict"] for row in rows for s in row["strengths"]]
    rest = sum(word in ("null", "not established", "no data") for word in words)
    effects = (
        f"Probability of the matching letter (points), {len(rows)} behaviours: "
        f"{'; '.join(parts)}; "
        f"{rest} of {len(words)} effects null or not established (Holm, {tests} tests)."
        if parts
        else f"No effect on the matching letter was established in any of {len(rows)} behaviours "
        f"(Holm, {tests} tests)."
    )
    sides = _sides(summary)
    if not sides:
        return effects
    if not changed:
        return f"{effects} No side effect on {', '.join(sides)} was found."
    return f"{effects} {', '.join(sides)} changed under {', '.join(changed)} (uncorrected)."


def behaviour_cards(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, value, detail) of each behaviour at its largest strength."""
    return [
        (
            f"{row['measure']} {_signed(last['dose'])}",
            f"Δ {_shown(last['effect'])}",
            last["verdict"],
        )
        for row in summary["behaviours"]
        if row["strengths"]
        for last in [row["strengths"][-1]]
    ]


def in_points(value: float | None) -> float | None:
    """Return a difference of probabilities in points."""
    return None if value is None else value * scale(_FRACTION)
