import pytest

from trimtab.core.spec import ModelSpec
from trimtab.models.tiny import save_tiny
from trimtab.runs.plan.planner import Planner


@pytest.fixture(scope="session")
def tiny_planner(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    path = tmp_path_factory.mktemp("model") / "tiny"
    save_tiny(path, "llama")
    return Planner(recipe="none", name="none", model=ModelSpec(id=str(path), device="cpu"))
