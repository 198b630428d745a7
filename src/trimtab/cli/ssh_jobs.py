"""``submit --on ssh``: hosts work on copies of a run, and the report is written here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trimtab.cli import phases
from trimtab.cli.terminal import complain, say
from trimtab.compute.resources import device_notes
from trimtab.compute.slurm import submissions
from trimtab.compute.slurm.groups import owed_units
from trimtab.compute.ssh import noted, rounds
from trimtab.compute.ssh.hosts import Hosts, read_hosts
from trimtab.core import stopping
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError, HeldError
from trimtab.judges.base import JUDGES
from trimtab.runs.store import manifest
from trimtab.runs.store.claims import Claim, claim
from trimtab.runs.store.run import Run
from trimtab.runs.usage.memory import planned_models
from trimtab.runs.work.state import State, rows_of
from trimtab.runs.work.units import Kind


def submit(run_dir: Path, hosts_file: Path | None, *, other_code: bool, trusted: bool) -> None:
    """Have hosts do what a run owes; then checks and report here.

    Raises:
        ConfigError: No file of hosts is given, or one of them has no trimtab or other code.
        HeldError: Another process does so for this run.
        StoreError: No host can be reached, or they come no further.
    """
    if hosts_file is None:
        raise ConfigError("--on ssh needs --hosts FILE.", hint="docs/many-machines.md shows one.")
    hosts = read_hosts(hosts_file)
    run = phases.open_run(run_dir, trusted=trusted)
    again = f"trimtab submit {run.dir} --on ssh --hosts {hosts_file}"
    work_on_hosts(run, hosts, again, other_code=other_code)


def work_on_hosts(
    run: Run,
    hosts: Hosts,
    again: str,
    *,
    other_code: bool,
    more_options: Callable[[], Sequence[str]] = tuple,
    then: Callable[[], None] = lambda: None,
) -> None:
    """Have hosts do what a run owes; then checks and report here.

    Args:
        run: The run.
        hosts: The hosts.
        again: The command that goes on after this one was stopped.
        other_code: Hosts may have other code than this machine.
        more_options: Returns what workers are told besides; may raise what ends the work.
        then: Called when the hosts have nothing more to do, before the rest is made here.

    Raises:
        ConfigError: A host has no trimtab or other code.
        HeldError: Another process does so for this run.
        StoreError: No host can be reached, or they come no further.
    """
    kinds = _kinds(run)
    code = [] if other_code else ["--source", str(manifest.code()["source"])]

    def options() -> list[str]:
        return ["--kinds", ",".join(kinds), *code, *more_options()]

    def owed() -> int:
        run.refresh()
        state = State(run)
        units = [unit for unit in owed_units(run) if unit.kind in kinds]
        total, done = rows_of(state, units)
        return total - done

    with submitting(run.dir) as mine, stopping.going_on_with(f"{again} (hosts work on)"):
        say(f"run: {run.dir}, {counted(len(hosts.hosts), 'host')}")
        _tell_devices(run)
        task = rounds.Work(run.dir, hosts, options, owed, complain, mine.check)
        rounds.work(task)
        while "score" in kinds and phases.grow_plan(run):
            rounds.work(task)
        then()
    phases.run_all(Run.open(run.dir))


def tell_hosts(run_dir: Path) -> bool:
    """Say how workers of a run on hosts are ended; return whether any were seen there last.

    Raises:
        HeldError: That was minutes ago. Where it was long ago the host may be gone for good.
    """
    at_work = [copy for copy in noted.copies(run_dir) if copy.working]
    if not at_work or submissions.folders(run_dir):
        return False
    where = "; ".join(str(copy) for copy in at_work)
    ended = "`trimtab ssh stop FOLDER` on each host, or `trimtab cloud terminate` for a rented one"
    if not any(copy.is_fresh for copy in at_work):
        complain(f"note: nobody follows {where}. If they are still there: {ended}.")
        return True
    raise HeldError(
        f"{run_dir} is worked on where only ssh reaches: {where}.",
        hint=f"End who submits it, then {ended}.",
    )


@contextmanager
def submitting(run_dir: Path) -> Iterator[Claim]:
    """Be the only process that copies a run to others; raise HeldError if another does."""
    with claim(run_dir, "submit") as mine:
        if mine is None:
            raise HeldError(f"Another process submits {run_dir} now.", hint="See `trimtab status`.")
        yield mine


def _tell_devices(run: Run) -> None:
    """Say which models the plan keeps off GPUs: it was made here, and others compute."""
    for line in device_notes(planned_models(run).values()):
        say(f"note: {line}")


def _kinds(run: Run) -> tuple[Kind, ...]:
    """Return what hosts do: no scores where a judge is paid, since the cap on that is kept here."""
    paid = [
        judge.component.name
        for judge in run.judges()
        if JUDGES.build(judge.component.name, judge.component.config).endpoint is not None
    ]
    if paid:
        say(f"note: scores are made here, where what {paid[0]} is paid is counted")
        return ("fit", "generate")
    return ("fit", "generate", "score")
