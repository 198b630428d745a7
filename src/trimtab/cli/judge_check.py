"""``judge-check``: judges against human labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from trimtab.cli import phases
from trimtab.cli.terminal import wide_console
from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key, file_sha256
from trimtab.core.plan import JudgePlan
from trimtab.core.spec import ModelSpec
from trimtab.models.load import resolve
from trimtab.reports.data.statistics import is_few
from trimtab.reports.draw.figures import mark_of, note_of
from trimtab.runs.imports.judge_check import create_check, evaluate
from trimtab.runs.imports.labels import Labelled, read_labels
from trimtab.runs.plan.judges import IMPORTED
from trimtab.runs.store.run import Run

_INTERVALS = {
    "parse_rate": "parse rate", "sensitivity": "sensitivity", "specificity": "specificity",
    "error": "label minus judge", "distance": "distance", "same": "same grade", "kappa": "kappa",
}  # fmt: skip
_NUMBERS = {
    "accuracy": "accuracy", "auc": "auc", "yes_rate": "yes rate", "label_rate": "label rate",
    "grade_mean": "mean grade", "label_mean": "mean label",
    "rank_correlation": "rank correlation",
}  # fmt: skip


def check(
    labels: Path,
    run_dir: Path | None,
    judges: tuple[str, ...],
    model: str | None,
    out: Path | None,
    metric: str | None,
    questions: str | None,
    limit: int | None,
    seed: int,
    trusted: bool,
) -> None:
    """Score labelled answers with some judges, compare, and print what came out."""
    if (run_dir is None) == (out is None):
        raise ConfigError("judge-check wants either --run or --out.")
    labelled = read_labels(labels, metric, questions, limit, seed)
    checked = None if run_dir is None else phases.open_run(run_dir, trusted=trusted)
    wanted = _wanted(checked, judges, model, labelled)
    if out is None:
        assert checked is not None
        key = content_key([file_sha256(labels), labelled.metric, limit, seed], 8)
        out = checked.dir / "judge_checks" / f"{labelled.metric}-{key}"
    run = create_check(out, labels, labelled)
    for judge in wanted:
        run.add_judge(judge)
    phases.score_all([run])
    asked = [judge for judge in wanted if _gives(judge, labelled)]
    for result in evaluate(run, asked, labelled.metric, seed):
        show(result)
    wide_console().print(f"check: {run.dir}", soft_wrap=True)


def _wanted(
    run: Run | None, judges: tuple[str, ...], model: str | None, labelled: Labelled
) -> list[JudgePlan]:
    """Return the judges to check, members of panels among them."""
    if run is not None and not judges:
        planned = list(run.judges())
        asked = [judge for judge in planned if _gives(judge, labelled)]
        keys = {key for judge in asked for key in (*judge.members, judge.key)}
        # a check has one measure, so whatever cells a judge was planned for does not matter
        wanted = [j.model_copy(update={"measures": None}) for j in run.judges() if j.key in keys]
    else:
        subject = _subject(run, model)
        planned = [plan for text in judges for plan in phases.parse_judge(text, subject)]
        wanted = planned
    if not any(_gives(judge, labelled) for judge in wanted):
        what = "grade" if labelled.are_grades else "verdict"
        given = sorted({name for judge in planned for name in _checkable(judge, labelled)})
        others = f" They give {', '.join(given)}." * bool(given)
        raise ConfigError(
            f"There is no judge to check that gives a {what} {labelled.metric!r}.{others}",
            hint=f"Say what the labels are about (--metric {given[0] if given else 'NAME'}), or "
            "name a judge of it: --judge '{name: rubric, rubric: truth}'.",
        )
    return wanted


def _gives(judge: JudgePlan, labelled: Labelled) -> bool:
    if labelled.metric in _checkable(judge, labelled):
        return True
    # labels that are all 0 or 1 may be grades of a scale that has both
    return labelled.metric in _metrics(judge, ("number", "fraction")) and not labelled.are_grades


def _checkable(judge: JudgePlan, labelled: Labelled) -> list[str]:
    """Return what a judge says of texts that such labels can be compared with."""
    return _metrics(judge, ("number", "fraction") if labelled.are_grades else ("binary",))


def _metrics(judge: JudgePlan, kinds: tuple[str, ...]) -> list[str]:
    named = [metric.name for metric in judge.metrics if metric.kind in kinds]
    return named if judge.output == "text" else []


def _subject(run: Run | None, model: str | None) -> tuple[ModelSpec, str]:
    if run is not None:
        cell = run.plan.cells[0]
        return cell.model, cell.model_identity
    if model is None:
        return ModelSpec(id=f"{IMPORTED}labels"), "labels"
    resolved = resolve(ModelSpec(id=model))
    return resolved.spec, resolved.identity


def show(result: dict[str, Any]) -> None:
    """Print one judge's figures and what they amount to."""
    table = Table(title=f"{result['judge']}: {result['metric']} against {result['labels']}")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_row("labels", f"{result['n']:,}", "")
    figures = {name: found for name in _INTERVALS if (found := result.get(name)) is not None}
    few = [name for name, found in figures.items() if is_few(found.get("clusters", 0))]
    table.caption = note_of(bool(few)).strip() or None
    for name, found in figures.items():
        ends = found["interval"]
        shown = "" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}{mark_of(name in few)}"
        table.add_row(_INTERVALS[name], _number(found["value"]), shown)
    for name, title in _NUMBERS.items():
        if name in result:
            table.add_row(title, _number(result[name]), "")
    length = result.get("length")
    if isinstance(length, dict):
        table.add_row("length bias (0.5 is none)", _number(length["bias"]), "")
    elif "length" in result:
        table.add_row("length and overrating (0 is none)", _number(length), "")
    console = wide_console()
    console.print(table)
    if result["n"] < result["labels_total"]:
        console.print(
            f"{result['n']:,} of the file's {result['labels_total']:,} labels, drawn at random "
            f"(seed {result['seed']}).",
        )
    console.print(f"{result['judge']}: {result['verdict']}")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
