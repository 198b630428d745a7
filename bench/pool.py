"""Time of a run by two workers against one, a thread each: does a second worker help?

    python bench/pool.py CONFIG [-o KEY=VALUE ...] [--workers 2] [--turns 3]

Each side is planned first, which is not timed, then resumed with ``--workers 1`` and
``--workers N`` in turns; the figure is the median of the ratios of turns. The start of workers
(imports, weights) is part of what is timed. Time without the report, which one process writes in
any case, is shown too. The records of all runs are compared. Pin this to as many cores as there are
workers, and look at the load of others that stands beside each turn: where all cores are busy, the
ratio says how the system shares them out. The processor seconds then say more: what the second
worker does again (imports, weights) is their rise, and no ratio falls below it over the workers.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from trimtab.compute.chaos.comparison import records
from trimtab.models.machine import other_load, read_clock, usable_cores


@dataclass(frozen=True)
class Turn:
    """One run.

    Attributes:
        seconds: In all.
        working: Until the last worker had ended.
        processor: Processor seconds of all its processes.
        load: Cores that other processes kept busy.
    """

    seconds: float
    working: float
    processor: float
    load: float


def main() -> None:
    """Measure, and print a line for each turn and the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("-o", dest="overrides", action="append", default=[])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args()
    overrides = [word for one in asked.overrides for word in ("-o", one)]
    print(f"{len(usable_cores())} cores, {asked.config}, {' '.join(asked.overrides)}")
    ratios, parts = [], []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(asked.turns):
            runs = {n: Path(folder) / f"{turn}-{n}" for n in (1, asked.workers)}
            turns = {n: _turn(asked.config, overrides, run, n) for n, run in runs.items()}
            one, many = turns[1], turns[asked.workers]
            assert records(runs[1]) == records(runs[asked.workers]), "the records differ"
            ratios.append(many.seconds / one.seconds)
            parts.append(many.working / one.working)
            for n, t in turns.items():
                print(
                    f"turn {turn}, {n}: {t.seconds:.1f} s, workers {t.working:.1f} s, "
                    f"processor {t.processor:.0f} s, load of others {t.load:.2f} cores",
                    flush=True,
                )
    print(f"ratio {statistics.median(ratios):.2f} in all ({', '.join(f'{r:.2f}' for r in ratios)})")
    print(
        f"ratio {statistics.median(parts):.2f} of the workers alone "
        f"({', '.join(f'{r:.2f}' for r in parts)}); the records are equal"
    )


def _turn(config: Path, overrides: list[str], run: Path, workers: int) -> Turn:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    trimtab = [sys.executable, "-m", "trimtab"]
    plan = [*trimtab, "plan", str(config), "--out", str(run), *overrides]
    subprocess.run(plan, env=environment, check=True, capture_output=True)
    cores = usable_cores()
    before, began = read_clock(cores), time.monotonic()
    resume = [*trimtab, "resume", str(run), "--workers", str(workers)]
    done = subprocess.run(resume, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 8), done.stderr  # a failed check is told, and no failed run
    seconds, after = time.monotonic() - began, read_clock(cores)
    said = re.search(r"workers?, ([\d.,]+) s in all", done.stdout)
    assert said is not None, done.stdout
    load = other_load(before, after) or 0.0
    return Turn(seconds, float(said[1].replace(",", "")), after.own - before.own, load)


if __name__ == "__main__":
    main()
