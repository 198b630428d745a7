"""Runs of the first format, made by 977cf48, are shown, reported and scored with equal numbers."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cli_process import trimtab
from equal_runs import Comparison, numbers_of_summary

from trimtab.compute.chaos.comparison import records

KEPT = Path(__file__).parents[1] / "data" / "run_977cf48"
RUNS = ("steering", "best_of_n")
COUNTED = ("mean", "difference", "n", "wins", "losses", "ties")
"""What no statistics can change."""


@pytest.fixture(scope="module", params=RUNS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(name: str, tmp_path: Path) -> Path:
    return shutil.copytree(KEPT / name, tmp_path / name)


@pytest.fixture(scope="module")
def reported(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the run with a report of today."""
    folder = tmp_path_factory.mktemp("reported")
    run = shutil.copytree(KEPT / name, folder / name)
    done = trimtab(["report", str(run)], folder / "logs")
    assert done.code == 0, done.err
    return run


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    comparison = Comparison()
    comparison.compare("summary", numbers_of_summary(old), numbers_of_summary(new))
    return comparison.differences["summary"]


def test_status_finds_nothing_owed(name: str, run: Path, tmp_path: Path) -> None:
    done = trimtab(["status", str(run)], tmp_path / "logs")
    assert done.code == 0, done.err
    owed = {row[0].split()[-1]: row[-1] for row in _rows(done.out)}
    judges = {path.name for path in (KEPT / name / "scores").iterdir()}
    assert {owed[phase] for phase in {"fit", "generate", *judges}} == {"0"}
    rows = sum(p.read_bytes().count(b"\n") for p in (KEPT / name).glob("completions/*/*.jsonl"))
    assert ["generate", "done", str(rows), "0"] in _rows(done.out)
    assert "fail: " not in done.out


def _rows(printed: str) -> list[list[str]]:
    """Return the cells of the rows of printed tables."""
    lines = [line.strip() for line in printed.splitlines()]
    return [
        [cell.strip() for cell in line.strip("│").split("│")] for line in lines if line[:1] == "│"
    ]


def test_report_finds_the_old_numbers(name: str, reported: Path) -> None:
    assert (reported / "report" / "index.html").is_file()
    summary = read(reported / "summary.json")
    assert differences(read(KEPT / f"{name}_version_4.json"), summary) == []
    old, new = numbers_of_summary(read(KEPT / f"{name}_summary.json")), numbers_of_summary(summary)
    counted = {path for path in old if path.split(".")[-1] in COUNTED and is_counted(path)}
    assert {path for path in counted if old[path] != new.get(path)} == set() != counted
    assert records(reported) == records(KEPT / name)


def is_counted(path: str) -> bool:
    """Whether a number is of a condition, and no difference to random vectors.

    Those are a place among them now, and other sections show the best condition only where one
    moved in the right direction.
    """
    return path.startswith("measures.") and ".vs_random." not in path


def test_report_shows_what_is_not_in_the_summary(name: str, reported: Path) -> None:
    report = (reported / "report" / "report.md").read_text(encoding="utf-8")
    checks = [check for phase in read(KEPT / name / "gates.json").values() for check in phase]
    assert [check for check in checks if f"{check['name']}: {check['detail']}" not in report] == []
    doses = KEPT / name / "doses.json"
    strengths = (
        [s for cell in read(doses).values() for s in cell.values()] if doses.exists() else []
    )
    assert [strength for strength in strengths if f"{strength:.4g}" not in report] == []
    usage = (KEPT / name / "attempts" / "0001" / "load.jsonl").read_text().splitlines()
    phases = [json.loads(line)["phase"] for line in usage]
    assert [phase for phase in phases if f"{phase}, attempt 1" not in report] == []


def test_another_judge_scores_them(name: str, run: Path, tmp_path: Path) -> None:
    before = records(run)
    done = trimtab(["score", str(run), "--judge", "exact"], tmp_path / "logs")
    assert done.code == 0, done.err
    after = records(run)
    added = {folder: rows for folder, rows in after.items() if folder not in before}
    assert {folder: after[folder] for folder in before} == before
    cells = {row["cell"] for rows in added.values() for row in map(json.loads, rows)}
    texts = [cell for cell in read(KEPT / name / "plan.json")["cells"] if cell["output"] == "text"]
    assert cells == {cell["key"] for cell in texts}
    assert all(folder.startswith("scores/exact-") for folder in added)


def test_numbers_after_another_judge(tmp_path: Path) -> None:
    run, logs = shutil.copytree(KEPT / "steering", tmp_path / "run"), tmp_path / "logs"
    for argv in (["score", str(run), "--judge", "exact"], ["report", str(run)]):
        done = trimtab(argv, logs)
        assert done.code == 0, done.err
    old = read(KEPT / "steering_version_4_with_exact.json")
    assert differences(old, read(run / "summary.json")) == []
