"""Tables about truth and information together, length, categories, and the judges themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trimtab.reports.data.rows import TRUTH_INFO
from trimtab.reports.draw.format import DASH, label, number, with_interval
from trimtab.reports.draw.tables import Table, difference

_VERBOSITY = ("words", "tokens", "truncated", "follow_up", "empty", "refusal", "repetition")
_RATE = {"kind": "binary"}


def truth_tables(summary: dict[str, Any]) -> list[Table]:
    """Return truth, information and both at once for every pair of judges that gives them.

    An intervention that silences the model is truthful: the three belong side by side.
    """
    found = []
    checked = {check["judge"] for check in summary["judge_checks"]}
    for name, block in summary["measures"].items():
        by_id = {metric["id"]: metric for metric in block["metrics"]}
        for both in (m for m in block["metrics"] if m["name"] == TRUTH_INFO):
            parts = [by_id[part] for part in both["parts"]]
            title = f"Truth and information, {name}"
            suffix = both["id"].removeprefix(TRUTH_INFO)
            table = _beside_baseline(
                summary, name, [*parts, both], f"{name}_truth{suffix}", title + suffix
            )
            unknown = sorted({part["judge"] for part in parts} - checked)
            if unknown:
                said = (
                    f" Nobody checked {' and '.join(unknown)} against people in this run "
                    "(`trimtab judge-check`): what these rates are worth is not known."
                )
                table = replace(table, note=table.note + said)
            found.append(table)
    return found


def verbosity_tables(summary: dict[str, Any]) -> list[Table]:
    """Return how long the answers are and how they end, with the change to the baseline."""
    found = []
    for name, block in summary["measures"].items():
        by_name = {metric["name"]: metric for metric in block["metrics"]}
        shown = [by_name[key] for key in _VERBOSITY if key in by_name]
        if "words" in by_name:
            title = f"Length and endings, {name}"
            found.append(_beside_baseline(summary, name, shown, f"{name}_verbosity", title))
    return found


def _beside_baseline(
    summary: dict[str, Any], measure: str, metrics: list[dict[str, Any]], name: str, title: str
) -> Table:
    block = summary["measures"][measure]
    columns = ["condition", "n"]
    for metric in metrics:
        columns += [label(metric), f"Δ {label(metric).removesuffix(' %')}"]
    rows = []
    for condition in (c["condition"] for c in summary["conditions"]):
        entry = block["conditions"].get(condition)
        if entry is None:
            continue
        numbers = [entry["metrics"][metric["id"]] for metric in metrics]
        counts = sorted({found["n"] for found in numbers})
        scored = DASH.join(map(str, counts[:1] + counts[1:][-1:]))
        cells = [condition, f"{scored}/{entry['counts']['planned']}"]
        for metric, found in zip(metrics, numbers, strict=True):
            cells.append(with_interval(found["mean"], found["interval"], metric))
            cells.append(difference(found.get("vs_baseline"), metric))
        rows.append(tuple(cells))
    note = (
        f"Mean [95 % interval]; Δ: paired difference to {summary['baseline']}; n: scored of "
        "planned completions."
    )
    return Table(name, title, tuple(columns), tuple(rows), note)


def agreement_table(summary: dict[str, Any]) -> Table | None:
    """Return how far each two judges of one question agree; None if none has a second judge."""
    rows = []
    for found in summary["agreement"]:
        alpha = number(found["alpha"], percent=False)
        for pair in found["pairs"]:
            shared = [f"{number(pair[key] * 100)} %" for key in _SHARES if key in pair]
            kappa = with_interval(pair.get("kappa"), pair.get("interval"), {"kind": "number"})
            rows.append(
                (
                    f"{pair['left']} / {pair['right']}",
                    found["measure"],
                    found["metric"],
                    str(pair["n"]),
                    *(shared or [DASH] * len(_SHARES)),
                    kappa,
                    alpha,
                )
            )
    if not rows:
        return None
    columns = ("judges", "measure", "metric", "n", "agree", "yes, first", "yes, second", "kappa")
    note = (
        "Kappa: Cohen's, with an interval that draws whole questions; alpha: Krippendorff's, over "
        "all judges of the metric. All conditions are pooled. Judges may agree and be wrong: check "
        "them against people with `trimtab judge-check`."
    )
    return Table("agreement", "Agreement of judges", (*columns, "alpha"), tuple(rows), note)


_SHARES = ("agreement", "yes_left", "yes_right")


def check_table(summary: dict[str, Any]) -> Table | None:
    """Return what each judge is worth against people; None if no judge of the run was checked."""
    rows = []
    for check in summary["judge_checks"]:
        figures = [
            with_interval(found["value"], found["interval"], kind)
            if (found := check.get(name))
            else DASH
            for name, kind in _FIGURES.items()
        ]
        length = (check.get("length") or {}).get("bias")
        rows.append(
            (
                check["judge"],
                check["metric"],
                f"{check['judged']}/{check['n']}",
                str(check["labels_total"]),
                *figures,
                number(length, percent=False),
                check["verdict"],
            )
        )
    if not rows:
        return None
    columns = ("judge", "metric", "judged", "of labels", "sensitivity %", "specificity %", "kappa")
    note = (
        "Against human labels; where fewer were asked for than there are, a random draw of them. "
        "Sensitivity: yes where people say yes; specificity: no where they "
        "say no. Length: the chance that of two answers with the same label, one accepted and one "
        "not, the longer is the accepted one; 0.5 is no bias."
    )
    title = "Judges against people"
    return Table("judge_checks", title, (*columns, "length", "verdict"), tuple(rows), note)


_FIGURES: dict[str, dict[str, str]] = {
    "sensitivity": _RATE,
    "specificity": _RATE,
    "kappa": {"kind": "number"},
}


def corrected_table(summary: dict[str, Any]) -> Table | None:
    """Return raw rates beside what the judge's measured mistakes say they would be."""
    rows = []
    for check in summary["judge_checks"]:
        conditions = summary["measures"][check["measure"]]["conditions"]
        for condition in (c["condition"] for c in summary["conditions"]):
            numbers = conditions.get(condition, {"metrics": {}})["metrics"].get(check["id"])
            if numbers is None:
                continue
            fixed = numbers["corrected"] or {}
            rows.append(
                (
                    condition,
                    check["id"],
                    with_interval(numbers["mean"], numbers["interval"], _RATE),
                    _estimate(fixed.get("rogan_gladen")),
                    _estimate(fixed.get("prediction_powered")),
                    difference(numbers.get("vs_baseline"), {**_RATE, "id": check["id"]}),
                    _estimate(fixed.get("difference"), sign=True),
                )
            )
    if not rows:
        return None
    columns = ("condition", "metric", "raw %", "Rogan-Gladen %", "prediction-powered %")
    note = (
        "Corrected for the mistakes that the judge made on labelled answers. Rogan-Gladen carries "
        "over its two error rates, the prediction-powered estimate its mean error: both assume "
        "that it errs on these answers as on the labelled ones, and that steering does not change "
        "how it errs. No estimate where the judge can't be told from chance."
    )
    title = "Corrected for the judge's mistakes"
    return Table("corrected", title, (*columns, "raw Δ", "corrected Δ"), tuple(rows), note)


def _estimate(found: dict[str, Any] | None, *, sign: bool = False) -> str:
    if found is None:
        return DASH
    if found["value"] is None:
        return found["method"].removeprefix("none: ")  # type: ignore[no-any-return]
    return with_interval(found["value"], found["interval"], _RATE, sign=sign)


def category_table(summary: dict[str, Any]) -> Table | None:
    """Return the headline metric by category; None where questions have none."""
    found = summary["categories"]
    if found is None or len(found["rows"]) < 2:
        return None
    metric = next(
        m for m in summary["measures"][found["measure"]]["metrics"] if m["id"] == found["metric"]
    )
    columns = ["category", "questions", f"{summary['baseline']}: {label(metric)}"]
    columns += [f"Δ {condition}" for condition in found["conditions"]]
    rows = [
        (
            row["category"],
            str(row["n"]),
            with_interval(row["baseline"], None, metric),
            *(difference(row["changes"][c], metric) or DASH for c in found["conditions"]),
        )
        for row in found["rows"]
    ]
    note = (
        "Paired differences to the baseline over the questions of one category, uncorrected: with "
        "so many small samples some differ by chance."
    )
    title = f"By category, {found['measure']}"
    return Table("categories", title, tuple(columns), tuple(rows), note)
