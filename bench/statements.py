"""Are the statements of a report as often wrong, and as often right, as they promise?

    python bench/statements.py [--runs 200]

Synthetic runs whose truth is known (120 questions in 40 clusters, a vector at -0.3 and +0.3, eight
random vectors, two metrics, four tests): nothing planted; a vector that is one more random vector;
a number and a rate that change by what `trimtab plan` says is found in four runs of five. Counted
is in how many the finding calls anything an effect, or names the planted one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from planted import claims, planted_run

from trimtab.reports.data.expected import expected
from trimtab.reports.data.run import RunData
from trimtab.reports.sections.effects.finding import effect_finding

NOISE = 0.1


def count(runs: int, told: Callable[[str], bool], headline: str = "mc2", **planted: Any) -> int:
    """Return in how many runs the finding says what ``told`` looks for."""
    found = 0
    for seed in range(runs):
        run = planted_run(seed, noise=NOISE, **planted)
        run.plan = run.plan.model_copy(update={"headline": headline})
        found += told(effect_finding(RunData(run)).text)
    return found


def main() -> None:
    """Print a row per kind of run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    runs, start = parser.parse_args().runs, time.process_time()
    run = planted_run(0)
    (promise,) = expected(run.plan, run.sample_sets)
    assert promise.deviations is not None and promise.rate is not None
    rows = {
        "nothing planted: an effect is claimed": count(runs, claims),
        "random against random: an effect is claimed": count(
            runs, claims, treatment=None, random_spread=0.1
        ),
        f"a number by {promise.deviations:.2f} sd (promised 80 %): found": count(
            runs, lambda text: "caa +0.3 raised mc2" in text, treatment=promise.deviations * NOISE
        ),
        f"a rate by {100 * promise.rate:.1f} points (promised 80 %): found": count(
            runs, lambda text: "caa +0.3 raised mc1" in text, headline="mc1", rate=promise.rate
        ),
    }
    for name, found in rows.items():
        sys.stdout.write(f"{name}: {found} of {runs} ({100 * found / runs:.1f} %)\n")
    sys.stdout.write(f"{time.process_time() - start:.0f} processor seconds\n")


if __name__ == "__main__":
    main()
