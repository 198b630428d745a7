"""Names and texts of a run from elsewhere do nothing: not in a terminal, a table or a page."""

import csv
import shutil
from pathlib import Path

import pytest
from reported_run import build_run

from trimtab.cli import inspect, phases, status
from trimtab.core.errors import StoreError
from trimtab.runs.store.run import Run

NAME = "\x1b]0;owned\x07[/red]<img src=x>:smile:\n# title"
LABELS = {"caa +0.3": "=cmd|' /C calc'!A0", "caa +0.6": "\x1b[2J[link=http://evil]<script>"}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    fake = build_run(num=8, measures=("generation",))
    (part,) = fake.plan.fragments
    cells = tuple(
        cell.model_copy(update={"condition": LABELS.get(cell.condition, cell.condition)})
        for cell in part.cells
    )
    plan = fake.plan.model_copy(
        update={"name": NAME, "fragments": (part.model_copy(update={"cells": cells}),)}
    )
    samples = {"generation": list(fake.samples("generation").values())}
    run = Run.create(tmp_path / "run", fake.config, plan, {"samples": samples})
    for cell in cells:
        with run.completion_writer(1, cell.key) as writer:
            writer.append(list(fake.completions(cell.key).values()))
        for judge in run.judges():
            rows = list(fake.scores(judge.key, cell.key).values())
            with run.score_writer(1, judge.key, cell.key) as writer:
                writer.append(rows)
    return run


def test_names_do_nothing_wherever_they_are_written(run: Run, capsys) -> None:
    status.status(run.dir)
    phases.show_report(run)
    said = capsys.readouterr()
    assert not {"\x1b", "\x07", "\r"} & set(said.out + said.err)
    assert r"\x1b]0;owned[/red]<img src=x>:smile:" in said.out
    text = (run.dir / "report" / "report.md").read_text()
    assert "<img" not in text and "<script" not in text and "\n# title" not in text
    page = (run.dir / "report" / "index.html").read_text()
    assert "<img src=x>" not in page and "<script>\n" not in page.replace("<script>\n", "", 1)
    for path in (run.dir / "report").rglob("*.csv"):
        with path.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "@"))], path


@pytest.mark.parametrize("link", ["/dev/zero", "/nowhere"])
def test_what_is_no_file_is_refused_and_never_waited_for(run: Run, link: str) -> None:
    (path, *_) = run.dir.glob("completions/*/*.jsonl")
    path.with_name("a0009-link.jsonl").symlink_to(link)
    for command in (status.status, lambda dir: phases.show_report(Run.open(dir))):
        with pytest.raises(StoreError, match=r"a0009-link\.jsonl is (no regular|a link to noth)"):
            command(run.dir)


def test_an_edited_run_is_refused_and_the_old_report_stays(run: Run, capsys) -> None:
    phases.show_report(run)
    before = (run.dir / "summary.json").read_bytes()
    (path,) = (run.dir / "samples").glob("*.jsonl")
    kept = shutil.copy(path, run.dir.with_name("kept"))
    path.write_bytes(path.read_bytes().replace(b"swallow", b"swallew"))
    with pytest.raises(StoreError, match=r"samples/generation\.jsonl is not what was written"):
        phases.show_report(Run.open(run.dir))
    with pytest.raises(StoreError, match=r"1 thing in .* is not what was written"):
        inspect.verify(run.dir)
    assert "differs: " in capsys.readouterr().out
    assert (run.dir / "summary.json").read_bytes() == before
    shutil.copy(kept, path)
    inspect.verify(run.dir)
