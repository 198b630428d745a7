"""Three workers at one list of units, killed again and again: every row once, none lost."""

import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from trimtab.core.records import SegmentWriter, read_segments
from trimtab.core.types import Score
from trimtab.runs.store.claims import claim, holder_of

NUM_UNITS, NUM_ROWS, NUM_KILLS = 80, 8, 30


def rows_of(unit: int) -> list[Score]:
    return [
        Score(cell=f"u{unit}", sample_id=f"s{n}", judge="j", values={"x": unit + n / 8})
        for n in range(NUM_ROWS)
    ]


def missing(folder: Path, unit: int) -> list[Score]:
    present = {row.key for row in read_segments(folder / f"rows-{unit}", Score).rows}
    return [row for row in rows_of(unit) if row.key not in present]


def work(folder: Path, seed: int) -> None:
    """Do what a worker does: skip what others hold, write what is missing, look again."""
    rng = random.Random(seed)
    while owed := [unit for unit in range(NUM_UNITS) if missing(folder, unit)]:
        unit = rng.choice(owed)
        with claim(folder, f"unit-{unit}") as mine:
            if mine is None:
                continue
            path = folder / f"rows-{unit}" / f"{os.getpid()}-{mine.epoch}.jsonl"
            with SegmentWriter(path) as writer:
                for row in missing(folder, unit):
                    time.sleep(rng.uniform(0.0, 0.01))
                    writer.append([row], mine.check)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sees at once that a holder died")
def test_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    rng = random.Random(7)

    def start():
        process = context.Process(target=work, args=(tmp_path, rng.randrange(2**32)))
        process.start()
        return process

    running = [start() for _ in range(3)]
    kills = 0
    for _ in range(NUM_KILLS):
        time.sleep(rng.uniform(0.0, 0.1))
        number = rng.randrange(3)
        running[number].kill()
        running[number].join()
        kills += running[number].exitcode == -signal.SIGKILL
        running[number] = start()
    for process in running:
        process.join(120)
        assert process.exitcode == 0
    assert kills > NUM_KILLS / 3, "too few kills hit a running process to show anything"
    epochs = []
    for unit in range(NUM_UNITS):
        result = read_segments(tmp_path / f"rows-{unit}", Score)
        assert result.rows == rows_of(unit)
        assert result.duplicates == 0 and not result.conflicts
        assert holder_of(tmp_path, f"unit-{unit}") is None
        epochs.append(len(list((tmp_path / "claims" / f"unit-{unit}").iterdir())))
    assert max(epochs) > 1, "a killed worker's unit was taken over"
