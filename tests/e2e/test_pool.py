"""A run by several workers of one machine: the records of one, and nobody left behind."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from cli_process import Command, Finished
from forked_workers import fork_workers

from trimtab.compute.chaos.comparison import num_records, records
from trimtab.runs.store.claims import holder_of


def _pool(argv: list[str], logs: Path) -> Command:
    return Command(argv, logs, prepare=fork_workers)


def _workers(run: Path) -> set[int]:
    """Return the process ids of all that have claimed a unit of a run."""
    lines = [path.read_text().partition("\n")[0] for path in run.glob("claims/*/*.jsonl")]
    return {json.loads(line)["process"]["pid"] for line in lines if line}


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _check(ended: Finished, run: Path, finished: Path) -> None:
    assert ended.code == 0, ended.err
    assert records(run) == records(finished)
    assert (run / "summary.json").read_bytes() == (finished / "summary.json").read_bytes()


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=pytest.mark.campaign) for n in (1, 5)] + [2]
)
def test_any_number_of_workers_gives_the_records_of_one(
    number: int, config: Path, finished: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    ended = _pool(["run", str(config), "--out", str(run), "--workers", str(number)], logs).wait()
    _check(ended, run, finished)
    assert f"workers: {number} (asked for), 1 thread each; one needs about" in ended.out
    assert f"speed: {number} worker" in ended.out
    said = ended.err.splitlines()
    assert len([line for line in said if line.startswith("loading the model")]) == 1
    assert len([line for line in said if line.startswith(f"{number} worker")]) >= 2, "one bar"
    again = _pool(["resume", str(run), "--workers", "auto"], logs).wait()
    assert again.code == 0 and "Nothing is owed" in again.out


def test_a_killed_parent_leaves_no_worker_and_the_run_goes_on(
    config: Path, finished: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    command = _pool(["run", str(config), "--out", str(run), "--workers", "2"], logs)
    workers: list[int] = []

    def both_live_and_one_has_written() -> bool:
        workers[:] = _children(command.process.pid or 0)
        return len(workers) == 2 and num_records(run) > 0

    assert command.kill_when(both_live_and_one_has_written)
    end = time.monotonic() + 10
    while any(map(_lives, workers)):
        assert time.monotonic() < end, "an orphan"
        time.sleep(0.02)
    assert num_records(run) < num_records(finished)
    _check(_pool(["resume", str(run), "--workers", "2"], logs).wait(), run, finished)


@pytest.mark.parametrize(
    ("by", "words"),
    [pytest.param("SIGINT", "", marks=pytest.mark.campaign), ("SIGTERM", " by SIGTERM")],
)
def test_a_signal_stops_all_workers_and_says_how_to_go_on(
    by: str, words: str, config: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    command = _pool(["run", str(config), "--out", str(run), "--workers", "2"], logs)
    while num_records(run) < 15 and command.process.exitcode is None:
        time.sleep(0.005)
    began = time.monotonic()
    os.kill(command.process.pid or 0, getattr(signal, by))
    done = command.wait()
    assert time.monotonic() - began < 8
    assert done.code == 128 + getattr(signal, by)
    again = f"Go on with: trimtab resume {run} --workers 2"
    assert done.err.splitlines()[-1] == f"interrupted{words}; nothing finished is lost. {again}"
    assert "Traceback" not in done.err and "stopped by" not in done.err
    assert not any(map(_lives, _workers(run)))
    claimed = [path.name for path in (run / "claims").glob("[!.]*")]
    assert [unit for unit in claimed if holder_of(run, unit)] == []


_BROKEN_JUDGE = '''
from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Judge

__all__ = ["Broken"]


class _Config(Spec):
    pass


class Broken(Judge[_Config]):
    """Scores nothing."""

    Config = _Config
    metrics = (Metric(name="mood", kind="binary", role="effect"),)

    def score(self, items, resource):
        raise ValueError("no mood")
        yield
'''


@pytest.mark.campaign
def test_a_judge_that_fails_stops_no_other_and_the_report_is_written(
    config: Path, finished: Path, tmp_path: Path
) -> None:
    run, logs, extension = tmp_path / "run", tmp_path / "logs", tmp_path / "mine"
    (extension / "judges").mkdir(parents=True)
    (extension / "judges" / "broken.py").write_text(_BROKEN_JUDGE)
    options = ["-o", "judges=[text_health, broken]", "-o", f"extensions=['{extension}']"]
    argv = ["run", str(config), "--out", str(run), "--workers", "2", *options]
    ended = _pool(argv, logs).wait()
    assert ended.code == 7, ended.err
    assert ended.err.splitlines()[-1].startswith("error: ") and "no mood" in ended.err
    assert (run / "report" / "index.html").is_file() and not (run / "finished.json").exists()
    expected = records(finished)
    found = records(run)
    assert all(rows == expected[name] for name, rows in found.items() if name in expected)
    assert sum(name.startswith("completions") for name in found) == len(
        list(finished.glob("completions/*"))
    )
