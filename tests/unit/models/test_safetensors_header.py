"""Headers that disagree with themselves are refused before anybody believes their numbers."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from trimtab.core.errors import ModelError
from trimtab.models.safetensors_header import count_parameters

ONE = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def write(path: Path, header: object, data: int = 24) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))
    return path


def test_numbers_are_counted(tmp_path: Path) -> None:
    tensors = {"a": torch.ones(2, 3), "b": torch.ones(5).half(), "c": torch.ones(0)}
    (tmp_path / "x").write_bytes(save(tensors, {"format": "pt"}))
    assert count_parameters(tmp_path / "x") == 11


BROKEN = {
    "a shape that is too large": {"a": {**ONE, "shape": [10**6, 10**6]}},
    "a negative shape": {"a": {**ONE, "shape": [-2, -3]}},
    "a fraction": {"a": {**ONE, "shape": [2.0, 3]}},
    "true": {"a": {**ONE, "shape": [True, 6]}},
    "a text": {"a": {**ONE, "shape": "23"}},
    "no offsets": {"a": {"dtype": "F32", "shape": [2, 3]}},
    "one offset": {"a": {**ONE, "data_offsets": [0]}},
    "turned round": {"a": {**ONE, "data_offsets": [24, 0]}},
    "an overlap": {"a": ONE, "b": {**ONE, "shape": [3], "data_offsets": [12, 24]}},
    "a gap": {"a": {**ONE, "shape": [3], "data_offsets": [12, 24]}},
    "a list": [ONE],
    "a tensor that is a list": {"a": [1]},
    "nothing": b"",
    "deep": b"[" * 100_000,
    "half a character": b'{"a": "\xff"}',
    "many digits": b'{"a": {"dtype": "F32", "shape": [%s], "data_offsets": [0, 24]}}'
    % (b"9" * 5000),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_can_not_be_is_refused(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x", BROKEN[name])
    with pytest.raises(ModelError, match="not a whole safetensors file") as caught:
        count_parameters(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_a_sparse_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 1 << 39))
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="a header of 549755813888 bytes"):
        count_parameters(path)
