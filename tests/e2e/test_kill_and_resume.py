"""kill -9 at random moments of every phase, then resume: the same records, the same summary."""

import json
import random
import shutil
import time
from pathlib import Path

import pytest
from cli_process import Command, trimtab

from trimtab.compute.chaos.comparison import PASSING, num_records, records


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("num_kills", [8, pytest.param(20, marks=pytest.mark.campaign)])
def test_killed_many_times_gives_the_undisturbed_result(
    config: Path, finished: Path, tmp_path: Path, num_kills: int
) -> None:
    run, logs = tmp_path / "killed", tmp_path / "logs"
    total = num_records(finished)
    rng = random.Random(20)
    moments = sorted([0, *(rng.randint(1, total) for _ in range(num_kills - 1))])
    kills = 0
    for moment in moments:
        made = (run / "plan" / "0000.json").is_file()
        argv = ["resume", str(run)] if made else ["run", str(config), "--out", str(run)]
        command = Command(argv, logs)
        kills += command.kill_when(lambda moment=moment: num_records(run) >= moment)
    assert kills >= num_kills - 3, "too few kills hit a running process to show anything"
    phases = {m for m in moments if m < total}
    assert len(phases) > num_kills // 4
    done = trimtab(["resume", str(run)], logs)
    assert done.code == 0, done.err
    assert records(run) == records(finished)
    assert (run / "summary.json").read_bytes() == (finished / "summary.json").read_bytes()
    assert json.loads((run / "checks.json").read_text())["score"]


def test_torn_cut_and_doubled_rows_are_told_and_made_good(finished: Path, tmp_path: Path) -> None:
    expected = records(finished)
    summary = (finished / "summary.json").read_bytes()
    run = shutil.copytree(finished, tmp_path / "run")
    segments = sorted(run.glob("completions/*/*.jsonl"))
    torn, cut, doubled = segments[0], segments[1], segments[2]
    torn.write_bytes(torn.read_bytes()[:-9])
    lines = cut.read_bytes().split(b"\n")
    cut.write_bytes(b"\n".join([lines[0], lines[1][: len(lines[1]) // 2], *lines[2:]]))
    doubled.write_bytes(doubled.read_bytes() + doubled.read_bytes().split(b"\n")[0] + b"\n")
    done = trimtab(["resume", str(run)], tmp_path / "logs")
    assert done.code == 0, done.err
    told = done.out + done.err
    for path in (torn, cut, doubled):
        assert str(path.relative_to(run).parent) in told
    assert (run / "summary.json").read_bytes() == summary
    restored = {}
    for folder, rows in records_tolerant(run).items():
        restored[folder] = rows
    assert restored == expected


def records_tolerant(run: Path) -> dict[str, list[str]]:
    """Return rows as the package itself reads them."""
    from trimtab.runs.store.run import Run

    opened = Run.open(run)
    found = {}
    for cell in opened.plan.cells:
        for folder, rows in [
            (f"completions/{cell.key}", opened.completions(cell.key)),
            *(
                (f"scores/{judge.key}/{cell.key}", opened.scores(judge.key, cell.key))
                for judge in opened.judges()
            ),
        ]:
            if rows:
                dumped = [row.model_dump(mode="json", exclude={*PASSING}) for row in rows.values()]
                found[folder] = sorted(json.dumps(row, sort_keys=True) for row in dumped)
    return found


def test_a_second_process_on_the_same_run_works_along(
    config: Path, finished: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "contested", tmp_path / "logs"
    first = Command(["run", str(config), "--out", str(run)], logs)
    while not list(run.glob("claims/window-*")) and first.process.exitcode is None:
        time.sleep(0.005)
    second = trimtab(["resume", str(run)], logs)
    ended = first.wait()
    assert (ended.code, second.code) == (0, 0), ended.err + second.err
    assert records(run) == records(finished)
    assert (run / "summary.json").read_bytes() == (finished / "summary.json").read_bytes()
