"""Tables of selectors and rankings, and what they say in a sentence."""

from __future__ import annotations

from typing import Any

from trimtab.reports.data.statistics import significant
from trimtab.reports.draw.format import DASH, number, p_value, with_interval
from trimtab.reports.draw.tables import Table

_RATE = {"kind": "binary"}
_SHARE = {"kind": "number"}
_RHO = "\N{GREEK SMALL LETTER RHO}"
# Written by every report, so that nobody takes them for a way to choose.
_BOUNDS = ("random", "oracle")


def selection_tables(summary: dict[str, Any]) -> list[Table]:
    """Return the selectors, rankings and health of each set of candidates, test first."""
    return [
        table
        for made in sorted(summary["selection"], key=lambda made: made["split"] != "test")
        if made["problems"]
        for table in (
            selector_table(made),
            ranking_table(made),
            *([ablation_table(made)] if made["ablations"] else []),
            health_table(made),
        )
    ]


def _stem(made: dict[str, Any], what: str) -> str:
    plain = made["condition"] in ("candidates", "baseline")
    return f"{made['measure']}_{what}" + ("" if plain else f"_{_place(made)}")


def _place(made: dict[str, Any]) -> str:
    return str(made["condition"]).removeprefix("candidates, ")


def _title(made: dict[str, Any], what: str) -> str:
    condition = "" if made["condition"] == "candidates" else f", {_place(made)}"
    return (
        f"{what}: {made['measure']}{condition}, {made['problems']} problems, "
        f"{made['candidates']} candidates each, {made['split']} split"
    )


def selector_table(made: dict[str, Any], *, compact: bool = False) -> Table:
    """Return a row per selector: accuracy, differences to random and to majority, gap recovered.

    Args:
        made: An entry of ``summary["selection"]``.
        compact: Leave out the intervals of accuracies and the tests, for a terminal.
    """
    rows = []
    for row in made["selectors"]:
        to_random, to_majority = row.get("vs_random"), row.get("vs_majority")
        right = f"{row['right']:.1f}".removesuffix(".0")
        counts = [f"{right} / {row['n']}"] if compact else [str(row["n"])]
        cells = [
            row["selector"],
            *counts,
            _detectable(to_majority),
            *([] if compact else [right]),
            with_interval(row["mean"], None if compact else row["interval"], _RATE),
            _difference(to_random),
            _difference(to_majority),
        ]
        if not compact:
            cells.append(p_value(to_majority["p"]) if to_majority else "")
        cells.append(_gap(row, compact))
        if not compact:
            cells += [to_majority["test"] if to_majority else "", _mcnemar(row["mcnemar"])]
        rows.append(tuple(cells))
    note = _failures(made) + _NOTE + ("" if compact else _MCNEMAR_NOTE) + _temperatures(made)
    columns = _COMPACT if compact else _COLUMNS
    return Table(_stem(made, "selectors"), _title(made, "Selectors"), columns, tuple(rows), note)


_COMPACT = (
    "selector", "right / n", "detectable", "correct %", "Δ random", "Δ majority", "gap %",
)  # fmt: skip
_COLUMNS = (
    "selector", "n", "detectable", "right", "correct %", "Δ random", "Δ majority", "p (majority)",
    "gap %", "test", "McNemar, ties to the earliest",
)  # fmt: skip
_NOTE = (
    "Ties and the random choice are exact expectations. Detectable: the true difference to "
    "majority, in points, that this many problems find 4 times in 5. Δ: paired difference in "
    "points, with a bootstrap interval that draws whole problems; * p < 0.05 after Holm's "
    "correction over the selectors of this table. Gap: recovered of the way from random to the "
    "oracle. "
)
_MCNEMAR_NOTE = (
    "McNemar: exact test against the vote that gives ties to the earliest answer (only right "
    "here : only right there, p); empty where a choice is an expectation. "
)


def _failures(made: dict[str, Any]) -> str:
    """Return how many candidates have no answer or were cut: an accuracy says nothing without."""
    labelled, total = sum(made["rules"].values()), made["completions"]
    silent = f"{_percent(made['no_answer'], labelled)} have no answer"
    cut = made["truncated"]
    long = "whether any was cut is not known" if cut is None else f"{_percent(cut, total)} were cut"
    return f"Of {total} candidates {silent} and {long}. "


def _temperatures(made: dict[str, Any]) -> str:
    said = [
        f"{name} {found['value']:.3g} ({found['from']})"
        for name, found in made["temperatures"].items()
    ]
    return f"Temperature of weighted votes: {'; '.join(said)}." if said else ""


def _difference(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    text = with_interval(found["difference"], found["interval"], _RATE, sign=True)
    return text + "*" if significant(found) else text


def _gap(row: dict[str, Any], compact: bool) -> str:
    if row["gap"] is None or row["selector"] in _BOUNDS:
        return ""
    return with_interval(row["gap"]["mean"], None if compact else row["gap"]["interval"], _RATE)


def _detectable(found: dict[str, Any] | None) -> str:
    return "" if found is None or found["mde"] is None else number(100 * found["mde"])


def _mcnemar(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"{found['wins']} : {found['losses']}, p = {p_value(found['p'])}".replace("= <", "< ")


def ranking_table(made: dict[str, Any], *, compact: bool = False) -> Table:
    """Return how well each number ranks candidates: over all of them, and within a problem.

    ``compact`` leaves out the counts of scored candidates where all are, for a terminal.
    """
    counted = not compact or any(found["unscored"] for found in made["rankings"])
    rows = []
    for found in made["rankings"]:
        calibration = found.get("calibration") or {}
        rows.append(
            (
                found["ranking"],
                *((str(found["scored"]), str(found["unscored"])) if counted else ()),
                number(found["pooled_auc"], percent=False),
                with_interval(found["within_auc"], found["within_interval"], _SHARE),
                f"{found['pairs']} in {found['problems']}",
                number(found["length_correlation"], sign=True, percent=False),
                number(calibration.get("ece"), percent=False),
            )
        )
    columns = ("ranking", *(("scored", "unscored") if counted else ()), "pooled AUC")
    more = ("within-problem AUC", "pairs", f"{_RHO} with length", "calibration error")
    note = (
        "AUC: the chance that a right candidate is ranked above a wrong one; 0.5 is chance. The "
        "pooled one can be earned by telling easy problems from hard ones, the one within problems "
        f"can't. Pairs: of a right and a wrong candidate, in problems that have both. {_RHO}: "
        "Spearman's, of the score (lower is better) with characters. Calibration error: of "
        "sigmoid(-energy) as a probability, ten bins of equal size."
    )
    title = _title(made, "Rankings")
    return Table(_stem(made, "rankings"), title, columns + more, tuple(rows), note)


def ablation_table(made: dict[str, Any]) -> Table:
    """Return what each model is worth when it is shown less than the pair."""
    rows = tuple(
        (
            found["ranking"],
            found["whole"] or "",
            with_interval(found["mean"], found["interval"], _RATE),
            _difference(found["vs_random"]),
            _difference(found["vs_whole"]),
            number(found["pooled_auc"], percent=False),
            with_interval(found["within_auc"], found["within_interval"], _SHARE),
            number(found["length_correlation"], sign=True, percent=False),
        )
        for found in made["ablations"]
    )
    columns = ("shown less", "of", "lowest is right %", "Δ random", "Δ shown everything")
    more = ("pooled AUC", "within-problem AUC", f"{_RHO} with length")
    note = (
        "The same fitted model, scored on changed pairs: a ranking that stays as good does not "
        "read what was taken away. Length only and format only are fitted on the same candidates. "
        "* p < 0.05 after Holm's correction over this table."
    )
    title = _title(made, "Ablations")
    return Table(_stem(made, "ablations"), title, columns + more, rows, note)


def health_table(made: dict[str, Any]) -> Table:
    """Return what an accuracy must not be read without: no answers, cut texts, rules, labels."""
    total = made["completions"]
    rules = sum(made["rules"].values())
    shares = ", ".join(
        f"{rule} {number(100 * count / rules)} %" for rule, count in made["rules"].items()
    )
    cut = DASH if made["truncated"] is None or not total else _percent(made["truncated"], total)
    disagreeing = made["disagreeing"]
    recorded = made["labeller"] == "recorded"
    rows = (
        ("labels and answers", "from the file" if recorded else f"by the judge {made['labeller']}"),
        ("problems", str(made["problems"])),
        ("problems left out: a candidate or its label is missing", str(made["incomplete"])),
        ("problems with right and wrong candidates", str(made["mixed"])),
        ("candidates", str(total)),
        ("no answer in the file" if recorded else "no answer", _percent(made["no_answer"], rules)),
        ("cut at the token limit", cut),
        ("rules that found the answer", shares or DASH),
        (
            "labels that the extractor would set otherwise",
            DASH if disagreeing is None else f"{disagreeing[0]} of {disagreeing[1]}",
        ),
    )
    return Table(_stem(made, "candidates"), _title(made, "Candidates"), ("what", "found"), rows)


def _percent(count: int, total: int) -> str:
    return DASH if not total else f"{count} ({number(100 * count / total)} %)"


def _headline(summary: dict[str, Any]) -> dict[str, Any] | None:
    """Return the set of candidates that a report leads with: the first of the test split."""
    return next((m for m in summary["selection"] if m["problems"] and m["split"] == "test"), None)


def selection_cards(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (selector, accuracy, difference to majority): what bounds rankings, and rankings."""
    made = _headline(summary)
    if made is None:
        return []
    by_name = {row["selector"]: row for row in made["selectors"]}
    shown = ("random", "majority", *made["selectors_by_ranking"], "oracle")
    cards = []
    for row in (by_name[name] for name in shown if name in by_name):
        against = _difference(row.get("vs_majority"))
        detail = f"Δ majority {against}" if against else f"n = {row['n']}"
        cards.append(
            (f"{row['selector']} %", with_interval(row["mean"], row["interval"], _RATE), detail)
        )
    return cards


def selection_finding(summary: dict[str, Any]) -> str | None:
    """Return in words how each ranking does against majority; None without candidates."""
    made = _headline(summary)
    if made is None:
        return None
    by_name = {row["selector"]: row for row in made["selectors"]}
    random, majority, oracle = (
        f"{number(100 * by_name[name]['mean'])} %" for name in ("random", "majority", "oracle")
    )
    text = (
        f"Of {made['candidates']} candidates for each of {made['problems']} problems, a random "
        f"one is right on {random}, the majority's answer on {majority}, the oracle's on {oracle}."
    )
    for name in made["selectors_by_ranking"]:
        if name in by_name:
            text += " " + _against_majority(by_name[name])
    return text


def _against_majority(row: dict[str, Any]) -> str:
    found = row.get("vs_majority")
    share = f"{row['selector'].capitalize()} is right on {number(100 * row['mean'])} %"
    if found is None:
        return f"{share}."
    shown = with_interval(found["difference"], found["interval"], _RATE, sign=True)
    if significant(found):
        verb = "beats" if found["difference"] > 0 else "is worse than"
    else:
        verb = "does not differ significantly from"
    power = ""
    if not significant(found) and found["mde"] is not None:
        power = f"; {number(100 * found['mde'])} would be found 4 times in 5"
    return f"{share} and {verb} majority ({shown} points, n = {found['n']}{power})."
