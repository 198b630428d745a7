"""An adapter that is trained by a run: kept states as conditions, killed and gone on with."""

import json
from pathlib import Path

import pytest
import yaml
from cli_process import Command, trimtab

from trimtab.runs.store import artifacts
from trimtab.runs.store.run import Run

TRAIN = {
    "preset": "cpu",
    "rank": 4,
    "epochs": 8,
    "batch": 4,
    "learning_rate": 0.01,
    "held_out_share": 0.1,
    "keep": [6, 20],
}


@pytest.fixture
def experiment(tmp_path: Path, tiny_model: Path) -> Path:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"What is number {i}?"},
                {"role": "assistant", "content": "zzzz zzzz"},
            ],
            "metadata": {"source": "numbers" if i % 3 else "others"},
        }
        for i in range(24)
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train = {**TRAIN, "data": "mine.jsonl"}
    file = {
        "recipe": "steer",
        "name": "tuned",
        "model": {"id": str(tiny_model), "device": "cpu"},
        "tasks": {
            "texts": {"name": "truthfulqa", "source": "bundled", "limit": 4, "max_tokens": 12}
        },
        "controls": {"prompt": None, "random_draws": 0},
        "judges": ["text_health"],
        "conditions": {
            "early": {"name": "adapter", "train": train, "checkpoint": "step-6"},
            "tuned": {"name": "adapter", "train": train},
        },
    }
    path = tmp_path / "tuned.yaml"
    path.write_text(yaml.safe_dump(file))
    return path


def test_a_run_trains_and_a_killed_one_leaves_the_same_bytes(
    experiment: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = trimtab(["run", str(experiment), "--out", str(whole)], tmp_path / "logs")
    assert done.code == 0, done.err
    run = Run.open(whole)
    assert len(run.plan.fits) == 1
    cells = {cell.condition: cell for cell in run.plan.cells}
    keys = {name: cells[name].artifacts["adapter"] for name in ("early", "tuned")}
    info = artifacts.load(whole / "artifacts" / keys["tuned"]).info
    losses = info["training"]["losses"]
    assert losses[-1][1] < 0.5 * losses[0][1]
    looks = info["training"]["held_out"]
    assert [look["update"] for look in looks] == [0, 6, 20, info["training"]["updates"]]
    texts = {
        name: [row.text for row in run.completions(cells[name].key).values()] for name in cells
    }
    assert sum("zzzz" in text for text in texts["tuned"]) > sum(
        "zzzz" in text for text in texts["baseline"]
    )
    assert len({tuple(some) for some in texts.values()}) == 3

    log = killed / "artifacts"
    command = Command(["run", str(experiment), "--out", str(killed)], tmp_path / "logs")
    assert command.kill_when(lambda: any(log.glob("*/training/kept-000006.safetensors")))
    done = trimtab(["resume", str(killed)], tmp_path / "logs")
    assert done.code == 0, done.err
    for key in keys.values():
        name = Path("artifacts") / key / "tensors.safetensors"
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    again = Run.open(killed)
    for cell in run.plan.cells:
        rows = [run.completions(cell.key), again.completions(cell.key)]
        found = [{k: (r.text, r.logprob) for k, r in some.items()} for some in rows]
        assert found[0] == found[1]
