"""What an actor answers: units are done by their names, errors are words. Ray is not needed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.cli.planning import create
from trimtab.cli.ray_worker import RayWorker
from trimtab.core import stopping
from trimtab.models.tiny import save_tiny
from trimtab.runs.store import manifest
from trimtab.runs.store.claims import claim
from trimtab.runs.store.run import Run
from trimtab.runs.work.state import State
from trimtab.runs.work.units import units

EXPERIMENT = """
recipe: truthfulqa_steering
name: actor
model: {{id: {model}, device: cpu}}
task: {{source: bundled, limit: 2, max_tokens: 4}}
heldout: {{limit: 2}}
steering: {{layer: 1, strengths: [0.5]}}
controls: {{random_draws: 0}}
judges: [text_health]
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr(stopping, "_received", [])
    monkeypatch.setattr(sys, "argv", sys.argv)
    save_tiny(tmp_path / "tiny", "llama")
    path = tmp_path / "actor.yaml"
    path.write_text(EXPERIMENT.format(model=tmp_path / "tiny"))
    yield create(path, (), tmp_path / "run")


def test_units_are_done_by_name_and_what_another_holds_is_left_to_it(run: Run) -> None:
    worker = RayWorker(str(run.dir), {"OMP_NUM_THREADS": "1"}, str(manifest.code()["source"]))
    assert worker.look().how == "done"
    done: list[str] = []
    while ready := [unit for unit in units(run) if State(run).is_ready(unit)]:
        with claim(run.dir, ready[0].name):
            held = worker.do(ready[0].name)
        assert held.how == "held" and "held by process" in held.line
        answers = [worker.do(unit.name) for unit in ready]
        assert {answer.how for answer in answers} == {"done"}, answers
        done += [line for answer in answers for line in answer.notes]
    assert not [unit for unit in units(run) if State(run).owed(unit)]
    assert sum(line.startswith("loading the model") for line in done) == 1, "it stays loaded"
    worker.stop()
    assert worker.do("window-0000-000000").how == "stopped"
    assert (run.dir / "attempts" / "0001" / "usage.jsonl").is_file()


def test_other_code_and_other_folders_are_told(run: Run) -> None:
    other = RayWorker(str(run.dir), {}, "0123456789abcdef").look()
    assert (other.how, other.code) == ("failed", 2) and "0123456789abcdef" in other.line
    lost = RayWorker(str(run.dir / "none"), {}, None).look()
    assert lost.how == "failed" and str(run.dir / "none") in lost.line
    worker = RayWorker(str(run.dir), {}, None)
    unknown = worker.do("window-0009-000000")
    assert unknown.how == "failed" and "window-0009-000000" in unknown.line
    worker.stop()
