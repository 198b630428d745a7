"""Any file of a run damaged in any way: one line, or what was written; never another number."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_run import make_parts

from trimtab.core.errors import StoreError, TrimtabError
from trimtab.core.plan import FitPlan, Plan
from trimtab.core.records import SegmentWriter, write_json
from trimtab.core.spec import Component, Metric
from trimtab.core.types import Completion, Score
from trimtab.runs.store import artifacts
from trimtab.runs.store.attempts import open_attempt
from trimtab.runs.store.finished import mark
from trimtab.runs.store.run import STRENGTHS, Run
from trimtab.runs.store.verify import examine
from trimtab.runs.usage import meter
from trimtab.runs.usage.stages import stages
from trimtab.runs.work import checks
from trimtab.runs.work.counted import Counted
from trimtab.runs.work.missing import missing
from trimtab.runs.work.standing import standing, tallies
from trimtab.steering.fitted import Fitted


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, module_parts: dict[str, Any]) -> Path:
    """Return a finished run with every kind of file."""
    dir = tmp_path_factory.mktemp("runs") / "whole"
    plan: Plan = module_parts["plan"]
    (part,) = plan.fragments
    metric = Metric(name="exact", kind="fraction", role="effect")
    judge = part.judges[0].model_copy(update={"metrics": (metric,)})
    fit = FitPlan(key="fit-1", component=Component(name="caa"), artifacts={"vector": "fit-1"})
    part = part.model_copy(update={"judges": (judge,), "fits": (fit,)})
    plan = plan.model_copy(update={"fragments": (part,)})
    run = Run.create(dir, module_parts["config"], plan, module_parts["data"])
    attempt = open_attempt(dir, ["trimtab", "run"], {}, 2)
    artifacts.save(run.artifact_dir("fit-1"), Fitted({"v": torch.arange(4.0)}, {"norm": 1.5}), {})
    write_json(dir / STRENGTHS, {"cell-1": {"raw": 0.25, "unit": 1.5}}, sealed=True)
    for cell in plan.cells:
        with (
            run.completion_writer(1, cell.key) as texts,
            run.score_writer(1, judge.key, cell.key) as s,
        ):
            for number, (id, index) in enumerate(run.owed(cell)):
                texts.append([_completion(cell.key, id, index, number)])
                s.append([_score(cell.key, id, index, number)])
    checks.after_plan(run)
    checks.after_fit(run)
    checks.after_generate(run)
    checks.after_score(run)
    (attempt.dir / "log.txt").write_text("nothing happened\n")
    return dir


def _completion(cell: str, id: str, index: int, number: int) -> Completion:
    return Completion(
        cell=cell, sample_id=id, index=index, protocol="p", num_prompt_tokens=10 + number,
        text=f"answer {number}", num_tokens=3, logprob=-1.25 - number, finish_reason="eos",
        attempt=1, time=5.0,
    )  # fmt: skip


def _score(cell: str, id: str, index: int, number: int) -> Score:
    values = {"exact": number / 8}
    return Score(cell=cell, sample_id=id, index=index, judge="exact-1", values=values, attempt=1)


@pytest.fixture(scope="module")
def module_parts() -> dict[str, Any]:
    return make_parts()


def _read(dir: Path) -> dict[str, Any]:
    """Return every number of a run by where it is; reading is all that a report does."""
    run = Run.open(dir)
    found: dict[str, Any] = {f"strength {k}": v for k, v in run.strengths.items()}
    for cell in run.plan.cells:
        found |= {f"sample {cell.samples} {k}": v for k, v in run.samples(cell.samples).items()}
        found |= {f"row {key}": _lasting(row) for key, row in run.completions(cell.key).items()}
        for judge in run.judges():
            scores = run.scores(judge.key, cell.key)
            found |= {f"score {key}": _lasting(row) for key, row in scores.items()}
    for key in run.plan.artifact_keys():
        if run.has_artifact(key):
            fitted = artifacts.load(run.artifact_dir(key))
            found[f"artifact {key}"] = (
                fitted.info,
                {n: t.tolist() for n, t in fitted.tensors.items()},
            )
    found |= {f"plan {c.key}": c for c in run.plan.cells}
    found["config"] = run.config
    checks.current(run)
    checks.at_hand(run)
    list(tallies(run))
    standing(run)
    counted = Counted(run)
    assert all(tally.done >= 0 and tally.owed >= 0 for tally in counted.tallies())
    counted.standing()
    meter.read(dir)
    stages(dir)
    run.problems()
    return found


def _lasting(row: Completion | Score) -> dict[str, Any]:
    return row.model_dump(exclude={"attempt", "time"})


def _files(dir: Path) -> list[Path]:
    return sorted(path for path in dir.rglob("*") if path.is_file())


def _flip(path: Path, at: float, byte: int) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[int(at * len(data))] ^= byte
    path.write_bytes(data)


def _cut(path: Path, at: float, byte: int) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(at * len(data))])


def _blank(path: Path, at: float, byte: int) -> None:
    data = bytearray(path.read_bytes())
    start = int(at * len(data))
    data[start : start + byte] = bytes(len(data[start : start + byte]))
    path.write_bytes(data)


def _repeat(path: Path, at: float, byte: int) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(at * len(data))] + data)


def _write(text: bytes) -> Callable[[Path, float, int], None]:
    return lambda path, at, byte: path.write_bytes(text)


def _remove(path: Path, at: float, byte: int) -> None:
    path.unlink()


def _fifo(path: Path, at: float, byte: int) -> None:
    path.unlink()
    os.mkfifo(path)


def _dangle(path: Path, at: float, byte: int) -> None:
    path.unlink()
    path.symlink_to("/nowhere/at/all")


def _device(path: Path, at: float, byte: int) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _folder(path: Path, at: float, byte: int) -> None:
    path.unlink()
    path.mkdir()


DAMAGE = [
    _flip, _cut, _blank, _repeat, _write(b""), _write(b"[]"), _write(b"{}"), _write(b"null"),
    _write(b"[" * 100_000), _write(b'{"cell": NaN}\n'), _write(b"9" * 5000), _write(b"\xff\xfe"),
    _remove, _fifo, _dangle, _device, _folder,
]  # fmt: skip


@settings(max_examples=150)
@given(
    number=st.integers(0, 10**6),
    kind=st.sampled_from(DAMAGE),
    at=st.floats(0, 1, exclude_max=True),
    byte=st.integers(1, 255),
)
def test_whatever_is_damaged_no_number_changes(whole, tmp_path_factory, number, kind, at, byte):
    expected = _read(whole)
    dir = Path(shutil.copytree(whole, tmp_path_factory.mktemp("damaged") / "run"))
    files = _files(dir)
    kind(files[number % len(files)], at, byte)
    try:
        found = _read(dir)
        wrong = {key for key, value in found.items() if expected.get(key) != value}
        assert wrong == set(), files[number % len(files)]
    except TrimtabError as error:
        assert "\n" not in str(error)
    try:
        examine(dir)
    except TrimtabError as error:
        assert "\n" not in str(error)
    shutil.rmtree(dir)


def test_a_whole_run_is_verified_and_each_edit_is_named(whole: Path, tmp_path: Path) -> None:
    found = examine(whole)
    assert found.differs == [] == found.unknown and found.rows == 14
    edits = {
        "config.json": (b"0.5", b"0.7"),
        "plan/head.json": (b'"seed": 0', b'"seed": 1'),
        "plan/0000.json": (b'"baseline"', b'"baselinf"'),
        "samples/set-1.jsonl": (b"Why?", b"How?"),
        "pairs/pairs-1.jsonl": (b'"+"', b'"-"'),
        "strengths.json": (b"0.25", b"0.26"),
        "artifacts/fit-1/artifact.json": (b"1.5", b"2.5"),
        "artifacts/fit-1/tensors.safetensors": (b"\x00\x00\x80\x3f", b"\x00\x00\x80\x40"),
    }
    for name, (before, after) in edits.items():
        dir = Path(shutil.copytree(whole, tmp_path / name.replace("/", "-")))
        data = (dir / name).read_bytes()
        assert before in data, name
        (dir / name).write_bytes(data.replace(before, after))
        told = examine(dir).differs
        assert len(told) == 1 and name in told[0]
        with pytest.raises(StoreError, match=r"not what was written"):
            _read_all(dir)


def _told(dir: Path) -> list[str]:
    return [*examine(dir).differs, *missing(Run.open(dir)).gone]


def test_what_is_gone_of_a_finished_run_is_named(whole: Path, tmp_path: Path) -> None:
    (whole / "finished.json").unlink(missing_ok=True)
    finished = Path(shutil.copytree(whole, tmp_path / "finished"))
    (finished / "report" / "figures").mkdir(parents=True)
    write_json(finished / "report" / "figures" / "points.json", {}, sealed=True)
    mark(finished)
    assert _told(finished) == []
    segment = next((finished / "completions/cell-1").glob("*.jsonl")).name
    losses = {
        "artifacts/fit-1": lambda path: shutil.rmtree(path),
        f"completions/cell-1/{segment}": lambda path: path.unlink(),
        f"completions/cell-1/{segment} ": lambda path: _cut(path, 1),
        "scores/exact-1/cell-2": lambda path: shutil.rmtree(path),
        "strengths.json": lambda path: path.unlink(),
        "report/figures/points.json": lambda path: path.unlink(),
    }
    for number, (name, lose) in enumerate(losses.items()):
        dir = Path(shutil.copytree(finished, tmp_path / str(number)))
        lose(dir / name.strip())
        (line,) = _told(dir)
        assert "gone" in line and line.startswith(name.rpartition("/a0")[0]), name


def _cut(path: Path, lines: int) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-lines]))


def test_an_unfinished_run_tells_what_is_gone_from_what_is_not_yet(
    whole: Path, tmp_path: Path
) -> None:
    dir = Path(shutil.copytree(whole, tmp_path / "begun"))
    (dir / "finished.json").unlink(missing_ok=True)
    (dir / "checks.json").unlink()
    (scores,) = (dir / "scores/exact-1/cell-1").glob("*.jsonl")
    (rows,) = (dir / "completions/cell-1").glob("*.jsonl")
    shutil.rmtree(dir / "artifacts/fit-1")
    _cut(scores, 2)
    _cut(rows, 2)
    found = missing(Run.open(dir))
    assert (found.gone, found.not_yet) == ([], {"artifact": 1, "completion": 2})
    _cut(rows, 1)
    found = missing(Run.open(dir))
    assert len(found.gone) == 1 and "1 row is gone" in found.gone[0]
    assert found.not_yet == {"artifact": 1, "completion": 2}


def _read_all(dir: Path) -> None:
    run = Run.open(dir)
    run.samples("set-1")
    run.pairs("pairs-1")
    artifacts.load(run.artifact_dir("fit-1"))
    assert run.strengths


def test_a_changed_row_is_missing_and_told_and_a_contradicting_one_as_well(whole, tmp_path):
    dir = Path(shutil.copytree(whole, tmp_path / "run"))
    (segment,) = (dir / "completions" / "cell-2").glob("*.jsonl")
    line = segment.read_bytes()
    segment.write_bytes(line.replace(b"-1.25", b"-1.26"))
    run = Run.open(dir)
    assert run.completions("cell-2") == {}
    assert [check.status for check in checks.current(run) if check.name == "records agree"] == [
        "warn"
    ]
    assert "changed after it was written" in "".join(run.problems())
    with run.completion_writer(2, "cell-1") as writer:
        writer.append([_completion("cell-1", "a", 0, 99)])
    (check,) = [c for c in checks.current(Run.open(dir)) if c.name == "records agree"]
    assert check.status == "warn" and "1 contradicting" in check.detail


@pytest.mark.parametrize("also", [False, True])
def test_the_rows_of_another_judge_are_told_and_owed(whole: Path, tmp_path: Path, also) -> None:
    dir = Path(shutil.copytree(whole, tmp_path / "run"))
    (segment,) = (dir / "scores" / "exact-1" / "cell-2").glob("*.jsonl")
    mine = segment.read_bytes()
    other = Score(cell="cell-2", sample_id="b", index=0, judge="other-1", values={"exact": 0.9})
    with SegmentWriter(segment.with_name("a0000-other.jsonl")) as writer:
        writer.append([other])
    if also:  # the judge has scored it again
        segment.write_bytes(mine)
    else:
        segment.unlink()
    run = Run.open(dir)
    scores = run.scores("exact-1", "cell-2")
    assert set(scores) == set(run.score_keys("exact-1", "cell-2"))
    assert [row.judge for row in scores.values()] == ["exact-1"] * also
    assert any("belongs elsewhere" in line for line in run.problems())
    assert any("belongs elsewhere" in line for line in examine(dir).differs)


def test_only_what_was_looked_at_is_called_finite(whole: Path, tmp_path: Path) -> None:
    dir = Path(shutil.copytree(whole, tmp_path / "run"))
    shutil.rmtree(dir / "artifacts" / "fit-1")
    path = dir / "completions" / "cell-2" / "a0009-bare.jsonl"
    (old,) = path.parent.glob("a0001*")
    bare = _completion("cell-2", "b", 0, 0).model_dump_json().replace("-1.25", "NaN")
    old.unlink()
    path.write_text(f"{bare}\n")
    found = {check.name: check for check in checks.current(Run.open(dir))}
    assert found["artifacts finite"].status == "fail"
    assert "finite" not in found["artifacts finite"].detail
    assert found["all rows present and finite"].status == "fail"
    assert "1 with NaN" in found["all rows present and finite"].detail
    told = {check.name: check for check in checks.at_hand(Run.open(dir))}
    assert told["artifacts finite"] == found["artifacts finite"]


@pytest.mark.parametrize("large", [False, True])
def test_what_was_scored_when_it_was_checked_is_not_told_of_scores_that_are_gone(
    whole: Path, tmp_path: Path, large: bool
) -> None:
    dir = Path(shutil.copytree(whole, tmp_path / "run"))
    (segment,) = (dir / "scores" / "exact-1" / "cell-2").glob("*.jsonl")
    segment.unlink()
    run = Run.open(dir)
    counted = Counted(run)
    told = (
        checks.at_hand(run, counted.rows_owed > 0, counted.scores_owed)
        if large
        else (checks.at_hand(run))
    )
    (check,) = [check for check in told if check.name == "scored by exact-1"]
    assert check.status != "pass"


def test_a_set_of_an_earlier_version_is_checked_by_its_name(repo: Path, tmp_path: Path) -> None:
    kept = repo / "tests" / "data" / "run_977cf48" / "steering"
    dir = Path(shutil.copytree(kept, tmp_path / "run"))
    run = Run.open(dir)
    key = run.plan.cells[0].samples
    assert run.samples(key) and examine(dir).differs == []
    path = dir / "samples" / f"{key}.jsonl"
    path.write_text(path.read_text().replace("?", "!", 1))
    with pytest.raises(StoreError, match=r"another hash"):
        Run.open(dir).samples(key)
    assert any(key in line for line in examine(dir).differs)
