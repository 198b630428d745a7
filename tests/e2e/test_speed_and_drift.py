"""What a run in bfloat16 says of itself: notice, speed and load; the drift, and what overflows."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from cli_process import trimtab


@pytest.mark.slow
def test_a_run_in_bfloat16_says_so_once_and_records_what_it_cost(
    config: Path, tmp_path: Path
) -> None:
    data = yaml.safe_load(config.read_text())
    data["model"]["dtype"] = "bfloat16"
    data["judges"] = ["text_health"]
    config.write_text(yaml.safe_dump(data))
    run, logs = tmp_path / "run", tmp_path / "logs"
    done = trimtab(["run", str(config), "--out", str(run)], logs)
    # texts at strength 0 may differ from the baseline's here, and then a check fails, as it should
    assert done.code in (0, 8), done.err
    assert (done.out + done.err).count("bfloat16 on a CPU:") == 1
    assert (run / "report" / "report.md").read_text().count("bfloat16 on a CPU:") == 1
    (line,) = re.findall(r"^speed: .*$", done.out, re.M)
    assert re.search(r"generate [\d.]+ s, [\d,]+ tokens/s;.*; cpu bfloat16, threads: 1; ", line)
    attempt = run / "attempts" / "0001"
    rows = [json.loads(row) for row in (attempt / "usage.jsonl").read_text().splitlines()]
    phases = [row["phase"] for row in rows]
    assert phases[:2] == ["fit", "generate"]
    assert {"score choice", "score text_health"} <= set(phases[2:])
    lines = [
        row
        for path in run.glob("completions/*/*.jsonl")
        for row in map(json.loads, path.read_text().splitlines())
    ]
    assert rows[1]["rows"] == len(lines)
    assert rows[1]["tokens"] == sum(r["num_tokens"] or r["num_prompt_tokens"] for r in lines)
    assert (rows[1]["device"], rows[1]["dtype"], rows[1]["threads"]) == ("cpu", "bfloat16", 1)
    assert rows[phases.index("score text_health")]["device"] is None
    assert json.loads((attempt / "manifest.json").read_text())["machine"]["threads"] == 1
    again = trimtab(["resume", str(run)], logs)
    assert "speed:" not in again.out, "nothing was owed"
    scored = trimtab(["score", str(run), "--judge", "exact"], logs)
    assert re.search(r"^speed: score exact [\d.]+ s; ", scored.out, re.M), scored.out + scored.err


@pytest.mark.slow
@pytest.mark.parametrize("target", ["config", "model"])
def test_drift_is_none_in_float32_and_told_in_bfloat16(
    config: Path, tiny_model: Path, tmp_path: Path, target: str
) -> None:
    name = str(config if target == "config" else tiny_model)
    argv = ["doctor", "drift", name, "--limit", "3", "--max-tokens", "6"]
    same = trimtab([*argv, "--dtype", "float32"], tmp_path / "logs")
    assert same.code == 0, same.err
    assert cells(same.out, "texts that differ")[0] == "0 of 3"
    assert cells(same.out, "largest difference")[0] == "0"
    other = trimtab(argv, tmp_path / "logs")
    assert "bfloat16 against float32" in " ".join(other.out.split()), other.err
    assert float(cells(other.out, "largest difference")[0]) > 0
    wrong = trimtab([*argv, "--dtype", "float8"], tmp_path / "logs")
    assert wrong.code == 2 and "--dtype 'float8' is none of float32" in wrong.err


def cells(out: str, row: str) -> list[str]:
    """Return the cells of the table's row whose name holds ``row``."""
    (line,) = [line for line in out.splitlines() if row in line]
    return [cell.strip() for cell in re.split("[│┃]", line)[2:-1]]


@pytest.fixture
def overflowing(tiny_model: Path, tmp_path: Path) -> Path:
    """Return a model that is finite in float32 and not in float16."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "large"
    shutil.copytree(tiny_model, folder)
    weights = load_file(folder / "model.safetensors")
    for name in weights:
        if "layers.2.mlp" in name:
            weights[name] *= 300
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.slow
def test_what_helps_a_model_that_overflows_in_float16(overflowing: Path, tmp_path: Path) -> None:
    argv = ["doctor", "nan", str(overflowing), "--limit", "2", "--max-tokens", "3"]
    fine = trimtab(argv, tmp_path / "logs")
    assert fine.code == 0, fine.err
    assert cells(fine.out, "as asked: float32 on cpu")[0] == "4 of 4"
    assert "eager" not in fine.out
    bad = trimtab([*argv, "--dtype", "float16"], tmp_path / "logs")
    assert bad.code == 0, bad.err
    for row in ("as asked: float16 on cpu", "half the prompt", "eager attention"):
        finite, first = cells(bad.out, row)
        assert finite == "0 of 4" and re.fullmatch(r"model\.layers\.2, position \d+", first)
    assert cells(bad.out, "│ float32") == cells(bad.out, "│ bfloat16") == ["4 of 4", ""]
    assert "finite with float32 (-o model.dtype=float32), or bfloat16" in bad.out


@pytest.mark.slow
def test_one_device_is_tried_for_a_model_that_is_spread(
    config: Path, overflowing: Path, tmp_path: Path
) -> None:
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    parts = ("embed_tokens", "norm", "rotary_emb", *(f"layers.{i}" for i in range(4)))
    spread = {f"model.{p}": "disk" if p in ("layers.1", "layers.3") else "cpu" for p in parts}
    data = yaml.safe_load(config.read_text())
    data["model"] = {
        "id": str(overflowing),
        "device": "cpu",
        "device_map": {**spread, "lm_head": "cpu"},
        "offload_folder": str(tmp_path / "offload"),
    }
    config.write_text(yaml.safe_dump(data))
    argv = ["doctor", "nan", str(config), "--dtype", "float16", "--limit", "1", "--max-tokens", "2"]
    done = trimtab(argv, tmp_path / "logs")
    assert done.code == 0, done.err
    for row in ("as asked: float16 on devices by", "one device"):
        finite, first = cells(done.out, row)
        assert finite == "0 of 2" and first.startswith("model.layers.2, position")
    assert cells(done.out, "│ float32") == ["2 of 2", ""]
