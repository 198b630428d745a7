"""``status``: how far a run is. It is asked often, so it imports little."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from trimtab.cli.terminal import wide_console
from trimtab.compute.ray import state as ray
from trimtab.compute.slurm import status as slurm
from trimtab.compute.ssh import noted as ssh
from trimtab.runs.store.run import Run
from trimtab.runs.usage.spending import spending
from trimtab.runs.work import checks
from trimtab.runs.work.counted import HOW, Counted, is_large
from trimtab.runs.work.standing import standing, tallies


def status(run_dir: Path) -> None:
    """Print what each phase has done and owes."""
    run = Run.open(run_dir)
    counted = Counted(run) if is_large(run) else None
    table = Table(title=f"{run.plan.name} ({run.dir})")
    for column in ("phase", "state", "done", "owed"):
        table.add_column(column, justify="right" if column in ("done", "owed") else "left")
    owed = 0
    for tally in tallies(run) if counted is None else counted.tallies():
        table.add_row(tally.phase, tally.state, str(tally.done), str(tally.owed))
        owed += tally.owed
    console = wide_console()
    console.print(table)
    stands = standing(run) if counted is None else [HOW, *counted.standing()]
    stands += [*slurm.standing(run, owed > 0)]
    stands += [*ray.standing(run.dir, owed > 0), *ssh.standing(run.dir, owed > 0), *spending(run)]
    for line in stands:
        console.print(line)
    large = () if counted is None else (counted.rows_owed > 0, counted.scores_owed)
    for gate in checks.at_hand(run, *large):
        line = f"{gate.status}: {gate.name}: {gate.detail}"
        console.print(line)
    for problem in run.problems():
        console.print(f"note: {problem}")
