"""The files hold the model's weights, all of them and no others."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny


def load(folder):
    return load_model(resolve(ModelSpec(id=str(folder), device="cpu")))


def reconfigure(folder, **changes) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


@pytest.mark.parametrize(
    ("made", "changes", "named"),
    [
        (
            {"attention_bias": True},
            {"attention_bias": None},
            r"holds weights .*\(16\).*k_proj\.bias",
        ),
        ({"mlp_bias": True}, {"mlp_bias": False}, r"holds weights .*\(12\).*down_proj\.bias"),
        (
            {},
            {"num_hidden_layers": 3, "layer_types": None},
            r"holds weights .*place for \(9\).*layers\.3\.",
        ),
        ({}, {"vocab_size": 300}, r"disagree: \S+ is \[263, 32\] in the files and \[300, 32\]"),
        ({}, {"num_key_value_heads": 1}, r"k_proj.weight is \[16, 32\] .*\(and 7 more\)"),
        ({}, {"hidden_size": 64, "head_dim": 16}, "disagree"),
    ],
)
def test_a_configuration_of_another_model_is_refused(tmp_path, own_cache, made, changes, named):
    reconfigure(save_tiny(tmp_path, "llama", **made), **changes)
    with pytest.raises(ModelError, match=named) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def rewrite(folder, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def test_what_changes_no_text_may_be_there_besides(tmp_path, own_cache):
    extra = {
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
        "model.vision_tower.encoder.layers.0.weight": torch.ones(4),
        "mtp.layers.0.weight": torch.ones(4),
    }
    rewrite(save_tiny(tmp_path, "llama"), lambda tensors: tensors.update(extra))
    assert load(tmp_path).layout.num_layers == 4
    rewrite(tmp_path, lambda tensors: tensors.update(scale=torch.ones(4)))
    with pytest.raises(ModelError, match=r"holds weights .*place for \(1\): scale"):
        load(tmp_path)


@pytest.mark.parametrize("content", ["[]", "null", "1", "{"])
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
def test_a_file_of_another_shape_is_one_line(tiny_dir, name, content):
    (tiny_dir / name).write_text(content)
    with pytest.raises(ModelError) as caught:
        load(tiny_dir)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, "64", [], 1.5])
@pytest.mark.parametrize("key", ["num_hidden_layers", "num_attention_heads", "hidden_size"])
def test_a_size_that_is_none_is_one_line(tiny_dir, key, value):
    reconfigure(tiny_dir, **{key: value})
    with pytest.raises(ModelError, match=key):
        resolve(ModelSpec(id=str(tiny_dir), device="cpu"))


@pytest.mark.parametrize("content", ["[]", "[" * 5000, "{}", '{"weight_map": []}',
    '{"weight_map": {"a": [1]}}', '{"weight_map": {"a": "../model.safetensors"}}'])  # fmt: skip
def test_an_index_of_another_shape_is_one_line(tiny_dir, content):
    (tiny_dir / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ModelError, match=r"index\.json"):
        resolve(ModelSpec(id=str(tiny_dir), device="cpu"))
