"""Several workers on one run: the records of one, whatever is killed meanwhile."""

import random
import time
from pathlib import Path

import pytest
from cli_process import Command, trimtab
from run_records import num_records, records


def _rows(run: Path) -> list[str]:
    """Return what each line of all segments is about: folder, sample and index."""
    import json

    keys = []
    for path in [*run.glob("completions/*/*.jsonl"), *run.glob("scores/*/*/*.jsonl")]:
        for line in path.read_text().splitlines():
            row = json.loads(line)
            keys.append(f"{path.parent.relative_to(run)} {row['sample_id']} {row['index']}")
    return keys


@pytest.mark.parametrize("num_workers", [pytest.param(2, marks=pytest.mark.campaign), 3])
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
