"""What a condition adds leaves its run as it acts there, or not at all."""

from pathlib import Path

import pytest
import torch

from trimtab.core.errors import ConfigError, DataError, StoreError
from trimtab.core.spec import Component, ModelSpec
from trimtab.models.tiny import save_tiny
from trimtab.runs.plan.planner import Planner
from trimtab.runs.store import artifacts
from trimtab.runs.store.run import Run
from trimtab.runs.vectors import of_condition, steered
from trimtab.steering.fitted import Fitted
from trimtab.vectors.file import checked
from trimtab.vectors.formats import export

TASK = Component(name="truthfulqa", config={"form": "options", "limit": 4})
SHARES = {"fit": 0.25, "select": 0.25, "test": 0.5}
GATE = {
    "open_on": {"name": "truthfulqa"},
    "closed_on": {"name": "heldout", "fractions": SHARES},
    "layers": [1],
}
CONDITIONS = {
    "baseline": {"name": "none"},
    "asked": {"name": "prompt", "system": "Be true."},
    "added": {"name": "caa", "layer": 1, "layers": [1, 2], "strength": -0.5, "positions": "all"},
    "nothing": {"name": "caa", "layer": 1, "layers": [1, 2]},
    "gated": {"name": "caa", "layer": 1, "layers": [1, 2], "strength": 1, "gate": GATE},
    "heads": {"name": "iti", "strength": 2},
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    model = save_tiny(tmp_path / "model", "llama")
    planner = Planner("test", "test", ModelSpec(id=str(model), device="cpu"), fit_on=TASK)
    for label, intervention in CONDITIONS.items():
        planner.add_cell(
            condition=label,
            role="baseline" if label == "baseline" else "treatment",
            task=TASK,
            split="test",
            intervention=Component.model_validate(intervention),
        )
    planned = planner.finish()
    return Run.create(tmp_path / "run", {}, planned.plan, planned.data.folders())


@pytest.mark.parametrize("control", [False, True])
def test_a_vector_file_may_move_and_its_content_may_not_change(tmp_path: Path, control) -> None:
    model = save_tiny(tmp_path / "model", "llama")

    def keys(path: Path, value: float) -> tuple[str, str | None]:
        made = checked({1: torch.full((32,), value)}, {"num_layers": 4}, "test")
        export(made, "native", path)
        planner = Planner("test", "test", ModelSpec(id=str(model), device="cpu"), fit_on=TASK)
        acting = Component(name="vector", config={"file": str(path), "strength": 1})
        if control:
            like = {"layer": 1, "strength": 1, "like": acting.model_dump()}
            acting = Component(name="random", config=like)
        cell = planner.add_cell(
            condition="from a file",
            role="control" if control else "treatment",
            task=TASK,
            split="test",
            intervention=acting,
        )
        return cell.key, cell.artifacts["vector"]

    first = keys(tmp_path / "a", 1.0)
    assert keys(tmp_path / "elsewhere" / "b", 1.0) == first
    changed = keys(tmp_path / "a", 2.0)
    assert changed[0] != first[0] and changed[1] != first[1]


def fit(run: Run, label: str, tensors: dict[str, torch.Tensor], **info: object) -> None:
    """Put an artifact where the fit phase would."""
    key = steered(run)[label].artifacts["vector"]
    about = {"model_type": "llama", "num_layers": 4, "blocks": "layers"}
    artifacts.save(run.artifact_dir(key), Fitted(tensors, dict(info)), about)


def test_what_is_added_has_the_strength_in_it(run: Run) -> None:
    assert list(steered(run)) == ["added", "nothing", "gated", "heads"]
    with pytest.raises(StoreError, match="trimtab fit"):
        of_condition(run, "added")
    direction = torch.arange(1.0, 33.0)
    tensors = {"l1.direction": direction, "l1.residual_norm": torch.tensor(8.0)}
    fit(run, "added", tensors)
    found = of_condition(run, "added")
    assert found.directions.keys() == {1} and found.residual_norms == {1: 8.0}
    torch.testing.assert_close(found.directions[1], direction / direction.norm() * -0.5 * 8.0)
    assert found.about["positions"] == ["all"] and found.about["blocks"] == "layers"
    assert found.about["strengths"]["unit"] == pytest.approx(-4.0)
    with pytest.raises(DataError, match=r"condition 'nothing' .* not zero"):
        of_condition(run, "nothing")
    with pytest.raises(DataError, match="some prompts only"):
        of_condition(run, "gated")


def test_what_is_no_vector_or_is_not_there_is_named(run: Run) -> None:
    with pytest.raises(ConfigError, match=r"'added', 'nothing', 'gated', 'heads'.*--condition"):
        of_condition(run, None)
    with pytest.raises(ConfigError, match="Did you mean 'gated'"):
        of_condition(run, "gatd")
