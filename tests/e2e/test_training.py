"""An adapter that is trained by a run: kept states as conditions, killed and gone on with."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from cli_process import Command, trimtab
from transformers import AutoModelForCausalLM

from trimtab.runs.store import artifacts
from trimtab.runs.store.run import Run
from trimtab.steering.adapters import adapter_of

peft = pytest.importorskip("peft", reason="peft is not installed")

# peft asks transformers by a name that it is about to drop
pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)

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

    exported_alike(whole, adapter_of(artifacts.load(whole / "artifacts" / keys["tuned"])), tmp_path)


def exported_alike(run: Path, adapter, tmp_path: Path) -> None:
    """Load both exports with peft and transformers: they give the same numbers."""
    for form in ("peft", "merged"):
        argv = ["adapters", "export", str(run), "--condition", "tuned", "--as", form]
        done = trimtab([*argv, "--out", str(tmp_path / form)], tmp_path / "logs")
        assert done.code == 0, done.err
    base = Run.open(run).plan.cells[0].model.id
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    ids = torch.tensor([[256, 70, 71, 72, 73]])
    with torch.no_grad():
        without = plain(ids).logits
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")(ids).logits
        tuned = peft.PeftModel.from_pretrained(plain, tmp_path / "peft").eval()(ids).logits
    assert torch.allclose(merged, tuned, atol=1e-4) and not torch.allclose(without, tuned, atol=0.1)
    assert len(adapter.factors) == 4 * 7


def test_a_card_shows_what_is_learned(experiment: Path, tiny_model: Path, tmp_path: Path) -> None:
    data = experiment.parent / "mine.jsonl"
    argv = ["data", "card", str(data), "--model", str(tiny_model), "--show-labels"]
    done = trimtab(argv, tmp_path / "logs")
    assert done.code == 0, done.err
    assert "[[zzzz zzzz<|end|>]]" in done.out and "numbers" in done.out and "24" in done.out


def test_rates_are_probed(experiment: Path, tmp_path: Path) -> None:
    argv = ["probe", "lr", str(experiment), "--rate", "0.0001", "--rate", "0.02", "--steps", "6"]
    done = trimtab(argv, tmp_path / "logs")
    assert done.code == 0, done.err
    assert "0.0001" in done.out and "0.02" in done.out and "->" in done.out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("conditions.tuned.train.preset=fast", "There is no preset 'fast'"),
        ("conditions.tuned.train.data=gone.jsonl", "gone.jsonl' does not exist"),
        ("conditions.tuned.checkpoint=epoch-9", "makes no 'epoch-9'"),
        ("conditions.tuned.train.keep=[9999]", "train.keep names update 9999"),
        ("conditions.tuned.source=x", "either `source`"),
        ("conditions.tuned.train.lr=1", "lr"),
    ],
)
def test_mistakes_are_a_line_before_a_model_is_loaded(
    experiment: Path, tmp_path: Path, change: str, said: str
) -> None:
    done = trimtab(["plan", str(experiment), "-o", change], tmp_path / "logs")
    assert done.code == 2 and said in done.err and "Traceback" not in done.err, done.err
