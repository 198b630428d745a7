"""What a plan says that it can find."""

from pathlib import Path

import pytest

from trimtab.cli.power import power_lines
from trimtab.recipes.base import load_recipe


@pytest.mark.parametrize("name", ["truthfulqa_steering/demo.yaml", "steer/laptop.yaml"])
def test_presets_on_bundled_data_can_establish_something(repo: Path, name: str) -> None:
    lines = power_lines(load_recipe(repo / "configs" / name).plan())
    assert any("found 4 times in 5" in line for line in lines)
    assert not [line for line in lines if "no effect can be established" in line]
