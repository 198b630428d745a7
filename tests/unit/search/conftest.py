from pathlib import Path

import pytest

from trimtab.core.spec import Component, ModelSpec
from trimtab.models.tiny import save_tiny
from trimtab.runs.plan.planner import Planner


@pytest.fixture
def tiny_planner(tmp_path: Path) -> Planner:
    path = tmp_path / "tiny"
    save_tiny(path, "llama")
    return Planner(
        recipe="none",
        name="none",
        model=ModelSpec(id=str(path), device="cpu"),
        fit_on=Component(name="arithmetic", config={"forms": ["sum"], "steps": 1, "count": 60}),
    )
