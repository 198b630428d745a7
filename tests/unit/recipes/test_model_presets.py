"""Every preset in every recipe: planned at the right block, from a config.json alone."""

import json
from pathlib import Path

import pytest
import yaml

from trimtab.models import presets
from trimtab.recipes.base import load_recipe

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_STEERING = {"controls": {"random_draws": 0}}
EXPERIMENTS = {
    "truthfulqa_steering": {**_STEERING, "measures": ["generation"], "judges": ["text_health"]},
    "caa_behaviours": {**_STEERING, "task": {"source": "bundled"}, "behaviours": ["patience"]},
    "gsm8k_best_of_n": {"task": {"name": "arithmetic", "count": 40}, "candidates": 2},
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub cache with the configuration of every preset, no weights, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for preset in presets.table().values():
        card = preset.card
        folder = tmp_path / "hub" / f"models--{preset.model.id.replace('/', '--')}"
        (folder / "snapshots" / COMMIT).mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(COMMIT)
        config = {
            "num_hidden_layers": card.num_layers,
            "hidden_size": card.hidden_size,
            "num_attention_heads": card.num_kv_heads,
            "head_dim": card.head_dim,
            "vocab_size": card.vocab_size,
        }
        (folder / "snapshots" / COMMIT / "config.json").write_text(json.dumps(config))


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("name", presets.table())
def test_every_preset_is_planned_without_its_weights(name: str, tmp_path: Path) -> None:
    preset = presets.table()[name]
    block = preset.card.num_layers // 2 if preset.layer is None else preset.layer
    for recipe, data in EXPERIMENTS.items():
        path = tmp_path / f"{recipe}.yaml"
        path.write_text(yaml.safe_dump({"recipe": recipe, "name": "n", "model": "m", **data}))
        plan = load_recipe(path, (f"model=preset:{name}",)).plan().plan
        dtype = "float32" if preset.model.dtype == "auto" else preset.model.dtype
        models = {(c.model.id, c.model.revision, c.model.dtype) for c in plan.cells}
        assert models == {(preset.model.id, COMMIT, dtype)}
        steered = [c for c in plan.cells if c.intervention.name == "caa"]
        assert {c.intervention.config["layer"] for c in steered} <= {block}
        assert bool(steered) == (recipe != "gsm8k_best_of_n")


@pytest.mark.usefixtures("hub")
def test_the_full_search_has_problems_enough(repo: Path, shared_data: Path) -> None:
    source = f"task.source={shared_data / 'gsm8k'}"
    recipe = load_recipe(repo / "configs" / "gsm8k_search" / "full.yaml", (source,))
    assert "at most 80,000 answers" in str(recipe.outlook())
    planned = recipe.plan()
    sizes = {cell.measure: len(planned.data.samples[cell.samples]) for cell in planned.plan.cells}
    assert [sizes[f"select {rung}"] for rung in (1, 2, 3, 4)] == [50, 50, 100, 200]
