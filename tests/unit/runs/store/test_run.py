"""A run directory is complete or no run, shows new rows, and counts what it owes."""

import os
import pickle
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import DataError, HeldError, StoreError
from trimtab.core.locks import locked
from trimtab.core.plan import CellsRef, DataRef, FitPlan, Fragment, JudgePlan, Plan
from trimtab.core.records import write_segment
from trimtab.core.spec import Component
from trimtab.core.types import Completion, Sample, Score
from trimtab.runs.store.create import CREATING
from trimtab.runs.store.run import Run
from trimtab.runs.store.verify import examine


def completion(sample: str, index: int = 0, cell: str = "cell-1", text: str = "x") -> Completion:
    return Completion(
        cell=cell,
        sample_id=sample,
        index=index,
        protocol="p",
        num_prompt_tokens=1,
        text=text,
        finish_reason="eos",
    )


def judge(key: str) -> JudgePlan:
    return JudgePlan(key=key, component=Component(name="rouge"), output="text", metrics=())


def test_a_created_run_opens_with_everything_in_order(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    Run.create(tmp_path / "a" / "run", **parts)
    run = Run.open(tmp_path / "a" / "run")
    assert run.config == parts["config"]
    assert run.plan == parts["plan"]
    assert list(run.samples("set-1")) == ["b", "a", "c"]
    assert list(run.samples("set-1").values()) == parts["data"]["samples"]["set-1"]
    assert run.pairs("pairs-1") == parts["data"]["pairs"]["pairs-1"]
    assert sorted(p.name for p in run.dir.iterdir()) == [
        "SHA256SUMS",
        "config.json",
        "pairs",
        "plan",
        "samples",
    ]


def test_create_tells_the_same_run_another_run_and_a_foreign_folder_apart(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    Run.create(tmp_path / "run", **parts)
    with pytest.raises(StoreError, match=r"holds this run already.*trimtab resume"):
        Run.create(tmp_path / "run", **parts)
    with pytest.raises(StoreError, match="another run"):
        Run.create(tmp_path / "run", **{**parts, "config": {"recipe": "other"}})
    assert not (tmp_path / "run" / CREATING).exists()
    assert Run.open(tmp_path / "run").config == parts["config"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(StoreError, match=r"not empty and not a run .*thesis\.tex"):
        Run.create(tmp_path / "mine", **parts)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    with pytest.raises(StoreError, match="can't be a run"):
        Run.create(tmp_path / "mine" / "thesis.tex", **parts)


def test_open_says_where_the_run_may_be(tmp_path: Path, parts: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="absent' does not exist"):
        Run.open(tmp_path / "absent")
    Run.create(tmp_path / "demo", **parts)
    with pytest.raises(StoreError, match=r"Did you mean .*demo"):
        Run.open(tmp_path)
    plan = tmp_path / "demo" / "plan" / "head.json"
    plan.write_text(plan.read_text().replace('"recipe"', '"recipes"'))
    with pytest.raises(StoreError, match=r"head\.json is not what was written there"):
        Run.open(tmp_path / "demo")


def test_create_killed_at_any_replacement_leaves_a_run_or_none_and_can_be_repeated(
    tmp_path: Path,
    parts: dict[str, Any],
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    # Each file appears by one os.replace, so killing before and after each covers every state.
    code = """
        import os, pickle, signal, sys
        from pathlib import Path
        from trimtab.runs.store.run import Run
        folder, n, moment = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        replace, calls = os.replace, 0
        def deadly(*arguments):
            global calls
            calls += 1
            if calls == n and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*arguments)
            if calls == n:
                os.kill(os.getpid(), signal.SIGKILL)
        os.replace = deadly
        Run.create(folder, **pickle.loads((folder.parent / "parts").read_bytes()))
    """
    (tmp_path / "parts").write_bytes(pickle.dumps(parts))
    folders = [tmp_path / f"{n}-{m}" for n in range(1, 7) for m in ("before", "after")]
    processes = [start(code, folder, *folder.name.split("-")) for folder in folders]
    assert {process.wait(60) for process in processes} == {-signal.SIGKILL}
    for folder in folders:
        if folder.name == "6-after":
            with pytest.raises(StoreError, match="holds this run already"):
                Run.create(folder, **parts)
        else:
            with pytest.raises(StoreError, match="start the run again"):
                Run.open(folder)
            (folder / "samples" / "orphan.jsonl").touch()
            Run.create(folder, **parts)
        run = Run.open(folder)
        assert list(run.samples("set-1").values()) == parts["data"]["samples"]["set-1"]
        assert run.pairs("pairs-1") == parts["data"]["pairs"]["pairs-1"]
        names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
        assert names == {
            "config.json",
            "plan/0000.json",
            "plan/head.json",
            "pairs/pairs-1.jsonl",
            "samples/set-1.jsonl",
            "samples/set-2.jsonl",
            "SHA256SUMS",
            "plan/SHA256SUMS",
            "samples/SHA256SUMS",
            "pairs/SHA256SUMS",
        }


def test_two_processes_do_not_create_one_run_together(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    with locked(tmp_path / "run" / CREATING), pytest.raises(HeldError):
        Run.create(tmp_path / "run", **parts)


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path, parts: dict[str, Any]) -> None:
    twice = [Sample(id="q", messages=()), Sample(id="q", messages=(), target="t")]
    with pytest.raises(DataError, match="'q' occurs twice"):
        data = {"samples": {"set-1": twice, "set-2": []}}
        Run.create(tmp_path / "run", **{**parts, "data": data})
    assert not (tmp_path / "run").exists()


def test_owed_is_planned_minus_present_and_sees_rows_of_other_writers(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    run = Run.create(tmp_path / "run", **parts)
    cell = run.plan.cells[0]
    assert run.owed(cell) == [("b", 0), ("b", 1), ("a", 0), ("a", 1), ("c", 0), ("c", 1)]
    with Run.open(run.dir).completion_writer(1, "cell-1") as writer:
        assert writer.path.parent == run.dir / "completions" / "cell-1"
        assert writer.path.name.startswith("a0001-")
        writer.append([completion("b", 1)])
        assert run.owed(cell) == [("b", 0), ("a", 0), ("a", 1), ("c", 0), ("c", 1)]
        writer.append([completion("a", 0), completion("c", 0)])
        assert run.owed(cell) == [("b", 0), ("a", 1), ("c", 1)]
    with run.completion_writer(2, "cell-1") as writer:
        writer.append([completion("c", 1)])
    assert run.owed(cell) == [("b", 0), ("a", 1)]
    assert list(run.completions("cell-1")) == [
        ("cell-1", "a", 0),
        ("cell-1", "b", 1),
        ("cell-1", "c", 0),
        ("cell-1", "c", 1),
    ]
    run.completions("cell-1").clear()
    assert len(run.completions("cell-1")) == 4
    assert run.owed(run.plan.cells[1]) == [("b", 0)]


def test_a_file_that_another_took_the_place_of_is_read_anew(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    run = Run.create(tmp_path / "run", **parts)
    path = run.dir / "completions" / "cell-1" / "a0001-00000000.jsonl"
    write_segment(path, [completion("a")])
    assert run.completion_keys("cell-1") == {("cell-1", "a", 0)}
    write_segment(path, [completion("b", text="longer"), completion("c", text="longer")])
    assert run.completion_keys("cell-1") == {("cell-1", "b", 0), ("cell-1", "c", 0)}


def test_scores_of_judges_and_cells_are_kept_apart(tmp_path: Path, parts: dict[str, Any]) -> None:
    run = Run.create(tmp_path / "run", **parts)
    for key in ("exact-1", "rouge-1"):
        row = Score(cell="cell-1", sample_id="a", judge=key, values={"x": None}, error="no answer")
        with run.score_writer(1, key, "cell-1") as writer:
            writer.append([row])
        assert run.scores(key, "cell-1") == {("cell-1", "a", 0): row}
    assert run.scores("exact-1", "cell-2") == {}


def test_problems_names_everything_that_was_dropped(tmp_path: Path, parts: dict[str, Any]) -> None:
    run = Run.create(tmp_path / "run", **parts)
    folder = run.dir / "completions" / "cell-1"
    for attempt, row in enumerate([completion("a", text="1"), completion("a", text="2")], start=1):
        with run.completion_writer(attempt, "cell-1") as writer:
            writer.append([row, completion("b", cell="cell-2")])
    first, second = sorted(folder.iterdir())
    first.write_bytes(b"rubbish\n" + first.read_bytes())
    second.write_bytes(second.read_bytes() + b'{"cell"')
    assert run.problems() == []
    rows = run.completions("cell-1")
    assert [row.text for row in rows.values()] == ["1"]
    here = "completions/cell-1"
    problems = run.problems()
    assert len(problems) == 5
    assert problems[0].startswith(f"{here}/{first.name}:1: ")
    assert problems[1] == f"{here}/{second.name}:1: differs from an earlier row with the key " + (
        "('cell-1', 'a', 0)"
    )
    assert problems[2].startswith(f"{here}/{second.name}:3: the last line is unfinished")
    assert problems[3] == f"{here}: 1 repeated rows; the first ones count"
    assert problems[4] == f"{here}: the row ('cell-2', 'b', 0) belongs elsewhere"


def test_judges_can_be_added_once_and_last(tmp_path: Path, parts: dict[str, Any]) -> None:
    run = Run.create(tmp_path / "run", **parts)
    assert run.extra_judges == ()
    for key in ("rouge-2", "rouge-1", "rouge-2", "exact-1"):
        Run.open(run.dir).add_judge(judge(key))
    assert [j.key for j in run.judges()] == ["exact-1", "rouge-2", "rouge-1"]
    assert run.extra_judges == (judge("rouge-2"), judge("rouge-1"))


def test_judges_added_by_several_processes_at_once_are_all_kept(
    tmp_path: Path, parts: dict[str, Any], start: Callable[..., subprocess.Popen[str]]
) -> None:
    run = Run.create(tmp_path / "run", **parts)
    code = """
        import sys
        from pathlib import Path
        from trimtab.core.plan import JudgePlan
        from trimtab.core.spec import Component
        from trimtab.runs.store.run import Run
        run = Run.open(Path(sys.argv[1]))
        sys.stdin.readline()
        for n in range(10):
            key = f"{sys.argv[2]}-{n}"
            run.add_judge(JudgePlan(
                key=key, component=Component(name="rouge"), output="text", metrics=()
            ))
    """
    processes = [start(code, run.dir, name) for name in "abc"]
    for process in processes:
        process.communicate("go\n", timeout=60)
    assert {j.key for j in run.extra_judges} == {f"{p}-{n}" for p in "abc" for n in range(10)}


def test_an_artifact_counts_when_its_json_is_there(tmp_path: Path, parts: dict[str, Any]) -> None:
    run = Run.create(tmp_path / "run", **parts)
    folder = run.artifact_dir("vectors-1")
    folder.mkdir(parents=True)
    (folder / "tensors.safetensors").touch()
    assert not run.has_artifact("vectors-1")
    (folder / "artifact.json").touch()
    assert run.has_artifact("vectors-1")


def test_a_key_cannot_lead_out_of_the_run(tmp_path: Path, parts: dict[str, Any]) -> None:
    run = Run.create(tmp_path / "run", **parts)
    for key in ("../x", "/etc", "..", "", "a/b", f"a{os.sep}"):
        with pytest.raises(StoreError, match="can't be the name of a file"):
            run.completion_writer(1, key)


@pytest.fixture
def later(parts: dict[str, Any]) -> tuple[Fragment, dict[str, Any]]:
    """A second fragment with a cell, a fit that reads prompts and pairs, and data of its own."""
    cell = parts["plan"].cells[0].model_copy(update={"key": "cell-3", "samples": "set-3"})
    names = ("holds_fit", "holds_select", "fails_fit", "fails_select")
    inputs: dict[str, DataRef | CellsRef] = {
        name: DataRef(
            kind="prompts",
            key="set-1",
            split="fit" if name.endswith("fit") else "select",
            rendering="chat",
            label=name.partition("_")[0],
        )
        for name in names
    }
    inputs["answers"] = CellsRef(cells=("cell-1",), judges=("exact-1",))
    fit = FitPlan(
        key="fit-1",
        component=Component(name="condition"),
        inputs=inputs,
        artifacts={"gate": "fit-1-gate", "also": "fit-1-also"},
    )
    samples = parts["data"]["samples"]
    data = {"samples": {**samples, "set-3": samples["set-1"][:1]}, "pairs": {}}
    return Fragment(number=1, reason="more", cells=(cell,), fits=(fit,)), data


def test_a_plan_grows_by_whole_fragments_and_every_reader_sees_them(
    tmp_path: Path, parts: dict[str, Any], later: tuple[Fragment, dict[str, Any]]
) -> None:
    run = Run.create(tmp_path / "run", **parts)
    other = Run.open(run.dir)
    before = (run.dir / "plan" / "0000.json").read_bytes()
    assert run.extend(*later)
    assert run.plan.fragments == (*parts["plan"].fragments, later[0])
    assert run.plan.model_copy(update={"fragments": ()}) == parts["plan"].model_copy(
        update={"fragments": ()}
    )
    assert list(run.samples("set-3")) == ["b"]
    assert (run.dir / "plan" / "0000.json").read_bytes() == before
    # one that knows less is told, and nothing of its own is written
    rival = later[0].model_copy(update={"reason": "another"})
    assert len(other.plan.fragments) == 1 and not other.extend(rival, later[1])
    assert other.plan == run.plan == Run.open(run.dir).plan


def test_inputs_and_artifacts_of_a_fit_keep_the_order_in_which_they_are_declared(
    tmp_path: Path, parts: dict[str, Any], later: tuple[Fragment, dict[str, Any]]
) -> None:
    (declared,) = later[0].fits
    task = Component(name="truthfulqa", config={"variant": "generation", "form": "x"})
    cells = [cell.model_copy(update={"task": task}) for cell in parts["plan"].cells]
    parts = {**parts, "plan": Plan.single(recipe="r", name="n", cells=cells)}
    plan = Plan.single(recipe="r", name="n", cells=cells, fits=[declared])
    whole = Run.create(tmp_path / "whole", **{**parts, "plan": plan})
    grown = Run.create(tmp_path / "grown", **parts)
    grown.extend(*later)
    for run in (whole, Run.open(whole.dir), grown, Run.open(grown.dir)):
        (fit,) = run.plan.fits
        assert list(fit.inputs) == list(declared.inputs)
        assert list(fit.artifacts) == list(declared.artifacts)
        # all else is written in one order, whatever order it was given in
        assert list(run.plan.cells[0].task.config) == ["form", "variant"]


def test_growing_killed_at_any_moment_adds_a_whole_fragment_or_none(
    tmp_path: Path,
    parts: dict[str, Any],
    later: tuple[Fragment, dict[str, Any]],
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    # the new set of samples appears by os.replace, the fragment by os.link
    code = """
        import os, pickle, signal, sys
        from pathlib import Path
        from trimtab.runs.store.run import Run
        folder, name, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
        call = getattr(os, name)
        def deadly(*arguments):
            if moment == "after":
                call(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)
        setattr(os, name, deadly)
        Run.open(folder).extend(*pickle.loads((folder.parent / "later").read_bytes()))
    """
    (tmp_path / "later").write_bytes(pickle.dumps(later))
    moments = [(name, moment) for name in ("replace", "link") for moment in ("before", "after")]
    for name, moment in moments:
        run = Run.create(tmp_path / f"{name}-{moment}", **parts)
        assert start(code, run.dir, name, moment).wait(60) == -signal.SIGKILL
        again = Run.open(run.dir)
        added = (name, moment) == ("link", "after")
        assert again.plan == (
            parts["plan"].model_copy(update={"fragments": (*parts["plan"].fragments, later[0])})
            if added
            else parts["plan"]
        )
        assert added or again.extend(*later)
        assert again.plan.fragments[1] == later[0] and list(again.samples("set-3")) == ["b"]


def test_a_fragment_of_which_data_is_missing_or_doubled_is_refused(
    tmp_path: Path, parts: dict[str, Any], later: tuple[Fragment, dict[str, Any]]
) -> None:
    run = Run.create(tmp_path / "run", **parts)
    with pytest.raises(AssertionError, match=r"\('samples', 'set-3'\)"):
        run.extend(later[0], parts["data"])
    twice = [Sample(id="q", messages=()), Sample(id="q", messages=(), target="t")]
    with pytest.raises(DataError, match="'q' occurs twice in the set 'set-3'"):
        run.extend(later[0], {"samples": {**parts["data"]["samples"], "set-3": twice}})
    assert Run.open(run.dir).plan == parts["plan"]
    assert not (run.dir / "samples" / "set-3.jsonl").exists()


def test_an_absent_folder_and_a_file_are_told_from_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name, told in (("none", "does not exist"), ("file", "is a file"), ("", "has no plan")):
        for look in (Run.open, examine):
            with pytest.raises(StoreError, match=told):
                look(tmp_path / name)
