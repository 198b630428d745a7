"""An energy judge learns from the run's own labelled completions, and from nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import ConfigError, JudgeError, StoreError
from trimtab.core.plan import Cell, FitPlan, JudgePlan, Plan
from trimtab.core.spec import Component, ModelSpec
from trimtab.core.types import Completion, Message, Sample
from trimtab.runs.plan.judges import LearnsFrom, plan_judges
from trimtab.runs.store.run import Run
from trimtab.runs.usage.progress import Silent
from trimtab.runs.work.phases import Job, run_phases
from trimtab.runs.work.state import State
from trimtab.runs.work.units import FitUnit, ScoreUnit, units
from trimtab.training.rerankers import fitting

FORMAT = {"kind": "format", "training": {"epochs": 20, "learning_rate": 0.05}}
SIZES = {"fit": 12, "select": 6, "test": 6}

Make = Callable[..., Run]


def planned(
    component: Component,
    subject: tuple[ModelSpec, str],
    learns_from: LearnsFrom | None = None,
    fits: dict[str, FitPlan] | None = None,
) -> JudgePlan:
    (judge,) = plan_judges(component, subject, learns_from=learns_from, fits=fits)
    return judge


def score(run: Run, attempt: int = 1) -> None:
    run_phases([Job(run, attempt, Silent())], ("score",))


def question(split: str, number: int) -> str:
    return f"{split} problem {number}: how many?"


def samples(split: str) -> list[Sample]:
    return [
        Sample(
            id=f"{split}-{i}",
            messages=(Message(role="user", content=question(split, i)),),
            target=f"#### {i}",
            metadata={"solution": f"The sum is {i + 10}."},
        )
        for i in range(SIZES[split])
    ]


@pytest.fixture
def subject() -> tuple[ModelSpec, str]:
    """No kind that is used here runs on a model, so none needs to be there."""
    return ModelSpec(id="tiny"), "m"


@pytest.fixture
def make(tmp_path: Path, parts: dict[str, Any], subject: tuple[ModelSpec, str]) -> Make:
    """Return a maker of runs with labelled cells of three splits and energy judges."""

    def make(*configs: dict[str, Any], name: str = "run", **data: list[Sample]) -> Run:
        sets = {split: data.get(split) or samples(split) for split in SIZES}
        base: Cell = parts["plan"].cells[0]
        cells = {
            split: base.model_copy(
                update={
                    "key": f"cell-{split}",
                    "split": split,
                    "samples": split,
                    "num_samples": 3,
                }
            )
            for split in SIZES
        }
        labels = planned(Component(name="exact"), subject)
        learns = LearnsFrom([cells["fit"]], [cells["select"]], labels, "exact")
        fits: dict[str, FitPlan] = {}
        judges = [
            planned(Component(name="energy", config=config), subject, learns, fits)
            for config in configs
        ]
        plan = Plan.single(
            recipe="r",
            name="n",
            cells=tuple(cells.values()),
            fits=tuple(fits.values()),
            judges=(*judges, labels),
        )
        run = Run.create(tmp_path / name, {}, plan, {"samples": sets})
        for split, some in sets.items():
            with run.completion_writer(1, f"cell-{split}") as writer:
                writer.append([row for sample in some for row in candidates(split, sample)])
        return run

    return make


def candidates(split: str, sample: Sample) -> list[Completion]:
    texts = [sample.target, f"then {sample.target[5:]}"]
    rows = [
        Completion(
            cell=f"cell-{split}",
            sample_id=sample.id,
            index=index,
            protocol="p",
            num_prompt_tokens=1,
            text=text,
            finish_reason="eos",
        )
        for index, text in enumerate(texts)
    ]
    failed = rows[0].model_copy(
        update={"index": 2, "text": None, "error": "out of memory", "finish_reason": "error"}
    )
    return [*rows, failed]


def energies(run: Run, judge: str, split: str) -> dict[int, list[float | None]]:
    found: dict[int, list[float | None]] = {}
    for row in run.scores(judge, f"cell-{split}").values():
        (value,) = row.values.values()
        found.setdefault(row.index, []).append(value)
    return found


def test_it_is_fitted_once_and_scores_every_split(make: Make) -> None:
    run = make(FORMAT, {**FORMAT, "ablation": "question_removed"})
    score(run)
    plain, blind, _ = run.plan.judges
    for judge in (plain, blind):
        for split in SIZES:
            found = energies(run, judge.key, split)
            assert max(found[0]) < min(found[1])
            assert set(found[2]) == {None}
    assert plain.key != blind.key and plain.artifacts == blind.artifacts
    assert [path.name for path in (run.dir / "artifacts").iterdir()] == [plain.artifacts["energy"]]
    info = run.artifact_info(plain.artifacts["energy"])
    assert info["fit"]["problems"] == SIZES["fit"] and info["fit"]["candidates"] == 24
    assert info["select_pair_accuracy"] == 1.0


def test_it_waits_for_its_labels_and_says_so(make: Make) -> None:
    run = make(FORMAT)
    energy, labels = run.plan.judges
    state = State(run)
    (fit,) = [unit for unit in units(run) if isinstance(unit, FitUnit)]
    assert fit.kind == "score" and state.blocker(fit) == f"36 scores by {labels.key}"
    assert not state.is_ready(fit)
    waiting = [u for u in units(run) if isinstance(u, ScoreUnit) and u.judge.key == energy.key]
    assert state.blocker(waiting[0]) == f"the fit of {energy.artifacts['energy']}"
    score(run)
    assert None not in energies(run, energy.key, "test")[0]


def test_a_test_problem_in_another_spelling_is_refused(make: Make) -> None:
    twin = samples("test")[2].model_copy(update={"id": "fit-twin"})
    shouted = (Message(role="user", content=question("test", 2).upper()),)
    twin = twin.model_copy(update={"messages": shouted})
    run = make(FORMAT, fit=[*samples("fit"), twin])
    with pytest.raises(JudgeError, match=r"of the split fit \(1\) belong to the test split"):
        score(run)


def test_a_fit_of_another_run_serves_unless_it_knows_the_test(make: Make, subject) -> None:
    first = make(FORMAT)
    score(first)
    folder = first.artifact_dir(first.plan.judges[0].artifacts["energy"])

    def judged_by(run: Run) -> Run:
        config = {"kind": "format", "trained": str(folder)}
        run.add_judge(planned(Component(name="energy", config=config), subject))
        score(run, 2)
        return run

    second = judged_by(make(name="second"))
    (added,) = second.extra_judges
    assert added.artifacts == {}
    assert energies(second, added.key, "test") == energies(first, first.plan.judges[0].key, "test")
    known = [s.model_copy(update={"id": f"t-{s.id}"}) for s in samples("fit")]
    with pytest.raises(JudgeError, match="was fitted on 12 problems"):
        judged_by(make(name="third", test=known, fit=samples("test")))


def test_synthetic_candidates_come_from_gold_solutions(make: Make) -> None:
    run = make({**FORMAT, "candidates": "synthetic"})
    score(run)
    info = run.artifact_info(run.plan.judges[0].artifacts["energy"])
    assert info["fit"]["candidates"] == 2 * SIZES["fit"] and info["fit"]["right"] == SIZES["fit"]
    assert info["samples_pair_accuracy"] is not None
    bare = [s.model_copy(update={"metadata": {}}) for s in samples("fit")]
    run = make({**FORMAT, "candidates": "synthetic"}, name="bare", fit=bare)
    with pytest.raises(JudgeError, match="no gold solution"):
        score(run)


def test_plans_that_can_not_be_fitted_are_refused(make: Make, subject) -> None:
    cells = {cell.split: cell for cell in make(FORMAT).plan.cells}
    labels = planned(Component(name="exact"), subject)
    energy = Component(name="energy", config=FORMAT)
    with pytest.raises(ConfigError, match="none are named"):
        planned(energy, subject)
    with pytest.raises(ConfigError, match="cells of the fit split"):
        learns = LearnsFrom([cells["test"]], [cells["select"]], labels, "exact")
        planned(energy, subject, learns_from=learns)
    with pytest.raises(ConfigError, match="no binary metric"):
        planned(
            energy,
            subject,
            learns_from=LearnsFrom([cells["fit"]], [cells["select"]], labels),
        )


def test_more_candidates_are_another_fit(make: Make, subject) -> None:
    cells = {cell.split: cell for cell in make(FORMAT).plan.cells}
    labels = planned(Component(name="exact"), subject)

    def key(fit: Cell) -> str:
        learns = LearnsFrom([fit], [cells["select"]], labels, "exact")
        energy = Component(name="energy", config=FORMAT)
        return planned(energy, subject, learns_from=learns).artifacts["energy"]

    assert key(cells["fit"]) != key(cells["fit"].model_copy(update={"num_samples": 16}))


@pytest.mark.parametrize("wakes_to", ["a whole fit", "a folder that is gone"])
def test_a_fit_that_slept_leaves_the_artifact_of_the_one_that_took_over(
    make: Make, monkeypatch: pytest.MonkeyPatch, wakes_to: str
) -> None:
    run = make(FORMAT)
    key = run.plan.judges[0].artifacts["energy"]
    folder, awake = run.artifact_dir(key), fitting.of_groups

    def sleeps(*arguments: Any) -> Any:
        monkeypatch.setattr(fitting, "of_groups", awake)
        os.utime(run.dir / "claims" / f"fit-{key}" / "0001.jsonl", (1, 1))
        score(Run.open(run.dir), attempt=2)
        taken.update({path: path.stat().st_ino for path in folder.iterdir() if path.is_file()})
        if wakes_to != "a whole fit":
            raise StoreError("what another has removed is not there")
        return awake(*arguments)

    taken: dict[Path, int] = {}
    monkeypatch.setattr(fitting, "of_groups", sleeps)
    score(run)
    assert folder / "artifact.json" in taken and run.has_artifact(key)
    assert taken == {path: path.stat().st_ino for path in taken}
    assert None not in energies(run, run.plan.judges[0].key, "test")[0]
