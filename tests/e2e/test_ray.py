"""A run on a Ray of two nodes: records of one process, whatever becomes of workers and nodes."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray_cluster
from cli_process import Command, Finished, trimtab
from ray_cluster import lives, slow_workers, workers

from trimtab.compute.chaos.comparison import num_records, records

if reason := ray_cluster.missing():
    pytest.skip(reason, allow_module_level=True)

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Any]:
    with ray_cluster.cluster() as cluster:
        yield cluster


@pytest.fixture
def planned(config: Path, tmp_path: Path) -> Path:
    run = tmp_path / "run"
    assert trimtab(["plan", str(config), "--out", str(run)], tmp_path / "logs").code == 0
    return run


def _submit(run: Path, address: str | None, prepare: Callable[[], None] | None = None) -> Command:
    where = ["--address", address] if address else []
    argv = ["submit", str(run), "--on", "ray", *where]
    return Command(argv, run.parent / "logs", prepare=prepare)


def _wait(command: Command, condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert command.process.exitcode is None, command.wait().err
        assert time.monotonic() < end
        time.sleep(0.02)


def _check(ended: Finished, run: Path, finished: Path) -> None:
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err and "core_worker" not in ended.err
    assert records(run) == records(finished)
    assert (run / "summary.json").read_bytes() == (finished / "summary.json").read_bytes()


def test_what_the_page_shows_gives_the_records_of_one_process_on_two_nodes(
    two_nodes: Any, config: Path, tmp_path: Path, finished: Path, repo: Path
) -> None:
    page = (repo / "docs" / "many-machines.md").read_text().partition("\n## Ray\n")[2]
    shown = page.partition("```bash\n")[2].partition("```")[0]
    planned = tmp_path / "runs" / "spread"
    for known, here in (
        ("configs/gsm8k_best_of_n/smoke.yaml", config),
        ("runs/spread", planned),
        ("10.0.0.1:6379", two_nodes.address),
    ):
        assert known in shown
        shown = shown.replace(known, str(here))
    logs = tmp_path / "logs"
    _, ended, status = (Command(line.split()[1:], logs).wait() for line in shown.splitlines())
    _check(ended, planned, finished)
    assert status.code == 0
    assert f"room for 2 on {two_nodes.address} (2 nodes)" in ended.out
    assert len(list(planned.glob("attempts/0*/usage.jsonl"))) == 2, "both had something to do"
    again = _submit(planned, two_nodes.address).wait()
    assert again.code == 0 and "Nothing is owed" in again.out


def test_workers_that_are_killed_have_their_units_done_again(
    two_nodes: Any, planned: Path, finished: Path
) -> None:
    command = _submit(planned, two_nodes.address, slow_workers)
    killed: set[int] = set()
    for more in (5, 40, 90):
        before = num_records(planned)
        _wait(command, lambda n=before + more: num_records(planned) > n)
        _wait(command, lambda: workers(planned) - killed)
        victim = (workers(planned) - killed).pop()
        os.kill(victim, signal.SIGKILL)
        killed.add(victim)
    _check(command.wait(), planned, finished)
    assert len(killed) == 3


def test_a_node_that_is_lost_has_its_units_done_by_others(planned: Path, finished: Path) -> None:
    with ray_cluster.cluster() as cluster:
        other = next(iter(cluster.worker_nodes))
        command = _submit(planned, cluster.address, slow_workers)
        before = num_records(planned)
        _wait(command, lambda: num_records(planned) > before + 20)
        _wait(command, lambda: len(workers(planned)) == 2)
        cluster.remove_node(other, allow_graceful=False)
        ended = command.wait()
    _check(ended, planned, finished)


def test_a_signal_ends_all_workers_and_says_how_to_go_on(
    two_nodes: Any, planned: Path, finished: Path
) -> None:
    command = _submit(planned, two_nodes.address, slow_workers)
    _wait(command, lambda: len(workers(planned)) == 2)
    at_work = workers(planned)
    os.kill(command.process.pid or 0, signal.SIGINT)
    ended = command.wait(30)
    again = f"trimtab submit {planned} --on ray --address {two_nodes.address}"
    assert ended.code == 130
    last = ended.err.splitlines()[-1]
    assert last == f"interrupted; nothing finished is lost. Go on with: {again}"
    end = time.monotonic() + 10
    while any(map(lives, at_work)):
        assert time.monotonic() < end, "an actor was left behind"
        time.sleep(0.05)
    _check(_submit(planned, two_nodes.address).wait(), planned, finished)


def test_one_of_this_machine_ends_with_the_command_however_that_ends(
    planned: Path, finished: Path, tmp_path: Path
) -> None:
    command = _submit(planned, None, slow_workers)
    _wait(command, lambda: workers(planned))
    at_work = workers(planned)
    command.process.kill()
    end = time.monotonic() + 30
    while any(map(lives, at_work)):
        assert time.monotonic() < end, "an actor was left behind"
        time.sleep(0.05)
    command = _submit(planned, None, slow_workers)
    _wait(command, lambda: workers(planned))
    said = trimtab(["status", str(planned)], tmp_path / "logs")
    assert "hands out units to Ray on this machine" in said.out
    assert trimtab(["cancel", str(planned)], tmp_path / "logs").code == 0
    assert command.wait(10).code == 143
    assert "nobody hands out units" in trimtab(["status", str(planned)], tmp_path / "logs").out
    _check(_submit(planned, None).wait(), planned, finished)
