"""``export``: what a run holds, written for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.cli.adapters import cell_of_condition
from trimtab.cli.phases import open_to_read
from trimtab.cli.terminal import say, wide_console
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError, StoreError, did_you_mean
from trimtab.core.files import make_dir
from trimtab.core.lazy import lazy
from trimtab.core.plan import DataRef, FitPlan
from trimtab.core.types import Conversation
from trimtab.datasets.rewards import CONDITIONS, Result, results_text
from trimtab.reports.data.cohorts import TrainedRun, trained_runs
from trimtab.reports.data.run import RunData
from trimtab.runs.store.run import Run
from trimtab.search.sampling import require_optuna
from trimtab.training.sft.config import AdapterTraining
from trimtab.training.sft.elsewhere import PROGRAMS, files_for

if TYPE_CHECKING:
    from trimtab.search import mirror
else:
    mirror = lazy("trimtab.search.mirror")


def study(run_dir: Path, to: str, *, trusted: bool = False) -> None:
    """Write the search of a run as a study of Optuna's.

    Args:
        run_dir: The run, in whatever state it is.
        to: A file, or the address of a database.
        trusted: Whether the user trusts the run.

    Raises:
        ConfigError: Optuna is not installed, or the address is none.
        StoreError: The study can't be written, or the run searches nothing.
    """
    require_optuna("tpe")
    opened = mirror.export(open_to_read(run_dir, trusted=trusted), to)
    wide_console().print(f"Open it with: optuna-dashboard {opened}", soft_wrap=True)


def training(
    run_dir: Path,
    condition: str,
    program: str,
    out: Path,
    *,
    model: str | None = None,
    trusted: bool,
) -> None:
    """Write the rows and settings of a condition's training for another program.

    Args:
        run_dir: The run, planned at least.
        condition: Whose training.
        program: ``trl`` or ``axolotl``.
        out: Folder to make; it must not hold anything.
        model: Id of its base, where the run has several.
        trusted: Whether the user trusts the run.

    Raises:
        ConfigError: There is no such program or training, or the program can't do it.
        StoreError: ``out`` is not empty.
    """
    known = next((name for name in PROGRAMS if name == program), None)
    if known is None:
        raise ConfigError(f"--as {program!r} is no program. {did_you_mean(program, PROGRAMS)}")
    if out.exists() and any(out.iterdir()):
        raise StoreError(f"{out} is not empty.", hint="Name a folder that is not there yet.")
    run = open_to_read(run_dir, trusted=trusted)
    fit = _training_of(run, condition, model)
    train = AdapterTraining.model_validate(fit.component.config["train"])
    rows, aside = train.shared_out(_rows(run, fit, "conversations"))
    held_out = _rows(run, fit, "held_out") if "held_out" in fit.inputs else aside
    assert fit.model is not None
    made = files_for(known, train, fit.model, rows, held_out)
    make_dir(out)
    for name, text in made.items():
        (out / name).write_text(text, encoding="utf-8")
    say(f"Wrote {', '.join(made)} to {out}: {len(rows)} conversations for {fit.model.id}")


def rewards(run_dir: Path, out: Path, *, trusted: bool) -> None:
    """Write the rounds of trainings by rewards in the form of ``all_results.json``.

    Args:
        run_dir: The run, its trainings done.
        out: File to make.
        trusted: Whether the user trusts the run.

    Raises:
        ConfigError: The run has no training by rewards that the form can hold.
        StoreError: ``out`` is there already.
    """
    if out.exists():
        raise StoreError(f"{out} is there already.", hint="Name a file that is not there yet.")
    trained = trained_runs(RunData(open_to_read(run_dir, trusted=trusted)).source)
    known = [run for run in trained if run.condition in CONDITIONS]
    if not known:
        raise ConfigError(
            f"{run_dir} holds no training by rewards of the conditions {', '.join(CONDITIONS)}.",
            hint="Fit it first: trimtab resume RUN.",
        )
    results = [_result_of(run) for run in known]
    make_dir(out.parent)
    out.write_text(results_text(results), encoding="utf-8")
    say(f"Wrote {counted(len(results), 'run')} to {out}")
    others = sorted({run.condition for run in trained} - set(CONDITIONS))
    if others:
        say(f"note: the form has no place for the conditions {', '.join(others)}: left out")
    lost = sum(len(run.curves["step"]) for run in known if run.failed is None) - sum(
        len(result.rounds) for result in results
    )
    if lost:
        say(f"note: {counted(lost, 'round')} without a reward or an actual one left out")


def _result_of(run: TrainedRun) -> Result:
    """Return a run in the source's terms; one that was given up has no rounds there."""
    curves = [run.curves[name] for name in ("reward", "true", "grade_all")]
    rounds = () if run.failed is not None else tuple(zip(*curves, strict=True))
    whole = tuple((r, t, g) for r, t, g in rounds if r is not None and t is not None)
    return Result(run.seed, run.model, run.task, run.condition, whole, 1)


def _training_of(run: Run, condition: str, model: str | None) -> FitPlan:
    """Return the fit that trains a condition's adapter; raise ConfigError if there is none."""
    key = cell_of_condition(run, condition, model).artifacts["adapter"]
    for fit in run.plan.fits:
        if key in fit.artifacts.values() and "train" in fit.component.config:
            return fit
    raise ConfigError(f"The adapter of {condition!r} was not trained on conversations.")


def _rows(run: Run, fit: FitPlan, name: str) -> list[Conversation]:
    ref = fit.inputs[name]
    assert isinstance(ref, DataRef)
    return [row for row in run.data(ref) if isinstance(row, Conversation)]
