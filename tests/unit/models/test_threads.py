"""Threads follow from what is free, what was asked for and what the run began with."""

import os
import signal
import subprocess
import sys

import pytest

from trimtab.models import machine
from trimtab.models.threads import Readings, choose, take_readings


@pytest.mark.parametrize(
    ("cores", "quota", "slurm", "load", "expected"),
    [
        (8, None, None, None, 8),
        (8, None, None, 0.0, 8),
        (8, None, None, 0.2, 8),
        (8, None, None, 0.3, 7),
        (8, None, None, 1.1, 7),
        (8, None, None, 1.4, 6),
        (2, None, None, 1.0, 1),
        (2, None, None, 9.0, 1),
        (8, 3.9, None, None, 3),
        (8, 0.5, None, None, 1),
        (8, None, 4, None, 4),
        (8, 6.0, 4, 2.0, 2),
    ],
)
def test_free_cores(
    cores: int, quota: float | None, slurm: int | None, load: float | None, expected: int
) -> None:
    found = choose(Readings(cores, quota, slurm, None, load))
    assert found.count == expected
    reduced = load is not None and load > 0.25
    assert (found.notice is not None) == reduced
    if found.notice:
        assert f"threads: {expected} of " in found.notice and f"{load:.1f} cores" in found.notice


def test_the_users_choice_wins_and_is_told_if_it_is_not_the_runs() -> None:
    busy = Readings(cores=2, asked=6, other_load=2.0)
    assert choose(busy) == choose(busy, recorded=6)
    assert (choose(busy).count, choose(busy).notice) == (6, None)
    other = choose(busy, recorded=2)
    assert other.count == 6 and "OMP_NUM_THREADS=2 repeats" in (other.notice or "")


def test_a_run_keeps_its_threads_whatever_the_load() -> None:
    assert choose(Readings(4, other_load=3.0), recorded=4) == choose(Readings(4))
    fewer = choose(Readings(4), recorded=1)
    assert fewer.count == 1 and "threads: 1, as this run began, of 4" in (fewer.notice or "")


def test_a_run_that_cannot_keep_its_threads_says_so() -> None:
    found = choose(Readings(8, quota=2.0), recorded=8)
    assert found.count == 2
    assert "this run began with 8" in (found.notice or "") and "last bits" in (found.notice or "")


@pytest.mark.parametrize(
    ("environment", "asked", "slurm"),
    [
        ({"OMP_NUM_THREADS": "3"}, 3, None),
        ({"OMP_NUM_THREADS": "4,2", "MKL_NUM_THREADS": "8"}, 4, None),
        ({"MKL_NUM_THREADS": "8", "SLURM_CPUS_PER_TASK": "16"}, 8, 16),
        ({"OMP_NUM_THREADS": "", "SLURM_CPUS_PER_TASK": "(null)"}, None, None),
        ({"OMP_NUM_THREADS": "0"}, None, None),
    ],
)
def test_what_the_environment_says(
    environment: dict[str, str], asked: int | None, slurm: int | None
) -> None:
    found = take_readings(environment, new=False)
    assert (found.asked, found.slurm, found.other_load) == (asked, slurm, None)
    assert 1 <= found.cores <= len(machine.usable_cores())


def test_a_busy_neighbour_is_seen() -> None:
    if machine.read_clock([0]).all is None or not hasattr(os, "sched_setaffinity"):
        pytest.skip("the system does not tell how busy its cores are")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    # started by a process that ends at once: a child of our own would not count as a neighbour
    start = "import subprocess, sys; n = [sys.executable, '-c', 'while True: pass']; "
    start += "print(subprocess.Popen(n, stdout=subprocess.DEVNULL).pid)"
    neighbour = int(subprocess.check_output([sys.executable, "-c", start]))
    try:
        load = take_readings({}).other_load
    finally:
        os.kill(neighbour, signal.SIGKILL)
        os.sched_setaffinity(0, before)
    # processes beside the tests can only add to it
    assert load is not None and load > 0.25
