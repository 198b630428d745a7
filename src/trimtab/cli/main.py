"""``trimtab``: read arguments, call one function, turn errors into one line and an exit code.

Exit codes: 0 success; 1 other; 2 wrong configuration or data; 3 model; 4 non-finite values; 5
another process works on the run; 6 run directory; 7 a judge failed; 8 an honesty check failed; 9
memory is short; 10 a fault of ``chaos`` lost something; 75 a worker left work to others; 130, 143
and 129 stopped by SIGINT (Ctrl-C), SIGTERM and SIGHUP. What nobody foresaw is one line as well, see
``cli.failures``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab import __version__
from trimtab.cli import (
    adapter_commands,
    build_commands,
    cache_commands,
    chaos_commands,
    chat_commands,
    cloud_commands,
    data_commands,
    export_commands,
    failures,
    job_commands,
    plan_commands,
    vector_commands,
    work_commands,
)
from trimtab.cli.options import Trust, finite
from trimtab.core import secrets, stopping

if TYPE_CHECKING:
    from trimtab.cli.pool_size import Wanted
    from trimtab.runs.store.run import Run

app = typer.Typer(
    name="trimtab",
    help="Steer, tune, rerank or prompt a language model, and measure honestly what that did.",
    cls=failures.Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

data_commands.data.command("identify")(build_commands.identify)
data_commands.data.command("write-facts")(build_commands.write_facts)
data_commands.data.command("distill")(build_commands.distill)
app.add_typer(data_commands.data, name="data")
app.add_typer(vector_commands.vectors, name="vectors")
app.add_typer(cache_commands.cache, name="cache")
app.add_typer(export_commands.export, name="export")
app.add_typer(adapter_commands.adapters, name="adapters")
app.add_typer(adapter_commands.probe, name="probe")
app.add_typer(job_commands.slurm, name="slurm")
app.add_typer(job_commands.ssh, name="ssh")
app.add_typer(cloud_commands.cloud, name="cloud")

ConfigFile = Annotated[Path, typer.Argument(help="Experiment file (YAML).", show_default=False)]
MaybeConfig = Annotated[
    Path | None, typer.Argument(help="Experiment file (YAML).", show_default=False)
]
Winner = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="In place of an experiment file: `best_configuration.json` of a search, whose winner "
        "is measured again.",
    ),
]
Model = Annotated[
    str | None, typer.Option("--model", help="Another model than the file's: an id or a folder.")
]
Workers = Annotated[
    str | None,
    typer.Option(help="Processes of this machine that share the work: a number, or auto."),
]
RunDir = Annotated[Path, typer.Argument(help="Run directory.", show_default=False)]
Override = Annotated[
    list[str] | None,
    typer.Option("--override", "-o", help="Set a key of the file: -o task.limit=20"),
]


def _show_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"trimtab {__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Steer, tune, rerank or prompt a language model, and measure honestly what that did."""


@app.command()
def run(
    config: MaybeConfig = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Run directory to create; runs/<name>-<date> if none is given."),
    ] = None,
    winner: Winner = None,
    model: Model = None,
    override: Override = None,
    reuse: Annotated[
        Path | None,
        typer.Option(help="Run whose rows are taken over where cells are equal but for their N."),
    ] = None,
    workers: Workers = None,
) -> None:
    """Plan, fit, generate, score and report."""
    from trimtab.cli import planning, pool_size

    set_to = tuple(override or ())
    wanted = None if workers is None else pool_size.Wanted.parse(workers)
    created = planning.create(config, set_to, out, reuse, winner=winner, model=model)
    _run_all(created, wanted)


@app.command()
def resume(run_dir: RunDir, workers: Workers = None, trust: Trust = False) -> None:
    """Continue a run where it stopped; the run knows its options."""
    from trimtab.cli import phases, pool_size

    wanted = None if workers is None else pool_size.Wanted.parse(workers)
    _run_all(phases.open_run(run_dir, trusted=trust), wanted)


def _run_all(run: Run, wanted: Wanted | None) -> None:
    """Run everything here, or by a pool of workers."""
    from trimtab.cli import phases, pool

    if wanted is None:
        phases.run_all(run)
    else:
        pool.run_all(run, wanted)


app.command("work")(work_commands.work)


@app.command()
def plan(
    config: MaybeConfig = None,
    out: Annotated[Path | None, typer.Option("--out", help="Also create the run here.")] = None,
    winner: Winner = None,
    model: Model = None,
    override: Override = None,
    on: plan_commands.Way = None,
    profile: plan_commands.Profile = None,
    price: plan_commands.Price = None,
) -> None:
    """Show cells, rows and estimates; load no model."""
    from trimtab.cli import planning

    show_queue = plan_commands.queue(on, profile, price)
    recipe = planning.load(config, tuple(override or ()), winner, model)
    planning.show(recipe, out)
    if show_queue is not None:
        show_queue(recipe)


app.command("calibrate")(plan_commands.calibrate)


@app.command()
def fit(run_dir: RunDir, trust: Trust = False) -> None:
    """Fit the artifacts that are owed."""
    from trimtab.cli import phases

    phases.run_some(phases.open_run(run_dir, trusted=trust), "fit")


@app.command()
def generate(run_dir: RunDir, trust: Trust = False) -> None:
    """Generate the completions that are owed."""
    from trimtab.cli import phases

    phases.run_some(phases.open_run(run_dir, trusted=trust), "generate")


@app.command()
def score(
    run_dirs: Annotated[list[Path], typer.Argument(help="Run directories.", show_default=False)],
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this judge, added if the run has none such: a name, a key of `status`, or "
            "YAML such as '{name: exact, ignore_case: no}'."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="With --judge: the run's other judges as well.")
    ] = False,
    max_dollars: Annotated[
        float | None,
        typer.Option(
            callback=finite, min=0, help="Cap what each run may spend on APIs in all, from now on."
        ),
    ] = None,
    trust: Trust = False,
) -> None:
    """Score the completions that are there, with all judges of the runs or with --judge alone.

    Needs the judges' models alone, never the one that gave the answers.
    """
    from trimtab.cli import phases

    runs = [phases.open_run(run_dir, trusted=trust) for run_dir in run_dirs]
    chosen = [phases.choose_judges(run, judge or []) for run in runs]
    for run in runs:
        phases.cap_spending(run, max_dollars)
    phases.score_all(runs, chosen if judge and not every else None)


@app.command()
def report(run_dir: RunDir, trust: Trust = False) -> None:
    """Write the report from the records alone."""
    from trimtab.cli import phases

    with stopping.going_on_with(f"trimtab report {run_dir}"):
        phases.show_report(phases.open_to_read(run_dir, trusted=trust))


@app.command()
def status(run_dir: RunDir) -> None:
    """Show what is done and what is owed, who works on it, and what waits for what."""
    from trimtab.cli import status as standing

    standing.status(run_dir)


@app.command()
def verify(run_dir: RunDir) -> None:
    """Check that everything in a run is what was written there, and name what differs or is gone.

    Of what is not there, it names what must have been: all of a finished run; of an unfinished one
    what scores, answers or later parts of the plan follow from. The rest counts as not yet made.
    """
    from trimtab.cli import inspect

    inspect.verify(run_dir)


@app.command("list")
def list_members(
    what: Annotated[
        str, typer.Argument(help="recipes, tasks, interventions, judges, sections or models")
    ] = "recipes",
) -> None:
    """List what a name in YAML may be, a line each; `show` tells more."""
    from trimtab.cli import inspect

    inspect.list_members(what)


@app.command()
def new(
    recipe: Annotated[str, typer.Argument(help="A name of `list recipes`.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="The file; <recipe>.yaml if none is given.")
    ] = None,
) -> None:
    """Write an experiment file to begin with: it runs as it is, every other key is a comment."""
    from trimtab.cli import new as page

    page.write(recipe, out)


@app.command("show")
def show_member(
    kind: Annotated[
        str, typer.Argument(help="recipe, task, intervention, judge or section", show_default=False)
    ],
    name: Annotated[str, typer.Argument(help="Its name in YAML.", show_default=False)],
) -> None:
    """Show what a name in YAML stands for, with its keys and their defaults."""
    from trimtab.cli import show

    show.show(kind, name)


doctor_app = typer.Typer(invoke_without_command=True)
app.add_typer(doctor_app, name="doctor")


@doctor_app.callback()
def doctor(context: typer.Context) -> None:
    """Show the machine, versions, devices and folders, and what is missing."""
    from trimtab.cli import inspect

    if context.invoked_subcommand is None:
        inspect.doctor()


@doctor_app.command()
def drift(
    target: Annotated[str, typer.Argument(help="Experiment file, or a model.", show_default=False)],
    dtype: Annotated[
        str | None, typer.Option(help="Number format; the file's if none is given, or bfloat16.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most texts, and most questions.")] = 32,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a text.")] = 48,
) -> None:
    """Measure how far answers in a number format are from float32's."""
    from trimtab.cli import drift

    drift.show(target, dtype, limit, max_tokens)


@doctor_app.command()
def nan(
    target: Annotated[str, typer.Argument(help="Experiment file, or a model.", show_default=False)],
    dtype: Annotated[
        str | None, typer.Option(help="Number format; the file's if none is given.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most texts, and most questions.")] = 8,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a text.")] = 16,
) -> None:
    """Find where a model's values stop being finite, and try what may help."""
    from trimtab.cli import nan

    nan.show(target, dtype, limit, max_tokens)


@doctor_app.command()
def zero(
    config: ConfigFile,
    limit: Annotated[int, typer.Option(min=1, help="Most samples of each task.")] = 20,
    override: Override = None,
) -> None:
    """Compare every intervention at strength 0 with the baseline, and show rows that differ."""
    from trimtab.cli import zero

    zero.show(config, tuple(override or ()), limit)


@app.command("judge-check")
def judge_check(
    labels: Annotated[
        Path,
        typer.Argument(
            help="JSON lines or CSV: question, answer, label; or prompt and completion.",
            show_default=False,
        ),
    ],
    run: Annotated[
        Path | None, typer.Option(help="Check the judges of this run; its report then corrects.")
    ] = None,
    judge: Annotated[list[str] | None, typer.Option(help="A judge to check: name or YAML.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Model of judges that name none (without --run).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the check, if it belongs to no run.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="What the labels are about; truth or info by their prompt.")
    ] = None,
    questions: Annotated[
        str | None,
        typer.Option(help="TruthfulQA source with right and wrong answers to the questions."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many labels, at random.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of that choice and of the intervals.")] = 0,
    trust: Trust = False,
) -> None:
    """Measure judges against human labels or grades: mistakes, agreement, length bias."""
    from trimtab.cli import judge_check as checks

    checks.check(labels, run, tuple(judge or ()), model, out, metric, questions, limit, seed, trust)


app.command("chat")(chat_commands.chat)
app.command("push")(adapter_commands.push)
app.command("submit")(job_commands.submit)
app.command("cancel")(job_commands.cancel)
app.command("chaos")(chaos_commands.chaos)


def main() -> None:
    """Run the command line."""
    stopping.catch()
    for name in secrets.VARIABLES:
        secrets.remember(os.environ.get(name, ""))
    sys.exit(failures.run(app))
