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
    assert header.tensors == {"token_embd.weight": (32, 3)}


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda data: b"PK" + data[2:], "does not begin with 'GGUF'"),
        (lambda data: data[:-1], "cut short"),
        (lambda data: data[:60], "not a readable GGUF file"),
        (lambda data: data[:4] + b"\x09\0\0\0" + data[8:], "version 9"),
        (lambda data: data[:24] + b"\xff" * 8 + data[32:], "longer than the file"),
        (lambda data: b"", "does not begin"),
    ],
)
def test_damaged_file_is_refused_when_it_is_resolved(tmp_path, own_cache, damage, expected):
    path = write(tmp_path / "m.gguf")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match=expected) as caught:
        resolve(ModelSpec(id=str(path)))
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


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
