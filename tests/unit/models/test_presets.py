"""Presets against models of the same shape, and against the blocks that papers steer."""

from dataclasses import replace

import pytest
import torch
import transformers

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.models import bundled, presets
from trimtab.models.memory import card_from_config

_GEMMA = {"vocab_size": 262_144, "head_dim": 256}
_SEEING = {"vocab_size": 262_208, "head_dim": 256}
_QWEN = {"vocab_size": 151_936, "tie_word_embeddings": True, "num_key_value_heads": 2}
_SMOL = {"vocab_size": 49_152, "tie_word_embeddings": True}

# hidden, inner, layers, heads, key/value heads, and what else the published config.json says
_SHAPES = {
    "gemma-3-270m-it": ("gemma3_text", 640, 2048, 18, 4, 1, _GEMMA),
    "gemma-3-1b-it": ("gemma3_text", 1152, 6912, 26, 4, 1, _GEMMA),
    "gemma-3-4b-it": ("gemma3", 2560, 10_240, 34, 8, 4, _SEEING),
    "gemma-3-12b-it": ("gemma3", 3840, 15_360, 48, 16, 8, _SEEING),
    "gemma-3-27b-it": ("gemma3", 5376, 21_504, 62, 32, 16, {**_SEEING, "head_dim": 128}),
    "llama-3.1-8b-instruct": ("llama", 4096, 14_336, 32, 32, 8, {"vocab_size": 128_256}),
    "qwen2.5-0.5b-instruct": ("qwen2", 896, 4864, 24, 14, 2, _QWEN),
    "qwen2.5-1.5b-instruct": ("qwen2", 1536, 8960, 28, 12, 2, _QWEN),
    "rho-1b-sft-gsm8k": ("llama", 2048, 5632, 22, 32, 4, {"vocab_size": 32_000}),
    "dialogpt-medium": ("gpt2", 1024, 4096, 24, 16, 16, {"vocab_size": 50_257}),
    "gpt-neo-1.3b": ("gpt_neo", 2048, 8192, 24, 16, 16, {"vocab_size": 50_257}),
    "smollm2-135m-instruct": ("llama", 576, 1536, 30, 9, 3, _SMOL),
    "smollm2-360m-instruct": ("llama", 960, 2560, 32, 15, 5, _SMOL),
    "smollm2-1.7b-instruct": ("llama", 2048, 8192, 24, 32, 32, _SMOL),
}
_TOWER = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
    "num_attention_heads": 16, "image_size": 896, "patch_size": 14, "vision_use_head": False,
}  # fmt: skip
_SEES = {"vision_config": _TOWER, "mm_tokens_per_image": 256}


def published(name):
    """Return the configuration as the model's own file has it."""
    family, hidden, inner, layers, heads, kv_heads, more = _SHAPES[name]
    text = {
        "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, **more,
    }  # fmt: skip
    if family == "gemma3":
        return transformers.Gemma3Config(text_config=text, **_SEES)
    return transformers.AutoConfig.for_model(family, **text)


def test_each_preset_has_a_shape_here():
    assert set(presets.table()) == set(_SHAPES)


@pytest.mark.parametrize("name", _SHAPES)
def test_the_numbers_are_those_of_a_model_of_the_published_shape(name):
    config = published(name)
    kind = transformers.AutoModelForCausalLM._model_mapping[type(config)]
    with torch.device("meta"):
        model = kind._from_config(config)
    count = sum(p.numel() for p in model.parameters())
    expected = card_from_config(config.to_dict(), name, count)
    card = presets.table()[name].card
    for number in ("num_parameters", "num_layers", "hidden_size", "num_kv_heads", "head_dim",
                   "vocab_size", "tied"):  # fmt: skip
        assert getattr(card, number) == getattr(expected, number), number


def test_blocks_are_the_ones_that_are_asked_for_and_hold_for_copies():
    asked = {
        "gemma-3-270m-it": 8,
        "gemma-3-1b-it": 12,
        "gemma-3-4b-it": 16,
        "gemma-3-12b-it": 18,
        "gemma-3-27b-it": 26,
        "llama-3.1-8b-instruct": 13,
        "rho-1b-sft-gsm8k": 15,
        "smollm2-135m-instruct": 15,
    }
    for name, preset in presets.table().items():
        layers = preset.card.num_layers
        expected = asked.get(name, layers // 2)
        for called in (name, preset.model.id, f"/models/{preset.model.id.rpartition('/')[2]}-v2"):
            assert presets.layer_of(called, layers) == expected
    assert presets.layer_of("bundled:gemma3-270m", 18) == 8
    assert presets.layer_of("someone/gemma-3-270m-cut", 6) == 3, "it has no block 8"
    assert presets.layer_of("someone/else", 10) == 5


def test_a_preset_gives_way_to_keys_of_ones_own():
    expanded = presets.expand(ModelSpec(id="preset:gemma-3-27b-it"))
    assert (expanded.id, expanded.dtype) == ("google/gemma-3-27b-it", "bfloat16")
    own = ModelSpec(id="preset:gemma-3-27b-it", dtype="auto", quantization="4bit", device="cpu")
    found = presets.expand(own)
    assert (found.id, found.dtype) == ("google/gemma-3-27b-it", "auto")
    assert (found.quantization, found.device) == ("4bit", "cpu")
    other = ModelSpec(id="owner/name", dtype="float16")
    assert presets.expand(other) is other
    with pytest.raises(ModelError, match=r"'gemma-3-4b'.*gemma-3-4b-it"):
        presets.expand(ModelSpec(id="preset:gemma-3-4b"))


def test_the_same_model_has_the_same_numbers_everywhere():
    for name, twin in (("gemma3-270m", "gemma-3-270m-it"), ("smollm2-135m-instruct",) * 2):
        card, other = presets.table()[twin].card, bundled.TABLE[name].card
        assert replace(card, architecture="") == replace(other, architecture="")
