"""The plan of best-of-N: cells per split, what keys depend on, ablations."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from trimtab.core.errors import ConfigError
from trimtab.models.tiny import save_tiny
from trimtab.recipes.base import load_recipe
from trimtab.runs.plan.planner import PlannedRun


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny"
    save_tiny(path, "llama")
    return path


def plan(tmp_path: Path, tiny: Path, **changes: Any) -> PlannedRun:
    data = {
        "recipe": "gsm8k_best_of_n",
        "name": "n",
        "model": {"id": str(tiny), "device": "cpu"},
        "task": {"name": "arithmetic", "count": 60},
        **changes,
    }
    path = tmp_path / "n.yaml"
    path.write_text(yaml.safe_dump(data))
    return load_recipe(path).plan()


def test_each_split_has_candidates_and_only_test_a_greedy_answer(
    tmp_path: Path, tiny: Path
) -> None:
    made = plan(
        tmp_path, tiny, splits=["fit", "select", "test"], limits={"fit": 7, "test": 3}, candidates=6
    )
    cells = {(c.condition, c.split): c for c in made.plan.cells}
    assert set(cells) == {
        ("candidates", "fit"), ("candidates", "select"), ("candidates", "test"), ("greedy", "test"),
    }  # fmt: skip
    sizes = {key: len(made.data.samples[cell.samples]) for key, cell in cells.items()}
    assert sizes[("candidates", "fit")] == 7 and sizes[("candidates", "test")] == 3
    assert sizes[("candidates", "select")] == 12
    drawn = cells["candidates", "test"]
    assert drawn.num_samples == 6 and drawn.sampling and drawn.sampling.temperature == 0.7
    greedy = cells["greedy", "test"]
    assert greedy.num_samples == 1 and greedy.sampling and greedy.sampling.temperature == 0
    assert greedy.samples == drawn.samples and greedy.measure == drawn.measure == "generation"
    assert len({cell.measure for cell in made.plan.cells}) == 3
    assert made.plan.baseline == "candidates"
    assert [j.component.name for j in made.plan.judges] == ["number", "likelihood"]


def test_more_candidates_change_no_key_and_another_temperature_does(
    tmp_path: Path, tiny: Path
) -> None:
    def keys(**changes: Any) -> list[str]:
        return [cell.key for cell in plan(tmp_path, tiny, **changes).plan.cells]

    usual = keys()
    assert keys(candidates=16) == usual
    assert keys(sampling={"temperature": 0.8})[0] != usual[0]
    assert keys(sampling={"temperature": 0.8})[1] == usual[1]
    assert keys(seed=1)[0] != usual[0]


HEAD = {"name": "energy", "kind": "head"}
ALL = {"splits": ["fit", "select", "test"]}


def test_rerankers_learn_from_fit_and_select_and_do_not_score_fit(
    tmp_path: Path, tiny: Path
) -> None:
    made = plan(tmp_path, tiny, **ALL, judges=[HEAD]).plan
    cells = {c.split: c for c in made.cells if c.condition == "candidates"}
    labels, head, *ablations = made.judges
    (fit,) = (fit for fit in made.fits if fit.key == head.artifacts["energy"])
    assert labels.artifacts == {} and fit.owner == "judge"
    assert {name: ref.cells for name, ref in fit.completions.items()} == {
        split: (cells[split].key,) for split in ("fit", "select")
    }
    assert (fit.reward, fit.metric) == (labels.key, "correct")
    assert head.measures == (cells["select"].measure, cells["test"].measure)
    assert [j.metrics[0].name for j in ablations] == [
        "energy_question_removed", "energy_question_shuffled", "energy_answer_permuted",
        "energy_length_only", "energy_format_only",
    ]  # fmt: skip
    assert {j.metrics[0].role for j in ablations} == {"ablation"}
    shared = [j.artifacts == head.artifacts for j in ablations]
    assert shared == [True, True, True, False, False]


def test_nothing_is_ablated_where_nothing_reads(tmp_path: Path, tiny: Path) -> None:
    scorefree = [{"name": "energy", "kind": "uncertainty"}]
    assert len(plan(tmp_path, tiny, judges=scorefree).plan.judges) == 2
    given = plan(tmp_path, tiny, **ALL, judges=[HEAD, {"name": "energy", "kind": "length"}])
    names = [j.metrics[0].name for j in given.plan.judges]
    assert names.count("energy_length_only") == 1
    none = plan(tmp_path, tiny, **ALL, judges=[HEAD], ablations=[])
    assert len(none.plan.judges) == 2


def test_the_number_of_candidates_is_part_of_a_fit_and_not_of_a_cell(
    tmp_path: Path, tiny: Path
) -> None:
    few, many = (
        plan(tmp_path, tiny, **ALL, judges=[HEAD], candidates=n).plan.fits[0] for n in (4, 8)
    )
    assert few.completions == many.completions and few.key != many.key


def test_mistakes_are_told(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(ConfigError, match="must hold 'test'"):
        plan(tmp_path, tiny, splits=["fit"])
    with pytest.raises(ConfigError, match="`splits` lacks fit and select"):
        plan(tmp_path, tiny, judges=[HEAD])
    with pytest.raises(ConfigError, match="'loss' is for kinds that are fitted"):
        plan(tmp_path, tiny, judges=[{"name": "energy", "kind": "uncertainty", "loss": "mse"}])
    with pytest.raises(ConfigError, match="candidates"):
        plan(tmp_path, tiny, candidates=1)
    with pytest.raises(ConfigError, match="temperature"):
        plan(tmp_path, tiny, sampling={"temperature": 0})


def test_the_shipped_files_that_say_they_share_candidates_do() -> None:
    folder = Path(__file__).parents[3] / "configs" / "gsm8k_best_of_n"
    files = [load_recipe(folder / name).plan() for name in ("laptop.yaml", "synthetic.yaml")]
    keys = [{cell.key for cell in made.plan.cells} for made in files]
    assert keys[0] == keys[1]
