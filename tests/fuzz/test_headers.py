"""Damaged and invented headers of weights and vectors: one line of ours, or the right numbers."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from trimtab.core.errors import ModelError, TrimtabError
from trimtab.models.gguf_header import read_header
from trimtab.models.safetensors_header import count_parameters
from trimtab.vectors.formats import FORMATS, bring_in
from trimtab.vectors.recognise import recognise

BOUNDED = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
WHOLE = save({"a": torch.ones(4, 3), "b": torch.ones(2).half()}, {"format": "pt"})


def model_file(folder: Path) -> bytes:
    writer = GGUFWriter(folder / "whole.gguf", "llama")
    writer.add_block_count(2)
    writer.add_embedding_length(32)
    writer.add_head_count(4)
    writer.add_token_list(["a", "b", "c"])
    writer.add_tensor("token_embd.weight", np.ones((3, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return (folder / "whole.gguf").read_bytes()


def changed(data: bytes, changes: list[tuple[int, bytes]], cut: int | None) -> bytes:
    made = bytearray(data)
    for place, new in changes:
        place %= len(made)
        made[place : place + len(new)] = new
    return bytes(made[: None if cut is None else cut % len(made)])


CHANGES = st.lists(st.tuples(st.integers(0, 600), st.binary(min_size=1, max_size=9)), max_size=4)
CUT = st.none() | st.integers(0, 10_000)


@BOUNDED
@given(changes=CHANGES, cut=CUT)
def test_damaged_gguf_files(changes, cut, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(changed(model_file(tmp_path), changes, cut))
    try:
        header = read_header(path)
        card = header.card()
    except ModelError as error:
        assert "\n" not in str(error)
        return
    size = path.stat().st_size
    assert all(0 < tensor.start < size for tensor in header.tensors.values())
    assert min(card.num_layers, card.hidden_size, card.num_kv_heads, card.head_dim) > 0


@BOUNDED
@given(changes=CHANGES, cut=CUT)
def test_damaged_safetensors_files(changes, cut, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(changed(WHOLE, changes, cut))
    try:
        count = count_parameters(path)
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        assert 0 <= count <= path.stat().st_size * 2  # numbers of four bits at least


@BOUNDED
@given(
    header=JSON
    | st.dictionaries(
        st.text(max_size=3),
        st.fixed_dictionaries(
            {"dtype": st.sampled_from(["F32", "F16", "I8", "X"]) | JSON},
            optional={
                "shape": st.lists(st.integers(-1, 1 << 70), max_size=3) | JSON,
                "data_offsets": st.lists(st.integers(-1, 40), max_size=3) | JSON,
            },
        ),
        max_size=3,
    )
)
def test_invented_safetensors_headers(header: Any, tmp_path: Path) -> None:
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(24))
    try:
        count_parameters(path)
    except ModelError as error:
        assert "\n" not in str(error)


@BOUNDED
@given(stored=JSON, name=st.sampled_from(sorted(FORMATS)), data=st.binary(max_size=60))
def test_invented_vector_files(stored: Any, name: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content in (json.dumps(stored).encode(), data, json.dumps({"directions": stored}).encode()):
        path.write_bytes(content)
        for reading in (lambda: bring_in(path, name, 1), lambda: recognise(path)):
            try:
                reading()
            except TrimtabError as error:
                assert "\n" not in str(error) and str(path) in str(error)


VALUES = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(
        [
            torch.ones(4),
            torch.ones(1, 4),
            torch.ones(3, 4),
            torch.ones(2, 4).to_sparse(),
            torch.ones(3, device="meta"),
            torch.ones(1).expand(10**7, 4),
            torch.tensor(1e300, dtype=torch.float64).expand(2, 4),
            torch.ones(3, dtype=torch.long),
            torch.zeros(0),
            torch.full((2, 4), float("nan")),
        ]
    ),
)
KEYS = st.sampled_from(["layers.3", "h.1", "layers.x", "v"]) | st.text(max_size=4)
ENTRIES = st.fixed_dictionaries(
    {"steering_vector": VALUES, "action": st.just("add") | VALUES},
    optional={"steering_coefficient": VALUES, "bias": VALUES, "head_index": VALUES},
)


@BOUNDED
@given(
    stored=VALUES
    | st.dictionaries(KEYS, VALUES | ENTRIES, max_size=3)
    | st.lists(VALUES, max_size=2),
    name=st.sampled_from(["lm-eval", "hotwire", "persona"]),
    block=st.none() | st.integers(0, 20),
)
def test_invented_torch_files(stored: Any, name: str, block: int | None, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(stored, path)
    try:
        made = bring_in(path, name, block)
    except TrimtabError as error:
        assert "\n" not in str(error)
        return
    for vector in made.directions.values():
        assert vector.dtype == torch.float32 and torch.isfinite(vector).all() and vector.any()
    assert block is None or list(made.directions) == [block]


def test_the_whole_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(model_file(tmp_path))
    assert read_header(tmp_path / "x.gguf").card().num_parameters == 96
    (tmp_path / "x.safetensors").write_bytes(WHOLE)
    assert count_parameters(tmp_path / "x.safetensors") == 14
    with pytest.raises(ModelError):
        count_parameters(tmp_path / "x.gguf")
