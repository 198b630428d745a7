"""Which cells, fits and judges a matrix of models, tasks, runs and seeds comes to."""

from pathlib import Path

import pytest

from trimtab.core.errors import ConfigError
from trimtab.models.tiny import save_tiny
from trimtab.recipes.base import RECIPES

SUM = {"forms": ["sum"], "digits": 1, "steps": 1, "operations": ["+"], "count": 40}
TASKS = [{"name": "arithmetic", **SUM}, {"name": "imdb", "source": "bundled"}]


def planned(tmp_path: Path, **changed):
    models = [str(save_tiny(tmp_path / f"m{i}", "gpt_neox", num_layers=i)) for i in (1, 2)]
    values = {
        "recipe": "wireheading",
        "name": "matrix",
        "models": models,
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
