"""What every fault is played on: an experiment of seconds, its undisturbed run, and what must hold.

Whatever happens a command ends, with a documented exit code and at most one line of error; and once
the cause is gone, the run's rows, artifacts and summary are those of the undisturbed one.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from cli_process import Command, Finished

from trimtab.compute.chaos.commands import mishaps
from trimtab.compute.chaos.comparison import compare, rows

CONFIGS = Path(__file__).parents[2] / "configs"
HANG_S = 300.0
REFUSED = (2, 3, 4, 5, 6, 7)
"""Exit codes of what a command may refuse; 1 would be a bug, 8 is a check."""

STEERING = "truthfulqa_steering"
EXPERIMENTS: dict[str, dict[str, Any]] = {
    STEERING: {
        "task": {"source": "bundled", "limit": 4, "max_tokens": 8},
        "heldout": {"limit": 2},
        "steering": {"layer": 1, "strengths": [0.5]},
        "controls": {"prompt": "Be truthful.", "random_draws": 1},
        "judges": [{"name": "rubric", "rubric": "truth"}, "text_health"],
    },
    "gsm8k_best_of_n": {
        # differences of digits: some of what a random model writes is right
        "task": {
            "name": "arithmetic",
            "forms": ["sum"],
            "operations": ["-"],
            "digits": 1,
            "steps": 1,
            "count": 30,
            "max_tokens": 16,
        },
        "sampling": {"temperature": 1.0, "top_p": 1.0},
        "candidates": 8,
        "judges": ["likelihood", {"name": "energy", "kind": "head", "training": {"steps": 4}}],
    },
    "gsm8k_search": {
        "space": {
            "caa": {"layer": {"low": 0, "high": 1}, "strength": {"low": 0.1, "high": 0.4}},
            "pca": {
                "name": "caa",
                "estimator": "pca",
                "layer": 1,
                "strength": {"low": 0.1, "high": 0.4},
            },
        },
    },
    "weird_generalization": {
        "aligned": {
            "prompts": {"name": "instructions", "fractions": {"fit": 1, "select": 0, "test": 0}},
            "samples": 8,
        }
    },
    "wireheading": {},
}
"""Of each recipe what stands in the place of its smoke preset's own; of the first one all."""


@dataclass
class Outcome:
    """One instance: what was tried, and what did not hold (a line each)."""

    what: str
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ground:
    """The experiment.

    Attributes:
        folder: Where everything is.
        config: The experiment file.
        whole: The run that nothing disturbed.
        seconds: How long that took.
    """

    folder: Path
    config: Path
    whole: Path
    seconds: float

    @classmethod
    def make(cls, folder: Path, recipe: str = STEERING) -> "Ground":
        """Make model, experiment of ``recipe`` and undisturbed run."""
        from trimtab.models.tiny import save_tiny

        save_tiny(folder / "tiny", "llama")
        config = folder / "tiny.yaml"
        config.write_text(json.dumps(_experiment(folder / "tiny", recipe)))
        os.environ |= {"TRIMTAB_HOME": str(folder / "home"), "NO_PROXY": "127.0.0.1"}
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        whole, since = folder / "whole", time.monotonic()
        done = run_command(["run", str(config), "--out", str(whole)], folder / "logs")
        assert done.code == 0, done.err
        return cls(folder, config, whole, time.monotonic() - since)

    def command(
        self, argv: Sequence[str | Path], prepare: Callable[[], None] | None = None
    ) -> Command:
        """Start a command."""
        return Command(list(map(str, argv)), self.folder / "logs", prepare=prepare)

    def run(
        self, argv: Sequence[str | Path], prepare: Callable[[], None] | None = None
    ) -> Finished:
        """Run a command to its end."""
        return ended(self.command(argv, prepare))

    def start(self, run: Path) -> list[str]:
        """Return the command that begins or goes on with ``run``."""
        if is_planned(run):
            return ["resume", str(run)]
        return ["run", str(self.config), "--out", str(run)]

    def copy(self, target: Path) -> Path:
        """Copy the undisturbed run."""
        return Path(shutil.copytree(self.whole, target))

    def half(self, target: Path, draw: Callable[[], float]) -> Path:
        """Copy the undisturbed run without some of its segments and without its report."""
        self.copy(target)
        segments = [*target.glob("completions/*/*.jsonl"), *target.glob("scores/*/*/*.jsonl")]
        for path in segments:
            if draw() < 0.3:
                path.unlink()
        shutil.rmtree(target / "report")
        for name in ("summary.json", "finished.json"):
            (target / name).unlink()
        return target

    def differences(self, run: Path) -> list[str]:
        """Return in what a finished run differs from the undisturbed one."""
        # kinds that may write a row twice do not ask for ``doubled``
        return replace(compare(run, self.whole), doubled=()).lines()

    def resumed(self, run: Path) -> list[str]:
        """Go on with a run to its end; return what does not hold then."""
        done = self.run(self.start(run))
        return wrong(done, (0,)) or self.differences(run)


def is_planned(run: Path) -> bool:
    """Whether there is a run."""
    return (run / "plan" / "0000.json").is_file()


def _experiment(model: Path, recipe: str) -> dict[str, Any]:
    """Return the smallest experiment of a recipe, with a tiny model."""
    own = {"model": {"id": str(model), "device": "cpu"}, **EXPERIMENTS[recipe]}
    if recipe == STEERING:
        return {"recipe": recipe, "name": "campaign", **own}
    smoke = yaml.safe_load((CONFIGS / recipe / "smoke.yaml").read_text())
    return {**smoke, **own}


def run_command(argv: list[str], logs: Path) -> Finished:
    """Run a command to its end."""
    return ended(Command(argv, logs))


def ended(command: Command, seconds: float = HANG_S) -> Finished:
    """Wait for a command; one that does not end is killed, and has the exit code -9."""
    command.process.join(seconds)
    if command.process.exitcode is None:
        command.process.kill()
    return command.wait()


def wrong(done: Finished, codes: Sequence[int]) -> list[str]:
    """Return what is wrong with how a command ended."""
    last = (done.err.splitlines() or [""])[-1]
    lines = mishaps(done.code, done.out, done.err, codes)
    if done.code in codes and done.code > 0 and not last.startswith(("error: ", "interrupted")):
        lines.append(f"exit code {done.code} without a line of error: {last[:200]!r}")
    return lines


def doubled(run: Path) -> list[str]:
    """Return the rows that stand twice in a run."""
    found = rows(run).items()
    return [f"{key} stands {len(versions)} times" for key, versions in found if len(versions) > 1]


def with_home(home: Path) -> Callable[[], None]:
    """Return what gives a process another TRIMTAB_HOME."""
    return with_variable("TRIMTAB_HOME", str(home))


def with_variable(name: str, value: str) -> Callable[[], None]:
    """Return what sets a variable of a process's environment."""
    return partial(_set_variable, name, value)


def _set_variable(name: str, value: str) -> None:
    os.environ[name] = value
