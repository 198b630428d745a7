"""Somebody's own task, intervention, judges, section and recipe, none of them in the package."""

import json
import random
from pathlib import Path

import pytest
import yaml
from cli_process import Command, trimtab
from extension_files import write_extension

from trimtab.compute.chaos.comparison import num_records, records

_NUM_KILLS = 6


@pytest.fixture
def staged(tmp_path: Path, tiny_model: Path) -> Path:
    """An experiment file that uses nothing of the package by name but the section ``effects``."""
    data = {
        "recipe": "staged",
        "name": "staged",
        "model": {"id": str(tiny_model), "device": "cpu"},
        "extensions": [str(write_extension(tmp_path / "extras"))],
    }
    path = tmp_path / "staged.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_a_folder_of_ones_own_gives_the_same_report_after_kills(
    staged: Path, tmp_path: Path
) -> None:
    whole, killed, logs = tmp_path / "whole", tmp_path / "killed", tmp_path / "logs"
    done = trimtab(["run", str(staged), "--out", str(whole)], logs)
    assert done.code == 0, done.err
    fragments = [json.loads(path.read_text()) for path in sorted(whole.glob("plan/0*.json"))]
    assert [fragment["number"] for fragment in fragments] == [0, 1, 2]
    assert [len(fragment["cells"]) for fragment in fragments] == [2, 1, 1]
    summary = json.loads((whole / "summary.json").read_text())
    assert sorted(summary["sections"]) == ["damage", "effects", "lengths"]
    assert summary["finding"].startswith("The longest answers are those of ")
    assert len(summary["sections"]["lengths"]["means"]) == 3
    assert (whole / "report" / "figures" / "lengths.png").is_file()
    assert "unusual" in (whole / "report" / "report.md").read_text()

    rng = random.Random(5)
    total = num_records(whole)
    kills = 0
    for moment in sorted(rng.randint(1, total) for _ in range(_NUM_KILLS)):
        made = (killed / "plan" / "0000.json").is_file()
        argv = ["resume", str(killed)] if made else ["run", str(staged), "--out", str(killed)]
        kills += Command(argv, logs).kill_when(lambda m=moment: num_records(killed) >= m)
    assert kills >= _NUM_KILLS - 2, "too few kills hit a running process to show anything"
    done = trimtab(["resume", str(killed)], logs)
    assert done.code == 0, done.err
    assert records(killed) == records(whole)
    for name in ("summary.json", "report/report.md", "report/figures/lengths.csv"):
        assert _without_making(killed / name) == _without_making(whole / name)


def _without_making(path: Path) -> str:
    """Return a file without what tells how the records were made: attempts and times differ."""
    return path.read_text(encoding="utf-8").split("### Code and environment")[0]
