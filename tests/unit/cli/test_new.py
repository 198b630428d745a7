"""``new`` writes a file that plans as it stands, and whose comments name every key."""

from pathlib import Path

import pytest
import yaml

from trimtab.cli.keys import keys_of
from trimtab.cli.new import starter, write
from trimtab.cli.power import power_lines
from trimtab.core.errors import ConfigError
from trimtab.recipes.base import RECIPES, load_recipe


@pytest.mark.parametrize("recipe", RECIPES.own_files)
def test_the_file_plans_as_it_is_and_names_every_key(recipe: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    write(recipe, path)
    loaded = load_recipe(path)
    planned, text = loaded.plan(), path.read_text()
    assert planned.plan.cells
    power = [line for line in power_lines(planned) if line.startswith("power")]
    warned = "can't establish" in text.partition("\nrecipe:")[0]
    assert all("found 4 times in 5" in line for line in power) or warned
    for key in type(loaded.config).model_fields:
        assert f"\n{key}:" in text or f"\n# {key}:" in text or key == "recipe"
    with pytest.raises(ConfigError, match=r"x\.yaml is there already"):
        write(recipe, path)


@pytest.mark.parametrize("recipe", RECIPES.own_files)
def test_commented_keys_are_yaml_of_their_defaults(recipe: str) -> None:
    lines = [line.lstrip() for line in starter(recipe).splitlines()]
    lines = [line for line in lines if line.startswith("# ")]
    known = {key.name.rpartition(".")[2] for key in keys_of(RECIPES.load(recipe).Config)}
    keys = [line[2:] for line in lines if line[2:].lstrip().partition(":")[0] in known]
    assert len(keys) > 5
    for key in keys:
        yaml.safe_load(key.strip())


def test_keys_beside_one_that_is_given_stand_where_they_belong() -> None:
    text = starter("wireheading")
    assert "\ntraining:\n  common:\n    rounds: 20\n    # " in text
    assert "\n    # answer_tokens: 50\n" in text
    assert "\n    # baseline:\n" in text and "\n    #   decay: 0.9\n" in text
    assert "\n  # cohort_size: null\n" in text


def test_lists_of_components_are_written_as_one_writes_them() -> None:
    assert "\n# judges: [text_health]\n" in starter("wireheading")


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'steer'"):
        starter("ster")
