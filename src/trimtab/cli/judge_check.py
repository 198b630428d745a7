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
from trimtab.runs.imports.judge_check import create_check, evaluate, read_labels
from trimtab.runs.plan.judges import IMPORTED
from trimtab.runs.store.run import Run

_RATES = ("parse_rate", "sensitivity", "specificity", "kappa")


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
    wanted = _wanted(checked, judges, model, labelled.metric)
    if out is None:
        assert checked is not None
        key = content_key([file_sha256(labels), labelled.metric, limit, seed], 8)
        out = checked.dir / "judge_checks" / f"{labelled.metric}-{key}"
    run = create_check(out, labels, labelled)
    for judge in wanted:
        run.add_judge(judge)
    phases.score_all([run])
    asked = [judge for judge in wanted if _gives(judge, labelled.metric)]
    for result in evaluate(run, asked, labelled.metric, seed):
        show(result)
    wide_console().print(f"check: {run.dir}", soft_wrap=True)


def _wanted(
    run: Run | None, judges: tuple[str, ...], model: str | None, metric: str
) -> list[JudgePlan]:
    """Return the judges to check, members of panels among them."""
    if run is not None and not judges:
        planned = list(run.judges())
        asked = [judge for judge in planned if _gives(judge, metric)]
        keys = {key for judge in asked for key in (*judge.members, judge.key)}
        # a check has one measure, so whatever cells a judge was planned for does not matter
        wanted = [j.model_copy(update={"measures": None}) for j in run.judges() if j.key in keys]
    else:
        subject = _subject(run, model)
        planned = [plan for text in judges for plan in phases.parse_judge(text, subject)]
        wanted = planned
    if not any(_gives(judge, metric) for judge in wanted):
        given = sorted({name for judge in planned for name in _verdicts(judge)})
        others = f" They give {', '.join(given)}." * bool(given)
        raise ConfigError(
            f"There is no judge to check that gives a verdict {metric!r}.{others}",
            hint=f"Say what the labels are about (--metric {given[0] if given else 'NAME'}), or "
            "name a judge of it: --judge '{name: rubric, rubric: truth}'.",
        )
    return wanted


def _gives(judge: JudgePlan, metric: str) -> bool:
    return metric in _verdicts(judge)


def _verdicts(judge: JudgePlan) -> list[str]:
    """Return the verdicts on texts that a judge gives."""
    binary = [metric.name for metric in judge.metrics if metric.kind == "binary"]
    return binary if judge.output == "text" else []


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
    rates = {name: found for name in _RATES if (found := result.get(name)) is not None}
    few = [name for name, found in rates.items() if is_few(found.get("clusters", 0))]
    table.caption = note_of(bool(few)).strip() or None
    for name, found in rates.items():
        ends = found["interval"]
        shown = "" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}{mark_of(name in few)}"
        table.add_row(name.replace("_", " "), _number(found["value"]), shown)
    for name in ("accuracy", "auc", "yes_rate", "label_rate"):
        if name in result:
            table.add_row(name.replace("_", " "), _number(result[name]), "")
    if "length" in result:
        table.add_row("length bias (0.5 is none)", _number(result["length"]["bias"]), "")
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
