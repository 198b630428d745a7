"""What a plan says that it can find."""

from pathlib import Path

import pytest

from trimtab.cli.power import power_lines
from trimtab.recipes.base import load_recipe


def test_best_of_n_says_what_its_selectors_can_find(repo: Path) -> None:
    smoke, laptop = (
        power_lines(load_recipe(repo / "configs" / "gsm8k_best_of_n" / name).plan())
        for name in ("smoke.yaml", "laptop.yaml")
    )
    assert "6 test questions, 6 clusters" in smoke[0]
    assert "no effect can be established" in smoke[0]
    assert "found 4 times in 5 is a rate" in laptop[0] and "standard deviations" not in laptop[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gsm8k_search/smoke.yaml", "power of generation: 15 fit / 18 test questions"),
        ("weird_generalization/smoke.yaml", "power of generation (contrasts): "),
    ],
)
def test_a_plan_that_grows_says_what_its_end_can_find(repo: Path, name: str, expected: str) -> None:
    recipe = load_recipe(repo / "configs" / name)
    assert not power_lines(recipe.plan())
    whole = recipe.foreseen()
    assert whole is not None
    assert [line for line in power_lines(whole) if line.startswith(expected)]


@pytest.mark.parametrize("name", ["truthfulqa_steering/demo.yaml", "steer/laptop.yaml"])
def test_presets_on_bundled_data_can_establish_something(repo: Path, name: str) -> None:
    lines = power_lines(load_recipe(repo / "configs" / name).plan())
    assert any("found 4 times in 5" in line for line in lines)
    assert not [line for line in lines if "no effect can be established" in line]
