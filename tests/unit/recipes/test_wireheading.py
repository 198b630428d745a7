"""Which cells, fits and judges a matrix of models, tasks, runs and seeds comes to."""

from pathlib import Path

import pytest
import torch

from trimtab.core.errors import ConfigError
from trimtab.core.files import replace_file
from trimtab.models.tiny import save_tiny
from trimtab.recipes.base import RECIPES
from trimtab.training.reinforce.config import CohortTraining, ReinforceTraining
from trimtab.vectors.file import checked, dump

SUM = {"forms": ["sum"], "digits": 1, "steps": 1, "operations": ["+"], "count": 40}
DIRECTION = {"layer": 0, "task": {"name": "truthfulqa", "source": "bundled"}}
TASKS = [{"name": "arithmetic", **SUM}, {"name": "imdb", "source": "bundled"}]


def planned(tmp_path: Path, **changed):
    models = [str(save_tiny(tmp_path / f"m{i}", "gpt_neox", num_layers=i)) for i in (1, 3)]
    values = {
        "recipe": "wireheading",
        "name": "matrix",
        "models": models,
        "off_task": [],
        "training": {"replicas": 2, "held_out": 2, "common": {"rounds": 2}},
    }
    recipe = RECIPES.build("wireheading", {**values, **changed})
    return recipe, recipe.plan()


def test_models_tasks_runs_and_seeds_are_one_plan(tmp_path: Path) -> None:
    recipe, found = planned(tmp_path, tasks=TASKS)
    cells = found.plan.cells
    assert len(cells) == 2 * 2 * (1 + 3 * 2) and len({cell.key for cell in cells}) == len(cells)
    assert len(found.plan.fits) == 4, "a cohort for each model and task"
    scored = {judge.component.name: judge.measures for judge in found.plan.judges}
    assert scored == {
        "number": ("arithmetic",),
        "label": ("imdb",),
        "text_health": ("arithmetic", "imdb"),
    }
    assert [line.count("side by side") for line in recipe.estimates(found)] == [3, 3]


def test_runs_are_shared_out_among_cohorts(tmp_path: Path) -> None:
    def plan(**training):
        given = {"replicas": 3, "held_out": 2, "common": {"rounds": 2}, **training}
        return planned(tmp_path, tasks=TASKS, training=given)[1].plan

    whole, cut = plan(), plan(cohort_size=4)
    members = [CohortTraining.model_validate(f.component.config["reinforce"]) for f in cut.fits]
    sizes = [len(cohort.settings()) for cohort in members]
    assert sizes == 4 * [3, 3, 3] and len({fit.key for fit in cut.fits}) == 12
    trained = {name: fit for fit in cut.fits for name in fit.artifacts.values()}
    for cell in cut.cells:
        if cell.role != "baseline":
            fit = trained[cell.artifacts["adapter"]]
            run = cell.condition.partition(" (")[0]
            assert run in fit.component.config["reinforce"]["members"]
    assert [cell.condition for cell in cut.cells] == [cell.condition for cell in whole.cells]
    same = plan(cohort_size=9)
    assert [f.key for f in same.fits] == [f.key for f in whole.fits], "9 runs are one cohort of 9"
    assert [cell.key for cell in same.cells] == [cell.key for cell in whole.cells]
    together = [[name.rpartition("-")[2] for name in cohort.settings()] for cohort in members]
    assert together == 4 * [3 * ["0"], 3 * ["1"], 3 * ["2"]], "runs of a seed stay together"
    looking = {"control": {"condition": "control", "evaluate": []}, "selfgrade": {}}
    plan(cohort_size=1, runs=looking, replicas=1, direction=DIRECTION)
    with pytest.raises(ConfigError, match=r"members: no run 'honst-0'. .*honest-0"):
        plan(members=["honst-0"])


def test_what_training_breaks_elsewhere_is_measured_of_every_run(tmp_path: Path) -> None:
    off = [{"name": "heldout", "limit": 2}, {"name": "imdb", "characters": 40, "limit": 2}]
    one = planned(tmp_path, task=TASKS[0], off_task=off, transfer=True)[1].plan
    runs = {"baseline"} | {
        f"{run}-{n}" for run in ("control", "selfgrade", "honest") for n in (0, 1)
    }
    for measure in ("heldout", "imdb"):
        cells = [cell for cell in one.cells if cell.measure == measure]
        assert len(cells) == 2 * 7 and {cell.condition for cell in cells} == runs
    scored = {judge.component.name: judge.measures for judge in one.judges}
    assert scored["perplexity"] == scored["divergence"] == ("heldout",)
    assert scored["label"] == ("imdb",) and scored["text_health"] == ("generation",)
    bare = [{"name": "instructions", "limit": 2}]
    judged = planned(tmp_path, task=TASKS[0], off_task=bare)[1].plan.judges
    scored = {judge.component.name: judge.measures for judge in judged}
    assert scored["text_health"] == ("instructions", "generation"), "no judge of its own"
    learned = {fit.data["samples"].key for fit in one.fits}
    assert not learned & {cell.samples for cell in one.cells}
    several = planned(tmp_path, tasks=TASKS, off_task=off[:1])[1].plan
    labels = [cell.condition for cell in several.cells if cell.measure == "heldout"]
    assert len(set(labels)) == 1 + 2 * 6 and "honest-1 (imdb)" in labels
    with pytest.raises(ConfigError, match="'imdb' stands there twice"):
        planned(tmp_path, tasks=TASKS, off_task=off)


def test_a_plan_is_read_again_as_it_was_written(tmp_path: Path) -> None:
    recipe, found = planned(tmp_path, tasks=TASKS)
    again = RECIPES.build("wireheading", recipe.config.model_dump(mode="json"))
    assert [cell.key for cell in again.plan().plan.cells] == [c.key for c in found.plan.cells]


def test_a_task_may_have_a_scale_of_its_own(tmp_path: Path) -> None:
    found = planned(tmp_path, tasks=TASKS, grade_scales={"imdb": "1-5"})[1].plan
    trained = [CohortTraining.model_validate(f.component.config["reinforce"]) for f in found.fits]
    scales = [training.settings()["honest-0"].grade_scale for training in trained]
    assert scales == ["binary", "1-5", "binary", "1-5"]
    asked = trained[1].settings()["honest-0"].request
    assert "from 1 (worst) to 5" in asked and "1 if it is correct" in trained[0].common.request
    own = {"grade_request": "How good? 1 to 5.", "grade_scale": "1-5"}
    assert ReinforceTraining.model_validate(own).request == own["grade_request"]
    with pytest.raises(ConfigError, match="no task 'imbd'"):
        planned(tmp_path, tasks=TASKS, grade_scales={"imbd": "unit"})


def test_one_model_under_two_names_is_refused(tmp_path: Path) -> None:
    twins = [str(save_tiny(tmp_path / name, "gpt_neox", num_layers=1)) for name in "ab"]
    with pytest.raises(ConfigError, match="are one model"):
        planned(tmp_path, models=twins)


def test_grades_are_projected_on_what_a_direction_names(tmp_path: Path) -> None:
    def cohorts(**direction) -> list:
        training = {"held_out": 2, "common": {"rounds": 2}, "direction": direction}
        fits = planned(tmp_path, task=TASKS[0], training=training)[1].plan.fits
        return [fit for fit in fits if "reinforce" in fit.component.config]

    plain = planned(tmp_path, task=TASKS[0])[1].plan.fits
    assert not any("direction" in fit.inputs for fit in plain)
    shared = cohorts(layer=0)
    for fit, layer in zip(cohorts(), (0, 1), strict=True):  # half the depth
        assert fit.component.config["reinforce"]["direction"]["layer"] == layer
        assert "direction" in fit.inputs
    assert shared[0].key == cohorts()[0].key and shared[1].key != cohorts()[1].key
    with pytest.raises(ConfigError, match="has 1 layers"):
        cohorts(layer=1)


def test_a_file_of_vectors_counts_by_its_content(tmp_path: Path) -> None:
    model = [str(save_tiny(tmp_path / "m", "gpt_neox", num_layers=2))]
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for path, number in zip(paths, (1.0, 1.0, 2.0), strict=True):
        replace_file(path, dump(checked({0: torch.full((32,), number)}, {}, path.name)))

    def key(path: Path, layer: int = 0) -> str:
        direction = {"file": str(path), "layer": layer}
        training = {"held_out": 2, "common": {"rounds": 2}, "direction": direction}
        found = planned(tmp_path, models=model, task=TASKS[0], training=training)[1].plan
        (fit,) = found.fits
        assert str(path) not in str([cell.key for cell in found.cells])
        return fit.key

    assert key(paths[0]) == key(paths[1]) != key(paths[2])
    with pytest.raises(ConfigError, match="holds no vector of block 1"):
        key(paths[0], layer=1)
    with pytest.raises(ConfigError, match="there is no file"):
        key(tmp_path / "none")


def test_a_raw_task_says_where_its_answers_end_unless_the_file_does(tmp_path: Path) -> None:
    raw = {"name": "arithmetic", **SUM, "rendering": "raw", "shots": 1}

    def stops(**common) -> set:
        training = {"held_out": 2, "common": {"rounds": 2, **common}}
        found = planned(tmp_path, task=raw, training=training)[1].plan
        given = [fit.component.config["reinforce"]["common"] for fit in found.fits]
        return {tuple(one.get("stop", ())) for one in given}

    ((first, *_),) = stops()
    assert first == "Question:"
    assert stops(stop=["\n"]) == {("\n",)}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"tasks": [TASKS[0], TASKS[0]]}, "stands there twice"),
        ({"tasks": TASKS, "task": TASKS[0]}, "either `task` or `tasks`"),
        ({"tasks": TASKS, "transfer": True}, "of one task"),
    ],
)
def test_what_reports_could_not_tell_apart_is_refused(tmp_path: Path, changed, what) -> None:
    with pytest.raises(ConfigError, match=what):
        planned(tmp_path, **changed)


def test_what_transfer_adds_is_foreseen(tmp_path: Path) -> None:
    recipe, found = planned(tmp_path, task=TASKS[0], transfer=True)
    whole = recipe.foreseen()
    assert whole is not None and planned(tmp_path, task=TASKS[0])[0].foreseen() is None
    known = [cell.key for cell in found.plan.cells]
    assert [cell.key for cell in whole.plan.cells if "graded" not in cell.coordinates] == known
    graded = [cell for cell in whole.plan.cells if "graded" in cell.coordinates]
    runs = 1 + 3 * 2
    assert len(graded) == 2 * runs * 4, "each model's base and runs grade four kinds of answers"
    assert {judge.component.name for judge in whole.plan.judges} >= {"grade_inflation"}
