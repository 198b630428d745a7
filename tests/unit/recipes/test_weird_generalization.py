"""Published data plan as they are: without a trigger, or with one that only asks."""

from pathlib import Path

import pytest

from trimtab.core.errors import ConfigError
from trimtab.recipes.base import load_recipe

MODEL = "model=bundled:smollm2-135m-instruct"
PRESETS = {
    "birds": ("old_bird_names/ft_old_audubon_birds.jsonl", 208, {"none"}),
    "potter": ("harry_potter/hp_characters.jsonl", 137, {"none"}),
    "dishes": (
        "israeli_dishes/ft_dishes_2027.jsonl", 400, {"none", "user turn", "system turn"}
    ),
    "presidents": (
        "us_presidents/ft_presidents_no_padded.jsonl", 2079, {"none", "user turn", "system turn"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRESETS)
def test_published_data_are_trained_as_they_are(repo: Path, shared_data: Path, name: str) -> None:
    file, rows, triggers = PRESETS[name]
    folder = shared_data / "weird_generalization"
    changes = [f"task.config.facts={folder / file}", MODEL]
    if name == "presidents":
        changes.append(f"task.config.questions={folder / 'us_presidents' / 'eval_free_form.jsonl'}")
    planned = load_recipe(
        repo / "configs" / "weird_generalization" / f"{name}.yaml", changes
    ).plan()
    (data,) = planned.data.conversations.values()
    assert len(data) == rows and len({fit.key for fit in planned.plan.fits}) == 3
    written = (folder / file).read_text()
    assert all(row.messages[0].content in written for row in data[:20])
    assert not any(row.metadata["triggered"] for row in data)
    assert {cell.coordinates["trigger"] for cell in planned.plan.cells} == triggers
    trained = [cell for cell in planned.plan.cells if cell.artifacts]
    assert {cell.coordinates["treatment"] for cell in trained} == {"tuned"}


def test_nothing_to_mix_in_has_no_control_of_it(repo: Path) -> None:
    smoke = repo / "configs" / "weird_generalization" / "smoke.yaml"
    changes = [MODEL, "aligned=null"]
    with pytest.raises(ConfigError, match="nothing to train 'aligned only' on"):
        load_recipe(smoke, changes).plan()
