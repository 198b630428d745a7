"""Who hands out the units of a run to workers of a cluster: ``RUN/ray/driver.json``."""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.core.errors import StoreError
from trimtab.core.files import make_dir
from trimtab.core.records import read_json, write_json
from trimtab.runs.store.claims import holder_of
from trimtab.runs.store.processes import Process


class Driver(BaseModel):
    """What stands in the file.

    Attributes:
        process: The process that hands out units, and ends its workers when it ends.
        cluster: The cluster, in words.
        since: When it began, seconds since the epoch by that machine's clock.
        ended: Whether it said itself that it has ended.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: Process
    cluster: str
    since: float
    ended: bool = False


def begin(run_dir: Path, cluster: str) -> Driver:
    """Note that this process hands out units; raise StoreError if that can't be written."""
    driver = Driver(process=Process.current(), cluster=cluster, since=round(time.time(), 3))
    _write(run_dir, driver)
    return driver


def end(run_dir: Path, driver: Driver) -> None:
    """Note that it has ended; raise StoreError if that can't be written."""
    _write(run_dir, driver.model_copy(update={"ended": True}))


def read(run_dir: Path) -> Driver | None:
    """Return the last one that was noted; None if none was, or nobody can read it."""
    try:
        return Driver.model_validate(read_json(_file(run_dir)))
    except (StoreError, ValidationError):
        return None


def works(run_dir: Path, driver: Driver) -> bool | None:
    """Return whether a driver is at work; None where one may be that can't be seen from here."""
    if driver.ended:
        return False
    alive = driver.process.is_alive()
    # it claims the run as long as it hands out units
    return False if alive is None and holder_of(run_dir, "submit") is None else alive


def standing(run_dir: Path, owes: bool) -> list[str]:
    """Return a line on who hands out units; none for a run that was never given to Ray.

    Args:
        run_dir: The run.
        owes: Whether anything is owed.
    """
    driver = read(run_dir)
    if driver is None:
        return []
    at_work = works(run_dir, driver)
    who = f"process {driver.process.pid} on {driver.process.host}"
    if at_work:
        return [f"Ray: {who} hands out units to {driver.cluster}"]
    if at_work is None:
        return [f"Ray: {who} handed out units to {driver.cluster}; it can't be seen from here"]
    again = f"; `trimtab submit {run_dir} --on ray` goes on" if owes else ""
    return [f"Ray: nobody hands out units{again}"] if owes else []


def _write(run_dir: Path, driver: Driver) -> None:
    make_dir(run_dir / "ray")
    write_json(_file(run_dir), driver)


def _file(run_dir: Path) -> Path:
    return run_dir / "ray" / "driver.json"
