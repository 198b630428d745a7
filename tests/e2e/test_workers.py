"""Several workers on one run: the records of one, whatever is killed meanwhile."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from cli_process import Command, trimtab

from trimtab.compute.chaos.comparison import num_records, records
from trimtab.runs.store.claims import holder_of


def _rows(run: Path) -> list[str]:
    """Return what each line of all segments is about: folder, sample and index."""
    keys = []
    for path in [*run.glob("completions/*/*.jsonl"), *run.glob("scores/*/*/*.jsonl")]:
        for line in path.read_text().splitlines():
            row = json.loads(line)
            keys.append(f"{path.parent.relative_to(run)} {row['sample_id']} {row['index']}")
    return keys


@pytest.mark.parametrize(
    "num_workers", [pytest.param(n, marks=pytest.mark.campaign) for n in (2, 5)] + [3]
)
def test_workers_share_a_run_without_doing_anything_twice(
    num_workers: int, config: Path, finished: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "shared", tmp_path / "logs"
    done = trimtab(["plan", str(config), "--out", str(run)], logs)
    assert done.code == 0, done.err
    workers = [Command(["work", str(run)], logs) for _ in range(num_workers)]
    ended = [worker.wait() for worker in workers]
    assert [worker.code for worker in ended] == [0] * num_workers, [w.err for w in ended]
    assert records(run) == records(finished)
    keys = _rows(run)
    assert len(keys) == len(set(keys)), "two workers wrote the same row"
    assert (run / "summary.json").read_bytes() == (finished / "summary.json").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("num_kills", [10, pytest.param(30, marks=pytest.mark.campaign)])
def test_kills_among_three_workers_lose_nothing(
    config: Path, finished: Path, tmp_path: Path, num_kills: int
) -> None:
    run, logs = tmp_path / "killed", tmp_path / "logs"
    assert trimtab(["plan", str(config), "--out", str(run)], logs).code == 0
    rng, total = random.Random(30), num_records(finished)
    moments = sorted(rng.randint(1, total) for _ in range(num_kills))
    workers = [Command(["work", str(run)], logs) for _ in range(3)]
    kills = 0
    for moment in moments:
        victim = rng.randrange(3)
        kills += workers[victim].kill_when(lambda m=moment: num_records(run) >= m)
        workers[victim] = Command(["work", str(run)], logs)
    for worker in workers:
        ended = worker.wait()
        assert ended.code == 0, ended.err
    assert kills >= num_kills // 2, "too few kills hit a running worker to show anything"
    assert records(run) == records(finished)
    done = trimtab(["resume", str(run)], logs)
    assert done.code == 0, done.err
    assert (run / "summary.json").read_bytes() == (finished / "summary.json").read_bytes()


def test_a_busy_unit_is_waited_for_and_named(config: Path, finished: Path, tmp_path: Path) -> None:
    run, logs = tmp_path / "busy", tmp_path / "logs"
    assert trimtab(["plan", str(config), "--out", str(run)], logs).code == 0
    first = Command(["work", str(run)], logs)
    while not list(run.glob("claims/window-*")) and first.process.exitcode is None:
        time.sleep(0.005)
    second = trimtab(["score", str(run)], logs)
    assert second.code == 0, second.err
    ended = first.wait()
    assert ended.code == 0, ended.err
    assert "failed" not in second.err
    assert records(run) == records(finished)


def test_signals_end_a_worker_after_its_row_and_give_its_unit_back(
    config: Path, finished: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "signalled", tmp_path / "logs"
    assert trimtab(["plan", str(config), "--out", str(run)], logs).code == 0
    for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
        before = num_records(run)
        worker = Command(["work", str(run)], logs)
        while num_records(run) < before + 12 and worker.process.exitcode is None:
            time.sleep(0.005)
        assert worker.process.pid is not None
        # what SLURM sends at preemption, and once more: the first that means something counts
        for sent in (signal.SIGCONT, number, signal.SIGCONT, signal.SIGTERM):
            os.kill(worker.process.pid, sent)
        ended = worker.wait()
        assert ended.code == 75, ended.err
        last = ended.err.splitlines()[-1]
        assert last.startswith(f"stopped by {number.name}; nothing finished is lost. Left: ")
        assert last.endswith(f"Go on with: trimtab work {run}") and "Traceback" not in ended.err
        assert [c for c in os.listdir(run / "claims") if holder_of(run, c)] == []
    done = trimtab(["work", str(run)], logs)
    assert done.code == 0, done.err
    assert records(run) == records(finished)


def test_workers_of_other_kinds_and_with_limits_share_a_run(
    config: Path, finished: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "kinds", tmp_path / "logs"
    assert trimtab(["plan", str(config), "--out", str(run)], logs).code == 0
    short = trimtab(["work", str(run), "--kinds", "fit", "--max-units", "1"], logs)
    assert short.code == 75, short.err
    assert "stopped: 1 unit of at most 1 done. Left: " in short.err.splitlines()[-1]
    workers = [
        Command(["work", str(run), "--kinds", kinds], logs) for kinds in ("score", "fit,generate")
    ]
    for worker in workers:
        ended = worker.wait()
        assert ended.code == 0, ended.err
    assert records(run) == records(finished)
    assert (run / "summary.json").read_bytes() == (finished / "summary.json").read_bytes()
    made = {
        path.parent.name: [json.loads(line)["attempt"] for line in path.read_text().splitlines()]
        for path in run.glob("scores/*/*/*.jsonl")
    }
    assert len({attempt for attempts in made.values() for attempt in attempts}) == 1
