"""Tables as plain rows of text, and the forms they are written in: terminal, Markdown, CSV."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimtab.reports.data.rows import NLL
from trimtab.reports.data.statistics import significant
from trimtab.reports.draw.format import DASH, label, number, p_value, scale, with_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import rich.table

# Damage metrics in the order a reader wants them; unknown ones follow.
_DAMAGE = ("kl", "same_answer", "repetition", "words", "truncated", "empty", "refusal", "collapsed")
# Said by another column already, or too weak a sign for one; they are in ``numbers_table``.
_MINOR = ("tokens", "follow_up")


@dataclass(frozen=True)
class Table:
    """A titled table of text cells; the first column names the row.

    Attributes:
        name: File name without ending.
        title: Heading.
        columns: Column headings.
        rows: Cells, one tuple per row.
        note: What a reader must know to read it.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def to_markdown(self) -> str:
        """Return the table as a Markdown table with its title and note."""
        lines = [self.columns, ("---", *("---:" for _ in self.columns[1:])), *self.rows]
        body = "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
            for line in lines
        )
        return f"### {self.title}\n\n{body}\n" + (f"\n{self.note}\n" if self.note else "")

    def to_csv(self) -> str:
        """Return the table as CSV with a header row and Unix line ends."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return out.getvalue()

    def to_rich(self) -> rich.table.Table:
        """Return the table for a terminal; labels are text, never markup."""
        import rich.table
        import rich.text

        made = rich.table.Table(
            title=rich.text.Text(self.title, "bold"),
            caption=rich.text.Text(self.note) if self.note else None,
            title_justify="left",
            caption_justify="left",
        )
        for index, column in enumerate(self.columns):
            made.add_column(rich.text.Text(column), justify="right" if index else "left")
        for row in self.rows:
            made.add_row(*(rich.text.Text(cell) for cell in row))
        return made


def condition_table(
    summary: dict[str, Any],
    measure: str,
    metrics: Sequence[str] | None = None,
    *,
    compact: bool = False,
) -> Table:
    """Return the effects of one measure: a row per condition, each metric with its difference.

    Args:
        summary: What ``summarise`` returned.
        measure: A key of ``summary["measures"]``.
        metrics: Metric ids to show; None is what ``effect_metrics`` names.
        compact: Leave out the intervals of means and empty columns, for a terminal; differences
            keep their intervals.
    """
    block = summary["measures"][measure]
    by_id = {m["id"]: m for m in block["metrics"]}
    shown = [by_id[name] for name in metrics or effect_metrics(block)]
    columns = ["condition", "n"]
    for metric in shown:
        columns += [label(metric), f"Δ {label(metric).removesuffix(' %')}"]
    rows = []
    single = {c["condition"] for c in summary["conditions"] if c["group"] == "vector"}
    for condition in (name for name in _labels(summary, block) if name not in single):
        entry = block["conditions"][condition]
        cells = [condition, _scored(entry, shown)]
        for metric in shown:
            numbers = entry["metrics"][metric["id"]]
            interval = None if compact else numbers["interval"]
            cells.append(with_interval(numbers["mean"], interval, metric))
            cells.append(difference(numbers.get("vs_baseline"), metric))
        rows.append(tuple(cells))
    if compact:
        kept = [i for i in range(len(columns)) if i < 2 or any(row[i] for row in rows)]
        columns = [columns[i] for i in kept]
        rows = [tuple(row[i] for i in kept) for row in rows]
    tests = summary["families"]["baseline"]["tests"]
    note = "Mean" if compact else "Mean [95 % interval]"
    if len(rows) > 1:
        note += (
            f"; Δ: paired difference to {summary['baseline']}{' [95 % interval]' * compact}; * "
            f"p < 0.05 after Holm's correction over {tests} tests"
        )
    note += "; n: scored of planned completions."
    title = f"{measure}: {block['task']}, {block['units']} questions, {block['split']} split"
    return Table(f"{measure}_effects", title, tuple(columns), tuple(rows), note)


def effect_metrics(block: dict[str, Any]) -> list[str]:
    """Return the ids of a measure's effects, derived ones first; all metrics if it has none.

    Where a judge gives a verdict and its probability (``truth`` and ``truth_p``), the verdict.
    """
    names = {m["name"] for m in block["metrics"]}
    twins = {f"{name}_p" for name in names} & names
    shown = [m for m in block["metrics"] if m["role"] == "effect" and m["name"] not in twins]
    return [m["id"] for m in sorted(shown or block["metrics"], key=lambda m: not m["derived"])]


def difference(found: dict[str, Any] | None, metric: dict[str, Any]) -> str:
    """Return ``+4.2 [1.0, 9.4]``, with a star if it survives Holm's correction."""
    if found is None:
        return ""
    text = with_interval(found["difference"], found["interval"], metric, sign=True)
    return text + "*" if significant(found) else text


_ZERO = re.compile(r"0(\.0+)?( %)?")


def damage_table(summary: dict[str, Any], *, compact: bool = False) -> Table:
    """Return what each condition broke: a row per condition, over all measures.

    ``compact`` leaves out intervals and columns that are zero throughout, for a terminal.
    """
    columns: list[tuple[str, dict[str, str]]] = []
    kept = _damage_metrics(summary)
    if any(metric["name"] == NLL for _, metric in _all_metrics(summary)):
        columns.append(("perplexity ratio", _perplexity(summary, compact)))
    names = [metric["name"] for _, metric in kept]
    for measure, metric in kept:
        where = f", {measure}" if names.count(metric["name"]) > 1 else ""
        columns.append((label(metric) + where, _means(summary, measure, metric, compact)))
    counted = [name for name in ("truncated", "errors", "missing") if name not in names]
    columns += [(name, _rates(summary, name)) for name in counted]
    columns.append(("unscored", _unscored(summary)))
    if compact:
        columns = [(n, c) for n, c in columns if not all(_ZERO.fullmatch(x) for x in c.values())]
    rows = tuple(
        (c["condition"], *(cells.get(c["condition"], DASH) for _, cells in columns))
        for c in summary["conditions"]
        if c["group"] != "vector"
    )
    told = [
        text for name, text in _DAMAGE_NOTES.items() if any(n.startswith(name) for n, _ in columns)
    ]
    note = "; ".join([*told, "a dash is a missing number, not a zero."])
    note = note[0].upper() + note[1:]
    return Table("damage", "Damage", ("condition", *(n for n, _ in columns)), rows, note)


_DAMAGE_NOTES = {
    "perplexity ratio": "perplexity ratio: exp of the mean paired difference in nats per token to "
    "the baseline",
    "kl": "kl: from the baseline, nats per token unless a unit is given",
    "same_answer": "same_answer: texts that another question of the condition got too",
    "truncated": "truncated: texts cut at the token limit",
    "unscored": "unscored: share of judgements without a value, over all judges",
}


def verdict_table(summary: dict[str, Any]) -> Table:
    """Return the verdicts, with the difference this run could have found beside each."""
    metrics = {(measure, m["id"]): m for measure, m in _all_metrics(summary)}
    rows = []
    for verdict in summary["verdicts"]:
        metric = metrics[verdict["measure"], verdict["metric"]]
        smallest = None if verdict["mde"] is None else verdict["mde"] * scale(metric)
        rows.append(
            (
                verdict["condition"],
                verdict["measure"],
                label(metric),
                verdict["verdict"],
                with_interval(verdict["difference"], verdict["interval"], metric, sign=True),
                p_value(verdict["p_holm"]),
                str(verdict["n"]),
                number(smallest, percent=metric["kind"] != "number"),
            )
        )
    columns = ("condition", "measure", "metric", "verdict", "Δ to baseline", "p (Holm)", "n pairs")
    note = (
        "Detectable: the true difference that this many pairs find with 80 % power at p < 0.05 "
        "before correction. Finding nothing says little about effects smaller than that."
    )
    return Table("verdicts", "Verdicts", (*columns, "detectable"), tuple(rows), note)


def control_table(summary: dict[str, Any], reference: str) -> Table | None:
    """Return each treatment against ``prompt`` or ``random``; None if there is no such control."""
    rows = []
    for condition in (c["condition"] for c in summary["conditions"] if c["group"] == "treatment"):
        for measure, metric in _all_metrics(summary):
            entry = summary["measures"][measure]["conditions"].get(condition)
            found = entry and entry["metrics"][metric["id"]].get(f"vs_{reference}")
            if metric["role"] == "effect" and found:
                tally = f"{found['wins']} / {found['losses']} / {found['ties']}"
                cells = (condition, measure, label(metric), difference(found, metric))
                rows.append((*cells, p_value(found["p_holm"]), tally))
    if not rows:
        return None
    title = {"prompt": "Against the prompt", "random": "Against random vectors of equal norm"}
    columns = ("condition", "measure", "metric", "Δ", "p (Holm)", "wins / losses / ties")
    tests = summary["families"][reference]["tests"]
    note = f"Paired differences; * p < 0.05 after Holm's correction over {tests} tests."
    return Table(f"against_{reference}", title[reference], columns, tuple(rows), note)


def vectors_table(summary: dict[str, Any]) -> Table | None:
    """Return how much the vectors of a bank differ in their effects; None without a bank."""
    rows = []
    for condition in (c["condition"] for c in summary["conditions"] if "share" in c):
        for measure, metric in _all_metrics(summary):
            entry = summary["measures"][measure]["conditions"].get(condition)
            found = entry and entry["metrics"][metric["id"]].get("vs_baseline")
            if metric["role"] != "effect" or not found or "vectors" not in found:
                continue
            among, factor = found["vectors"], scale(metric)
            percent = metric["kind"] != "number"
            ends = (among["sd"], among["low"], among["high"])
            rows.append(
                (
                    *(condition, measure, label(metric), str(among["num"])),
                    difference(found, metric),
                    with_interval(
                        found["difference"], found["interval_questions"], metric, sign=True
                    ),
                    *(number(x if x is None else x * factor, percent=percent) for x in ends),
                    f"{100 * among['share']:.0f} %",
                )
            )
    if not rows:
        return None
    columns = ("condition", "measure", "metric", "vectors", "Δ, both", "Δ, questions only")
    note = (
        "Paired differences to the baseline, mean over vectors. Both: the interval covers which "
        "questions were asked and which questions made the vectors. sd: of a single vector, "
        "corrected for the questions that vectors share. drawn: share of the fit questions in each "
        "vector; at 100 % all vectors are the same and no interval can cover them."
    )
    title = "Vectors of the bank"
    return Table(
        "bank_vectors", title, (*columns, "sd", "lowest", "highest", "drawn"), tuple(rows), note
    )


def numbers_table(summary: dict[str, Any]) -> Table:
    """Return every estimate in long form, unrounded, in the metrics' own units: for machines."""
    columns = ("measure", "condition", "metric", "n_planned", "n", "mean", "low", "high")
    compared = ("n_pairs", "difference", "difference_low", "difference_high", "p", "p_holm")
    rows = []
    for measure, block in summary["measures"].items():
        for condition in _labels(summary, block):
            for metric, found in block["conditions"][condition]["metrics"].items():
                to_base = found.get("vs_baseline") or {}
                values = (
                    *(found["n_planned"], found["n"], found["mean"], *_ends(found)),
                    *(to_base.get("n"), to_base.get("difference"), *_ends(to_base)),
                    *(to_base.get("p"), to_base.get("p_holm")),
                )
                cells = ("" if value is None else repr(value) for value in values)
                rows.append((measure, condition, metric, *cells))
    return Table("numbers", "All numbers", (*columns, *compared), tuple(rows))


def _ends(found: dict[str, Any]) -> list[float | None]:
    return found.get("interval") or [None, None]


def all_tables(summary: dict[str, Any]) -> list[Table]:
    """Return every table of a report, in reading order."""
    effects = [
        condition_table(summary, name)
        for name, block in summary["measures"].items()
        if any(metric["role"] == "effect" for metric in block["metrics"])
    ]
    controls = [control_table(summary, reference) for reference in ("prompt", "random")]
    found = [table for table in (vectors_table(summary), *controls) if table is not None]
    return [*effects, damage_table(summary), verdict_table(summary), *found]


def _labels(summary: dict[str, Any], block: dict[str, Any]) -> list[str]:
    return [c["condition"] for c in summary["conditions"] if c["condition"] in block["conditions"]]


def _scored(entry: dict[str, Any], metrics: Sequence[dict[str, Any]]) -> str:
    """Return ``412/420``, or ``409-412/420`` where metrics differ."""
    counts = [entry["metrics"][metric["id"]]["n"] for metric in metrics]
    low, high = min(counts, default=0), max(counts, default=0)
    scored = str(low) if low == high else f"{low}{DASH}{high}"
    return f"{scored}/{entry['counts']['planned']}"


def _all_metrics(summary: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, m) for name, block in summary["measures"].items() for m in block["metrics"]]


def _damage_metrics(summary: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    damage = [
        pair
        for pair in _all_metrics(summary)
        if pair[1]["role"] == "damage" and pair[1]["name"] not in (NLL, *_MINOR)
    ]
    rank = {name: index for index, name in enumerate(_DAMAGE)}
    return sorted(damage, key=lambda pair: rank.get(pair[1]["name"], len(rank)))


def _means(
    summary: dict[str, Any], measure: str, metric: dict[str, Any], compact: bool
) -> dict[str, str]:
    return {
        condition: with_interval(numbers["mean"], None if compact else numbers["interval"], metric)
        for condition, entry in summary["measures"][measure]["conditions"].items()
        for numbers in [entry["metrics"][metric["id"]]]
    }


def _perplexity(summary: dict[str, Any], compact: bool) -> dict[str, str]:
    cells = {summary["baseline"]: "1"}
    plain = {"kind": "number"}
    for block in summary["measures"].values():
        for condition, entry in block["conditions"].items():
            for numbers in entry["metrics"].values():
                if (ratio := numbers.get("perplexity_ratio")) is not None:
                    interval = None if compact else ratio["interval"]
                    cells[condition] = with_interval(ratio["mean"], interval, plain)
    return cells


def _rates(summary: dict[str, Any], name: str) -> dict[str, str]:
    """Return ``count/planned`` per condition, over all its completions."""
    totals: dict[str, tuple[int, int]] = {}
    for block in summary["measures"].values():
        if name == "truncated" and block["output"] != "text":
            continue
        for condition, entry in block["conditions"].items():
            bad, planned = totals.get(condition, (0, 0))
            counts = entry["counts"]
            if counts[name] is not None:
                totals[condition] = (bad + counts[name], planned + counts["planned"])
    return {c: "0" if bad == 0 else f"{bad}/{planned}" for c, (bad, planned) in totals.items()}


def _unscored(summary: dict[str, Any]) -> dict[str, str]:
    totals: dict[str, tuple[int, int]] = {}
    for block in summary["measures"].values():
        given = [metric["id"] for metric in block["metrics"] if not metric["derived"]]
        for condition, entry in block["conditions"].items():
            for numbers in (entry["metrics"][name] for name in given):
                gone, planned = totals.get(condition, (0, 0))
                gone, planned = gone + numbers["n_unscored"], planned + numbers["n_planned"]
                totals[condition] = (gone, planned)
    return {c: f"{number(100 * gone / n)} %" for c, (gone, n) in totals.items() if n}
