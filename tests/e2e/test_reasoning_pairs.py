"""Vectors from pairs on reasoning, through every phase of `steer`, from both kinds of source."""

import json
from pathlib import Path

import yaml
from cli_process import trimtab

from trimtab.tasks.base import TASKS

TASK = {"name": "arithmetic", "count": 60, "limit": 6, "max_tokens": 6}


def test_corrupted_solutions_and_a_file_make_vectors(tmp_path: Path, tiny_model: Path) -> None:
    made = TASKS.build("arithmetic", {"count": 60}).pairs("fit")
    rows = [
        {"question": pair.question, "positive": pair.positive, "negative": "I don't know."}
        for pair in made
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept = []
    for name, pairs in (("corrupted", {}), ("file", {"pairs": {"source": "own.jsonl"}})):
        data = {
            "recipe": "steer",
            "name": name,
            "model": {"id": str(tiny_model), "device": "cpu"},
            "tasks": {"sums": TASK},
            "fit_on": {**TASK, **pairs},
            "layer": 1,
            "conditions": {read: {"name": "caa", "read": read} for read in ("answer_mean", "last")},
            "strengths": [0.5],
            "controls": {"random_draws": 0},
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(data))
        out = tmp_path / name
        done = trimtab(["run", str(path), "--out", str(out)], tmp_path / "logs")
        assert done.code == 0, done.err
        infos = [json.loads(p.read_text()) for p in out.glob("artifacts/*/artifact.json")]
        assert sorted(info["read"] for info in infos) == ["answer_mean", "last"]
        for info in infos:
            assert info["num_pairs"] == 6
            assert info["layers"]["1"]["reliability"]["num_units"] == 6
        phases = json.loads((out / "checks.json").read_text())
        status = {c["name"]: c["status"] for checks in phases.values() for c in checks}
        assert status["splits disjoint"] == "pass"
        assert "to the population" in (out / "report" / "report.md").read_text()
        cells = json.loads((out / "plan" / "0000.json").read_text())["cells"]
        kept.append({c["condition"]: c["key"] for c in cells})
    corrupted, given = kept
    assert corrupted["baseline"] == given["baseline"]
    assert corrupted.keys() == given.keys()
    same = [name for name in corrupted if corrupted[name] == given[name]]
    assert same == ["baseline", "prompt"]
