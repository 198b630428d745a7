"""A bank and an automatic layer through every phase: fitted once, measured, told in the report."""

import json
from pathlib import Path

from cli_process import trimtab


def test_bank_and_automatic_layer_reach_the_report(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    overrides = [
        "steering.layer=auto",
        "steering.strengths=[0.5]",
        "bank={vectors: 3, sizes: [2]}",
        "measures=[options]",
        "judges=[]",
    ]
    argv = ["run", str(config), "--out", str(run)]
    done = trimtab([*argv, *(x for o in overrides for x in ("-o", o))], tmp_path / "logs")
    assert done.code == 0, done.err
    infos = [json.loads(p.read_text()) for p in run.glob("artifacts/*/artifact.json")]
    assert len(infos) == 2 and all("layer_choice" in info for info in infos)
    assert len(list(run.glob("artifacts/*/activations.safetensors"))) == 1
    summary = json.loads((run / "summary.json").read_text())
    pool = next(c for c in summary["conditions"] if c["condition"] == "bank of 2 +0.5, 3 vectors")
    assert pool["group"] == "treatment" and 0 < pool["share"] < 1
    found = summary["measures"]["options"]["conditions"][pool["condition"]]["metrics"]["mc1"]
    assert found["vs_baseline"]["vectors"]["num"] == 3
    text = (run / "report" / "report.md").read_text()
    for title in ("Vector bank", "Choice of layer", "Vectors of the bank", "select split"):
        assert title in text
