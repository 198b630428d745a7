"""A tiny experiment that goes through every phase in seconds."""

from pathlib import Path

import pytest
import yaml
from cli_process import trimtab

from trimtab.models.tiny import save_tiny


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a tiny random Llama."""
    path = tmp_path_factory.mktemp("model") / "tiny-llama"
    save_tiny(path, "llama")
    return path


@pytest.fixture
def config(tmp_path: Path, tiny_model: Path) -> Path:
    """Return an experiment file with every phase, every measure and judges on the subject."""
    return write_experiment(tmp_path, tiny_model)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Return the run of ``config`` in one go, made once: tests copy what they change."""
    folder = tmp_path_factory.mktemp("finished")
    run = folder / "run"
    argv = ["run", str(write_experiment(folder, tiny_model)), "--out", str(run)]
    done = trimtab(argv, folder / "logs")
    assert done.code == 0 and "strength 0" not in done.err, done.err
    return run


def write_experiment(folder: Path, model: Path) -> Path:
    """Write the experiment file into a folder."""
    data = {
        "recipe": "truthfulqa_steering",
        "name": "tiny",
        "model": {"id": str(model), "device": "cpu"},
        "task": {"source": "bundled", "limit": 6, "max_tokens": 12},
        "heldout": {"limit": 4},
        "steering": {"layer": 1, "strengths": [-0.5, 0.5]},
        "controls": {"prompt": "Be truthful.", "random_draws": 1},
        "judges": [
            {"name": "rubric", "rubric": "truth"},
            {"name": "rubric", "rubric": "info"},
            "text_health",
        ],
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(data))
    return path
