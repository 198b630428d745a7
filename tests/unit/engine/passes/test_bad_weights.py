"""Which weights are not finite, and why: the file, or the format in which it was read."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from trimtab.core.errors import NonFiniteError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Options, Request, Text
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny

TEXT = Text(SamplingParams(max_tokens=2))


def said(folder, layout, change, dtype="float32", **overrides) -> str:
    """Return what is said of a model one of whose tensors was changed in its file."""
    save_tiny(folder, layout, **overrides)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    loaded = load_model(resolve(ModelSpec(id=str(folder), device="cpu", dtype=dtype)))
    with pytest.raises(NonFiniteError) as caught:
        list(Engine(loaded).run([Request(0, (65, 66, 67), TEXT)]))
    with pytest.raises(NonFiniteError):
        list(Engine(loaded).run([Request(0, (65, 66, 67), Options(((5,),)))]))
    return str(caught.value)


def put(name: str, value: float, row: int = 0):
    return lambda tensors: tensors[name][row].fill_(value)


def test_what_is_finite_in_the_file_is_no_damage(tmp_path) -> None:
    up = "model.layers.1.mlp.up_proj.weight"
    message = said(tmp_path, "llama", put(up, 1e6), "float16")
    assert f"{up} are infinite in float16, whose largest number is 65504" in message
    assert "dtype: bfloat16" in message and "damaged" not in message


def test_infinity_in_the_file_is_damage_in_any_format(tmp_path) -> None:
    up = "model.layers.1.mlp.up_proj.weight"
    message = said(tmp_path, "llama", put(up, torch.inf), "float16")
    assert f"{up} hold NaN or infinity. The checkpoint is damaged" in message


@pytest.mark.parametrize(
    ("layout", "name", "overrides"),
    [
        ("gemma3", "model.embed_tokens.weight", {"tie_word_embeddings": True}),
        ("llama", "model.embed_tokens.weight", {"tie_word_embeddings": True}),
        ("llama", "lm_head.weight", {}),
        ("gpt2", "transformer.wpe.weight", {}),
        ("llama", "model.norm.weight", {}),
    ],
)
@pytest.mark.parametrize("row", [1, 66])
def test_nan_outside_the_blocks_is_damage(tmp_path, layout, name, overrides, row) -> None:
    # row 66 is a token of the prompt, and no position of it
    if "norm" in name or "wpe" in name:
        row = 1
    message = said(tmp_path, layout, put(name, torch.nan, row), **overrides)
    assert f"{name} hold NaN or infinity. The checkpoint is damaged" in message
    assert "float32" not in message
