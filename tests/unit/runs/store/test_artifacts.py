"""Artifacts come back as they were saved, and half-saved or broken ones are never used."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from trimtab.core.errors import NonFiniteError, StoreError
from trimtab.runs.store import artifacts
from trimtab.steering.fitted import Fitted


@pytest.fixture
def fitted() -> Fitted:
    # A transposed tensor is not contiguous, which safetensors refuses.
    matrix = torch.arange(6, dtype=torch.float32).reshape(2, 3).T
    return Fitted({"l1.direction": matrix, "a": torch.tensor(0.5)}, {"method": "mean"})


def test_tensors_and_origin_come_back_and_the_header_tells_a_stranger(
    tmp_path: Path, fitted: Fitted
) -> None:
    artifacts.save(tmp_path / "key", fitted, {"model": "tiny", "seed": 3})
    loaded = artifacts.load(tmp_path / "key")
    assert loaded.tensors.keys() == fitted.tensors.keys()
    assert all(torch.equal(loaded.tensors[k], v) for k, v in fitted.tensors.items())
    assert loaded.info == {"model": "tiny", "seed": 3, "method": "mean"}
    with safe_open(tmp_path / "key" / "tensors.safetensors", "pt") as file:
        assert json.loads(file.metadata()["trimtab"]) == loaded.info
    assert sorted(p.name for p in (tmp_path / "key").iterdir()) == [
        "SHA256SUMS",
        "artifact.json",
        "tensors.safetensors",
    ]


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_what_is_not_finite_is_named_and_not_written(
    tmp_path: Path, fitted: Fitted, bad: float
) -> None:
    fitted.tensors["a"] = torch.tensor(bad)
    with pytest.raises(NonFiniteError, match="'a' is not finite"):
        artifacts.save(tmp_path / "key", fitted, {})
    assert not (tmp_path / "key").exists()


def test_a_cut_file_is_named_with_what_to_do(tmp_path: Path, fitted: Fitted) -> None:
    artifacts.save(tmp_path / "key", fitted, {})
    path = tmp_path / "key" / "tensors.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="resume") as error:
        artifacts.load(tmp_path / "key")
    assert str(path) in str(error.value)


def test_an_artifact_in_the_place_of_another_is_refused(tmp_path: Path, fitted: Fitted) -> None:
    artifacts.save(tmp_path / "a", fitted, {})
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.raises(StoreError, match=r"holds what was written as 'a'"):
        artifacts.load(tmp_path / "b")
