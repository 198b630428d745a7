import struct
import time

import gguf
import numpy as np
import pytest
import torch

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.models.gguf import _as_in_transformers, convert
from trimtab.models.gguf_header import read_header
from trimtab.models.load import resolve
from trimtab.models.tiny import tiny_model


def write(path, *, arch="llama", tokenizer="gpt2", pre="smollm", **extra):
    """Write a small GGUF file with one tensor."""
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(2)
    writer.add_embedding_length(32)
    writer.add_head_count(4)
    writer.add_tokenizer_model(tokenizer)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(["a", "b", "c"])
    for key, value in extra.items():
        writer.add_string(key.replace("__", "."), value)
    writer.add_tensor("token_embd.weight", np.ones((3, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_header(tmp_path):
    header = read_header(write(tmp_path / "m.gguf"))
    card = header.card()
    assert (card.num_layers, card.hidden_size, card.num_kv_heads, card.head_dim) == (2, 32, 4, 8)
    assert (card.vocab_size, card.num_parameters, card.architecture) == (3, 96, "llama")
    tensor = header.tensors["token_embd.weight"]
    assert tensor.shape == (32, 3) and tensor.kind.name == "F32"
    stored = np.fromfile(header.path, np.float32, 96, offset=tensor.start)
    assert header.tensors.keys() == {"token_embd.weight"} and (stored == 1).all()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda data: b"PK" + data[2:], "does not begin with 'GGUF'"),
        (lambda data: data[:-1], "cut short"),
        (lambda data: data[:60], "not a readable GGUF file"),
        (lambda data: data[:4] + b"\x09\0\0\0" + data[8:], "version 9"),
        (lambda data: data[:24] + b"\xff" * 8 + data[32:], "text of \\d+ bytes"),
        (lambda data: b"", "does not begin"),
    ],
)
def test_damaged_file_is_refused_when_it_is_resolved(tmp_path, own_cache, damage, expected):
    path = write(tmp_path / "m.gguf")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match=expected) as caught:
        resolve(ModelSpec(id=str(path)))
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def packed(*parts):
    """Return bytes: whole numbers as 8 bytes, (format, number) as it says, texts with a length."""
    made = b""
    for part in parts:
        if isinstance(part, str):
            made += struct.pack("<Q", len(part)) + part.encode()
        else:
            form, number = part if isinstance(part, tuple) else ("Q", part)
            made += struct.pack("<" + form, number)
    return made


def key(name, kind, *value):
    return packed(name, ("I", kind), *value)


def head(tensors, pairs, body=b""):
    return b"GGUF" + packed(("I", 3), tensors, pairs) + body


ABSURD = {
    "many keys": head(0, 1 << 40),
    "many tensors": head(1 << 40, 0),
    "a long name": head(0, 1, packed(1 << 38)),
    "an empty name again and again": head(0, 99_999),
    "a long text": head(0, 1, key("a", 8, 1 << 38)),
    "many texts": head(0, 1, key("a", 9, ("I", 8), 1 << 38)),
    "many lists": head(0, 1, key("a", 9, ("I", 9), 1 << 38)),
    "lists in lists": head(0, 1, packed("a", ("I", 9)) + packed(("I", 9), 1) * 5000),
    "an unknown kind": head(0, 1, key("a", 77)),
    "no alignment": head(0, 1, key("general.alignment", 4, ("I", 0))),
    "a negative alignment": head(0, 1, key("general.alignment", 5, ("i", -32))),
    "an infinite alignment": head(0, 1, key("general.alignment", 6, ("f", float("inf")))),
    "an alignment in words": head(0, 1, key("general.alignment", 8, "much")),
    "many axes": head(1, 0, packed("t", ("I", 1 << 31))),
    "no axes": head(1, 0, packed("t", ("I", 0), ("I", 0), 0)),
    "an axis of nothing": head(1, 0, packed("t", ("I", 2), 0, 1 << 60, ("I", 0), 0)),
    "a large axis": head(1, 0, packed("t", ("I", 1), 1 << 62, ("I", 0), 0)),
    "half a block": head(1, 0, packed("t", ("I", 1), 5, ("I", 8), 0)),
    "an unknown format": head(1, 0, packed("t", ("I", 1), 4, ("I", 999), 0)),
    "a key twice": head(0, 2, key("a", 4, ("I", 1)) * 2),
    "a tensor twice": head(2, 0, packed("t", ("I", 1), 4, ("I", 0), 0) * 2),
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_headers_end_at_once_in_a_file_without_end(name, tmp_path):
    path = tmp_path / "m.gguf"
    with path.open("wb") as file:
        file.write(ABSURD[name])
        file.truncate(1 << 40)  # zeros that take no space
    since = time.process_time()
    with pytest.raises(ModelError, match="not a readable GGUF file"):
        read_header(path)
    assert time.process_time() - since < 5


def number(name, value, kind=4, form="I"):
    return key(f"llama.{name}", kind, (form, value))


ARCH = key("general.architecture", 8, "llama")
TOKENS = key("tokenizer.ggml.tokens", 9, ("I", 4), 7, *[("I", 0)] * 7)
SIZES = [number("block_count", 2), number("embedding_length", 32), TOKENS]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([key("general.architecture", 8, "controlvector")], "control vectors, and no model"),
        ([], "does not say of which architecture"),
        ([ARCH, *SIZES], "lacks llama.attention.head_count"),
        ([ARCH, *SIZES, number("attention.head_count", 0)], "has 0 for"),
        ([ARCH, *SIZES, number("attention.head_count", -4, 5, "i")], "has -4 for"),
        ([ARCH, *SIZES, number("attention.head_count", 4.5, 6, "f")], "has 4.5 for"),
        (
            [ARCH, *SIZES, key("llama.attention.head_count", 9, ("I", 4), 2, ("I", 4), ("I", 4))],
            "has a list for llama.attention.head_count",
        ),
        (
            [
                ARCH,
                *SIZES[:2],
                number("attention.head_count", 4),
                key("tokenizer.ggml.tokens", 4, ("I", 7)),
            ],
            "has 7 for tokenizer.ggml.tokens, not a list",
        ),
    ],
)
def test_files_that_are_no_model_say_so(pairs, expected, tmp_path, own_cache):
    path = tmp_path / "m.gguf"
    path.write_bytes(head(0, len(pairs), b"".join(pairs)) + bytes(64))
    with pytest.raises(ModelError, match=expected):
        resolve(ModelSpec(id=str(path)))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"arch": "mamba"}, "mamba, gpt2, smollm"),
        ({"pre": "qwen2"}, "llama, gpt2, qwen2"),
        ({"llama__rope__scaling__type": "yarn"}, "rotary frequencies are scaled"),
    ],
)
def test_files_that_would_convert_unfaithfully_are_refused(tmp_path, own_cache, fields, expected):
    path = write(tmp_path / "m.gguf", **fields)
    with pytest.raises(ModelError, match=expected):
        convert([path], gguf_sha(path))
    assert not list(own_cache.glob("converted/*/"))


def test_wrong_checksum_is_found_before_reading(tmp_path, own_cache):
    path = write(tmp_path / "m.gguf")
    with pytest.raises(ModelError, match="damaged: its SHA-256 is"):
        convert([path], "0" * 64)


def gguf_sha(path):
    from trimtab.core.keys import file_sha256

    return file_sha256(path)


@pytest.mark.parametrize("name", ["self_attn.q_proj.weight", "self_attn.k_proj.weight"])
def test_rotary_halves_are_put_back(name):
    # llama.cpp's own permutation on the way in, written as its converter does.
    model = tiny_model("llama")
    weight = model.get_parameter(f"model.layers.0.{name}").data
    heads = 4 if "q_proj" in name else 2
    stored = weight.reshape(heads, 2, -1, 32).swapaxes(1, 2).reshape(weight.shape)
    assert not torch.equal(stored, weight)
    assert torch.equal(_as_in_transformers(stored, name, "llama", model.config), weight)
