"""What the numbers say, in plain words, with what this run could not have seen beside it."""

from __future__ import annotations

from typing import Any

from trimtab.reports.data.rows import TRUTH_INFO
from trimtab.reports.data.statistics import SIGNIFICANCE, significant
from trimtab.reports.draw.format import label, number, p_value, scale, with_interval
from trimtab.reports.sections.effects.cost import broken
from trimtab.reports.sections.selection.tables import selection_finding


def verdicts(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row per treatment and effect metric: the verdict and its numbers."""
    treatments = [c["condition"] for c in summary["conditions"] if c["group"] == "treatment"]
    tests = summary["families"]["baseline"]["tests"]
    return [
        {
            "condition": condition,
            "measure": name,
            "metric": metric["id"],
            "verdict": _verdict(found, tests),
            "n": found["n"] if found else 0,
            "difference": found["difference"] if found else None,
            "interval": found["interval"] if found else None,
            "p_holm": found["p_holm"] if found else None,
            "mde": found["mde"] if found else None,
        }
        for condition in treatments
        for name, metric in _effects(summary)
        for entries in [summary["measures"][name]["conditions"]]
        if condition in entries
        for found in [entries[condition]["metrics"][metric["id"]].get("vs_baseline")]
    ]


def _verdict(found: dict[str, Any] | None, tests: int) -> str:
    if found is None:
        return "no data"
    p = f"Holm p = {p_value(found['p_holm'])}".replace("= <", "< ")
    if significant(found):
        return f"{'higher' if found['difference'] > 0 else 'lower'} than baseline ({p})"
    if found["interval"] is None:
        same = found["wins"] == found["losses"] == 0
        return "equal to baseline on every row" if same else "too little variation for an interval"
    low, high = found["interval"]
    if low <= 0 <= high:
        return "no effect found (interval contains 0)"
    # Flipping the signs of C clusters gives no p below 2^(1 - C).
    hopeless = tests * 2.0 ** (1 - found["num_clusters"]) >= SIGNIFICANCE
    few = f"; {found['num_clusters']} clusters are too few for {tests} tests" if hopeless else ""
    return f"not established (interval excludes 0, but {p}{few})"


def headline_metric(summary: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return (measure, metric) of what a report leads with: truth·info, else the first effect.

    What a judge without a threshold thinks comes last, unless it was checked against people.
    """

    def rank(pair: tuple[str, dict[str, Any]]) -> tuple[bool, bool]:
        return not pair[1]["id"].startswith(TRUTH_INFO), _is_opinion(summary, pair[1])

    return min(_effects(summary), key=rank, default=None)


def _is_opinion(summary: dict[str, Any], metric: dict[str, Any]) -> bool:
    """Return whether it is the probability of a judge that nobody checked against people."""
    checked = {check["judge"] for check in summary["judge_checks"]}
    return metric["name"].endswith("_p") and metric["judge"] not in checked


def _effects(summary: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, metric)
        for name, measure in summary["measures"].items()
        for metric in measure["metrics"]
        if metric["role"] == "effect"
    ]


def _comparisons(
    summary: dict[str, Any], name: str, metric: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return each treatment's comparison with the baseline in a metric."""
    entries = summary["measures"][name]["conditions"]
    return {
        c["condition"]: found
        for c in summary["conditions"]
        if c["group"] == "treatment" and c["condition"] in entries
        if (found := entries[c["condition"]]["metrics"][metric["id"]].get("vs_baseline"))
    }


def best_treatment(summary: dict[str, Any]) -> str | None:
    """Return the treatment with the largest gain in the headline metric; None without data."""
    chosen = headline_metric(summary)
    found = _comparisons(summary, *chosen) if chosen else {}
    if chosen is None or not found:
        return None
    upward = _upward(chosen[1])
    return max(found, key=lambda condition: (upward * found[condition]["difference"], condition))


def _upward(metric: dict[str, Any]) -> int:
    return -1 if metric["higher_is_better"] is False else 1


def finding(summary: dict[str, Any]) -> str:
    """Return the run's main result, and what else is significant; no more than numbers carry."""
    chosen, best = headline_metric(summary), best_treatment(summary)
    if chosen is None:
        return "No metric of this run measures an effect."
    name, metric = chosen
    title, upward = label(metric).removesuffix(" %"), _upward(metric)
    if best is None and (chosen_among := selection_finding(summary)) is not None:
        return chosen_among
    if best is None:
        return f"No treatment has {title} values that can be compared with the baseline."
    numbers = summary["measures"][name]["conditions"][best]["metrics"][metric["id"]]
    found = numbers["vs_baseline"]
    shown = _shown(found, metric)
    prompt, also = _prompt_alone(summary, name, metric), _also(summary, name, metric)
    if significant(found) and upward * found["difference"] > 0:
        verb = "raised" if upward > 0 else "lowered"
        p = f"Holm p = {p_value(found['p_holm'])}".replace("= <", "< ")
        return (
            f"{best} {verb} {title} by {shown} against the baseline "
            f"({p}, n = {found['n']}){_against_random(numbers, upward)}{prompt}."
            f"{broken(summary, best)}{also}"
        )
    tests = summary["families"]["baseline"]["tests"]
    return (
        f"No treatment improved {title} significantly (Holm, {tests} tests): the best, {best}, "
        f"differs from the baseline by {shown} (n = {found['n']}{_power(found, metric)})"
        f"{prompt}.{also}"
    )


def _shown(found: dict[str, Any], metric: dict[str, Any]) -> str:
    shown = with_interval(found["difference"], found["interval"], metric, sign=True)
    return shown if metric["kind"] == "number" else f"{shown} points"


def _also(summary: dict[str, Any], headline: str, metric: dict[str, Any]) -> str:
    """Return the largest significant change in every other effect metric."""
    said = []
    for name, other in _effects(summary):
        compared = _comparisons(summary, name, other)
        changed = {c: found for c, found in compared.items() if significant(found)}
        if changed and (name, other["id"]) != (headline, metric["id"]):
            most = max(changed, key=lambda c: abs(changed[c]["difference"]))
            title = label(other).removesuffix(" %")
            whose = " by an unchecked judge" if _is_opinion(summary, other) else ""
            said.append(f"{title}{whose} {_shown(changed[most], other)} ({most})")
    if not said:
        return ""
    return f" Other metrics that changed significantly, most of all: {', '.join(said)}."


def _power(found: dict[str, Any], metric: dict[str, Any]) -> str:
    if found["mde"] is None:
        return ""
    smallest = number(found["mde"] * scale(metric), percent=metric["kind"] != "number")
    return f"; this run would miss a true difference below {smallest} more than one time in five"


def _prompt_alone(summary: dict[str, Any], measure: str, metric: dict[str, Any]) -> str:
    entries = summary["measures"][measure]["conditions"]
    for condition in (c["condition"] for c in summary["conditions"] if c["group"] == "prompt"):
        numbers = entries.get(condition)
        found = numbers and numbers["metrics"][metric["id"]].get("vs_baseline")
        if found:
            shown = with_interval(found["difference"], found["interval"], metric, sign=True)
            return f"; {condition} alone gives {shown}"
    return ""


def _against_random(numbers: dict[str, Any], upward: int) -> str:
    found = numbers.get("vs_random")
    if found is None:
        return ""
    if significant(found) and upward * found["difference"] > 0:
        return ", significantly more than a random vector of equal norm"
    return ", but not significantly more than a random vector of equal norm"
