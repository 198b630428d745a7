"""The commands that work on a run directory: phases, with progress, and the report."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trimtab.cli import trust
from trimtab.cli.progress import make_progress
from trimtab.cli.terminal import complain, say, wide_console
from trimtab.clients.budget import SPEND
from trimtab.compute.slurm.groups import owed_units
from trimtab.core import stopping
from trimtab.core.config import validate
from trimtab.core.errors import ConfigError, JudgeError
from trimtab.core.garbage import collection_paused
from trimtab.core.plan import JudgePlan, Plan
from trimtab.core.report import Check
from trimtab.core.spec import Component, ModelSpec
from trimtab.core.yaml_file import parse_yaml
from trimtab.models import threads
from trimtab.recipes.base import grower, mirror_of
from trimtab.reports.data.source import Making
from trimtab.reports.page.report import read_report
from trimtab.reports.page.terminal import fit_tables
from trimtab.reports.page.write import Written, write_pages
from trimtab.runs.plan.judges import plan_judges
from trimtab.runs.store import finished, manifest
from trimtab.runs.store.attempts import Attempt, open_attempt, recorded_threads
from trimtab.runs.store.claims import claim
from trimtab.runs.store.log import log_to
from trimtab.runs.store.run import Run
from trimtab.runs.usage import meter
from trimtab.runs.usage.notices import notices
from trimtab.runs.usage.progress import Progress
from trimtab.runs.usage.spending import ledger_of, spending
from trimtab.runs.usage.stages import differences, stages
from trimtab.runs.work import checks
from trimtab.runs.work.phases import Job, run_phases
from trimtab.runs.work.selection import needed_judges
from trimtab.runs.work.single import UnitWorker
from trimtab.runs.work.stay import Stay
from trimtab.runs.work.units import KINDS, Kind

_MOST_FAULTS = 20
_log = logging.getLogger(__name__)


def open_run(run_dir: Path, *, trusted: bool = False) -> Run:
    """Open a run to work on it; its extension folders become known, if they are trusted."""
    run = Run.open(run_dir)
    trust.admit(run, trust=trusted)
    return run


def open_to_read(run_dir: Path, *, trusted: bool = False) -> Run:
    """Open a run to report on it: its extension folders become known, if they are trusted."""
    run = Run.open(run_dir)
    trust.admit_code(run, trust=trusted)
    return run


def run_all(run: Run) -> None:
    """Run all phases and the report; a failed judge is reported after the report is written.

    Where nothing is owed and the report is that of what is there, neither is done again.
    """
    if finished.is_finished(run.dir):
        say(f"Nothing is owed, and the report is of what is there: {run.dir}/report/index.html")
        checks.require(run)
        return
    again = f"trimtab resume {run.dir}"
    with stopping.going_on_with(again):
        failed: JudgeError | None = None
        before = len(meter.read(run.dir))
        say(f"run: {run.dir}")
        try:
            work_on(run, KINDS, again)
        except JudgeError as error:
            failed = error
        show_report(run, _speed(run, before))
        if failed is not None:
            raise failed
        finished.mark(run.dir)
    checks.require(run)


def run_some(run: Run, phase: Kind) -> None:
    """Run one phase; after a fit, print how far what was fitted can be trusted."""
    before = len(meter.read(run.dir))
    again = f"trimtab {phase} {run.dir}"
    with stopping.going_on_with(again):
        try:
            work_on(run, (phase,), again)
        finally:
            _print_speed(run, before)
        if phase == "fit":
            for table in fit_tables(run):
                wide_console().print(table.to_rich())


def choose_judges(run: Run, texts: Sequence[str]) -> frozenset[str]:
    """Return the keys of judges and of all that they need; those that are new are added to the run.

    Args:
        run: The run; nothing of it is generated again.
        texts: Each is the key of a judge of the run, a name, or YAML. A name that is no whole
            configuration stands for the judges of the run that have it.
    """
    return needed_judges(run, [key for text in texts for key in _chosen(run, text)])


def _chosen(run: Run, text: str) -> list[str]:
    planned = run.judges()
    if text in {judge.key for judge in planned}:
        return [text]
    subject = (run.plan.cells[0].model, run.plan.cells[0].model_identity)
    try:
        judges = parse_judge(text, subject)
    except ConfigError:
        named = [judge.key for judge in planned if judge.component.name == text]
        if not named:
            raise
        return named
    for judge in judges:
        run.add_judge(judge)
    trust.remember(run.config, run.plan.cells, run.judges())
    return [judge.key for judge in judges]


def parse_judge(text: str, subject: tuple[ModelSpec, str]) -> list[JudgePlan]:
    """Return the plan of a judge that is given as a name or YAML, after those of its members."""
    data = parse_yaml(text, f"--judge {text!r}")
    return plan_judges(validate(Component, data, "--judge"), subject)


def cap_spending(run: Run, max_dollars: float | None) -> None:
    """Cap what a run may spend on APIs, in place of any cap before; None changes nothing."""
    if max_dollars is not None:
        ledger_of(run).set_cap(max_dollars)


def score_all(runs: Sequence[Run], only: Sequence[frozenset[str]] | None = None) -> None:
    """Score several runs in one go, so that a judge's model is loaded once for all of them.

    Args:
        runs: The runs.
        only: For each the keys of the judges that score; None is all judges of all runs.
    """
    progress = make_progress()
    before = [len(meter.read(run.dir)) for run in runs]
    again = f"trimtab score {' '.join(str(run.dir) for run in runs)}"
    try:
        with stopping.going_on_with(again), ExitStack() as logs:
            jobs = []
            for i, run in enumerate(runs):
                attempt, count = _start(run, progress)
                logs.enter_context(_logged(attempt, again))
                judges = None if only is None else only[i]
                jobs.append(Job(run, attempt.number, progress, count, judges))
            run_phases(jobs, ("score",))
    finally:
        for run, records in zip(runs, before, strict=True):
            _print_speed(run, records)
    for run in runs:
        if only is None and not owed_units(run) and grow_plan(run):
            say(f"next: trimtab fit {run.dir}, and generate and score again; or trimtab resume")
            continue
        old = "its report is older than these scores: " * (run.dir / "summary.json").is_file()
        say(f"next: {old}trimtab report {run.dir}")


def grow_plan(run: Run) -> bool:
    """Add the next fragment to the plan of a run that owes nothing, if there is one."""
    with claim(run.dir, "grow") as mine:
        planned = None if mine is None else grower(run)(run)
        if planned is not None:
            run.extend(planned.fragment, planned.data.folders())
            complain(f"The plan grows: {planned.fragment.reason}")
    return planned is not None


def show_report(run: Run, speed: Sequence[str] = ()) -> None:
    """Write the report, print its tables and ``speed``, and say where it is."""
    console = wide_console()
    with collection_paused():
        written, checked, changed = _write_report(run)
    for table in written.headline:
        console.print(table.to_rich())
    console.print(written.summary["finding"])
    for line in changed:
        console.print(f"note: {line}", soft_wrap=True)
    for problem in run.problems():
        console.print(f"note: {problem}")
    for gate in checked:
        if gate.status != "pass":
            line = f"{gate.status}: {gate.name}: {gate.detail}"
            console.print(line)
    for line in (*spending(run), *speed, f"report: {written.html}"):
        console.print(line, soft_wrap=True)


def _write_report(run: Run) -> tuple[Written, list[Check], list[str]]:
    """Write the report; return it, the checks, and how its stages differ from one another."""
    done = stages(run.dir, manifest.collect())
    changed = differences(done)
    making = Making(
        usage=meter.read(run.dir),
        spending=ledger_of(run).accounts() if (run.dir / SPEND).is_file() else (),
        stages=done,
    )
    # the report reads every row, and the checks go by what was seen of them
    report = read_report(run, making)
    checked = checks.current(run)
    noted = [*notices(run), *changed, *_faults(run)]
    return write_pages(report, checked, run.dir, notices=noted), checked, changed


def _faults(run: Run) -> list[str]:
    """Return the lines and rows that make a report's numbers doubtful."""
    found = run.faults()
    return [*found.conflicts, *found.invalid][:_MOST_FAULTS]


def _speed(run: Run, before: int) -> list[str]:
    """Return what was measured since there were ``before`` records, and whether it counts."""
    records = meter.read(run.dir)[before:]
    if not records:
        return []
    return [line for line in (meter.speed_line(records), meter.disturbance(records)) if line]


def _print_speed(run: Run, before: int) -> None:
    for line in _speed(run, before):
        wide_console().print(line, soft_wrap=True)


def work_on(
    run: Run,
    kinds: Sequence[Kind],
    again: str,
    stay: Stay | None = None,
    *,
    other_code: bool = False,
    progress: Progress | None = None,
) -> str | None:
    """Do what a run owes, under an attempt of its own; return why it ends before all is done.

    Args:
        run: The run.
        kinds: The phases.
        again: The command that goes on where this one is stopped.
        stay: Limits of a worker that joins others; None works alone.
        other_code: Its code is not that of the run, and that is wanted.
        progress: Told what happens; a bar, or lines, if none is given.
    """
    progress = progress or make_progress()
    attempt, count = _start(run, progress, other_code=other_code)
    with _logged(attempt, again):
        job = Job(run, attempt.number, progress, count)
        return run_phases([job], kinds, grower(run), mirror_of(run), stay)


@contextmanager
def units_of(run: Run, again: str, progress: Progress) -> Iterator[UnitWorker]:
    """Give what does units of a run by their names, under an attempt of its own.

    Args:
        run: The run.
        again: The command that goes on where this one is stopped.
        progress: Told what happens.
    """
    attempt, count = _start(run, progress)
    job = Job(run, attempt.number, progress, count)
    with _logged(attempt, again), UnitWorker(job) as worker:
        yield worker


@contextmanager
def _logged(attempt: Attempt, again: str) -> Iterator[None]:
    """Keep the attempt's log, how it ended included; ``again`` is the command that goes on."""
    with log_to(attempt.log_file):
        try:
            yield
        except KeyboardInterrupt as stop:
            _log.warning("interrupted (%s); `%s` goes on", stop or "Ctrl-C", again)
            raise
        except Exception:
            _log.exception("stopped")
            raise


def _start(run: Run, progress: Progress, *, other_code: bool = False) -> tuple[Attempt, int]:
    """Open an attempt, say what is to be said about it, and choose the threads of its models."""
    recorded = recorded_threads(run.dir)
    chosen = threads.choose(threads.take_readings(new=recorded is None), recorded)
    attempt = open_attempt(
        run.dir, sys.argv, _inputs(run.plan), chosen.count, other_code=other_code
    )
    for warning in attempt.warnings:
        progress.note(f"warning: {warning}")
    for notice in filter(None, [chosen.notice, *notices(run)]):
        progress.note(f"note: {notice}")
    return attempt, chosen.count


def _inputs(plan: Plan) -> dict[str, str]:
    """Return the hashes of what went into the run, for its manifest."""
    models = {f"model {c.model.id}": c.model_identity for c in plan.cells}
    samples = {f"samples {c.task.name} {c.measure} {c.split}": c.samples for c in plan.cells}
    inputs = {
        f"{name} of {fit.component.name}": ref.key
        for fit in plan.fits
        for name, ref in fit.data.items()
    }
    return {**models, **samples, **inputs}
