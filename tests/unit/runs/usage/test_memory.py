"""What a worker is taken to need: an estimate first, then what workers had."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trimtab.core.errors import ModelError
from trimtab.core.report import Usage
from trimtab.core.spec import ModelSpec
from trimtab.models.memory import ModelCard
from trimtab.runs.store.run import Run
from trimtab.runs.usage import memory
from trimtab.runs.usage.memory import Need, planned_models

MIB = 2**20


@pytest.fixture
def run(tmp_path: Path, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run with one model of 50 million weights that nobody can load."""
    card = ModelCard(50_000_000, 2, 64, 2, 32, 100, "tiny")
    spec = ModelSpec(id="tiny", device="cpu", dtype="float32")
    resolved = SimpleNamespace(card=card, spec=spec)
    monkeypatch.setattr(memory, "resolve", lambda _: resolved)
    monkeypatch.setattr(memory, "_SECONDS_BETWEEN_LOOKS", 0.0)
    return Run.create(tmp_path / "run", **parts)


def _note(run: Run, attempt: int, peak: float | None, device: str | None = "cpu") -> None:
    usage = Usage(
        attempt=attempt, phase="generate", finished=True, seconds=1.0, rows=1, tokens=1, threads=1,
        other_load=None, peak_memory_mib=peak, device=device, dtype="float32",
    )  # fmt: skip
    folder = run.dir / "attempts" / f"{attempt:04d}"
    folder.mkdir(parents=True)
    (folder / "usage.jsonl").write_text(usage.model_dump_json() + "\n")


def test_the_estimate_holds_until_a_worker_has_computed_rows(run: Run) -> None:
    need = Need(run)
    assert need.bytes > memory._PROCESS + 200_000_000
    _note(run, 1, 50.0, device=None)  # one that loaded no model
    _note(run, 2, None)
    assert need.now() == need.bytes > memory._PROCESS
    _note(run, 3, 900.0)
    _note(run, 4, 800.0)
    assert need.now() == 900 * MIB == Need(run).bytes


def test_where_there_are_several_models_the_largest_may_not_have_been_loaded(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = {"m": ModelSpec(id="a", device="cpu"), "n": ModelSpec(id="b", device="cpu")}
    monkeypatch.setattr(memory, "planned_models", lambda _: two)
    estimate = Need(run).bytes
    _note(run, 1, 100.0)
    assert Need(run).bytes == estimate
    _note(run, 2, 100_000.0)
    assert Need(run).bytes == 100_000 * MIB


def test_a_model_that_is_not_there_is_told_by_the_worker_that_loads_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(spec: ModelSpec) -> None:
        raise ModelError("gone")

    monkeypatch.setattr(memory, "resolve", refuse)
    assert Need(run).bytes == memory._PROCESS
    assert list(planned_models(run)) == ["m"]
