"""Behaviours through the command line: the smoke preset, from pairs to the printed table."""

import json
from pathlib import Path

import pytest
from cli_process import trimtab


@pytest.mark.slow
def test_the_smoke_preset_ends_well(repo: Path, tmp_path: Path) -> None:
    run, logs = tmp_path / "smoke", tmp_path / "logs"
    preset = repo / "configs" / "caa_behaviours" / "smoke.yaml"
    done = trimtab(["run", str(preset), "--out", str(run)], logs)
    assert done.code == 0, done.err
    summary = json.loads((run / "summary.json").read_text())
    assert [row["measure"] for row in summary["sections"]["behaviours"]["behaviours"]] == [
        "agreement",
        "patience",
    ]
    for row in summary["sections"]["behaviours"]["behaviours"]:
        assert [s["strength"] for s in row["strengths"]] == [-1, 1]
        assert all(s["effect"]["n"] == row["n"] == 4 for s in row["strengths"])
        assert all(
            side["measure"] == "facts" for s in row["strengths"] for side in s["side_effects"]
        )
    assert "Behaviours" in done.out and "side effect" in done.out
    checks = json.loads((run / "checks.json").read_text())
    assert {check["status"] for phase in checks.values() for check in phase} == {"pass"}
    assert (run / "report" / "figures" / "behaviours.png").is_file()
