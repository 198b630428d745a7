"""``data``: bring in what was made elsewhere."""

from __future__ import annotations

from pathlib import Path

from trimtab.cli import phases
from trimtab.cli.terminal import wide_console
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError
from trimtab.core.keys import file_sha256
from trimtab.core.spec import Component
from trimtab.runs.imports.candidates import import_candidates
from trimtab.runs.imports.generations import create_run, read_generations
from trimtab.runs.imports.judgements import Choices, Grades, import_judgements
from trimtab.runs.imports.rewards import import_rewards
from trimtab.runs.work import checks
from trimtab.text.tolerance import Tolerance


def score_candidates(path: Path, out: Path, tolerance: str | None = None) -> None:
    """Make a run of a file of candidates, score it, and write and print the report."""
    stated = None if tolerance is None else Tolerance.parse(tolerance)
    run = import_candidates(path, out, _judges_of_candidates, stated)
    phases.run_some(run, "score")
    phases.show_report(run)
    wide_console().print(f"`trimtab report {out}` writes the report again.")


def _judges_of_candidates(score: str | None) -> tuple[Component, ...]:
    """Return the judge that reads what the file says, and one that looks at the texts itself."""
    recorded = Component(name="recorded", config={"score": score})
    return recorded, Component(name="number")


def report_judgements(generations: Path, judgements: Path, out: Path, choices: Choices) -> None:
    """Make a run of answers and judgements, and write and print the report."""
    run = import_judgements(generations, judgements, out, _judge_of_grades, choices)
    phases.run_some(run, "score")
    phases.show_report(run)
    wide_console().print(f"`trimtab report {out}` writes the report again.")


def _judge_of_grades(grades: Grades) -> Component:
    """Return the judge that reads what the file says."""
    return Component(name="recorded_grades", config=dict(grades))


def report_rewards(file: Path, out: Path) -> None:
    """Make a run of recorded trainings, and write and print the report."""
    phases.show_report(import_rewards(file, out, Component(name="adapter")))
    wide_console().print(f"`trimtab report {out}` writes the report again.")


def scale_of(text: str | None) -> tuple[float, float] | None:
    """Return the ends of a scale that is given as ``0-2``; raise ConfigError for anything else."""
    if text is None:
        return None
    low, _, high = text.partition("-") if not text.startswith("-") else ("", "", "")
    try:
        return float(low), float(high)
    except ValueError:
        raise ConfigError(f"--scale must be two numbers such as 0-2, it is {text!r}.") from None


def import_generations(
    file: Path, out: Path, name: str | None, questions: str | None, baseline: str | None
) -> None:
    """Make a run directory of a file of answers and say what can be done with it."""
    conditions = read_generations(file, questions)
    config = {"file": file.name, "sha256": file_sha256(file), "questions": questions}
    first = baseline or next(iter(conditions), "baseline")
    run = create_run(out, name or file.stem, conditions, first, config)
    checks.after_plan(run)
    console = wide_console()
    for cell in run.plan.cells:
        rows = run.completions(cell.key).values()
        failed = sum(row.error is not None for row in rows)
        console.print(
            f"{cell.condition}: {counted(len(rows), 'answer')} to "
            f"{counted(len(run.samples(cell.samples)), 'question')}, {failed} without a text",
        )
    console.print(
        f"Created {run.dir}. Score it with: trimtab score {run.dir} --judge text_health --judge "
        "'{name: rubric, rubric: truth, model: bundled:smollm2-135m-instruct}'",
        soft_wrap=True,
    )
