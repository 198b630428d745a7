"""A random tiny model of any family of transformers, and what plain transformers makes of a row."""

from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from trimtab.models.tiny import SPECIAL_TOKENS, tiny_tokenizer

_WIDTHS = dict.fromkeys(("hidden_size", "n_embd", "d_model", "dim", "word_embed_proj_dim"), 32)
_INNER = dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "d_ff", "ffn_hidden_size"), 48)
_DEPTHS = dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 4)
_HEADS = dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4)
_KEYS = dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 2)
_LENGTHS = dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 256)
_EXPERTS = dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4)
_OF_EXPERTS = dict.fromkeys(
    (
        "moe_intermediate_size",
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "expert_ffn_hidden_size",
    ),
    16,
)
_LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8}
_SMALL: dict[str, Any] = (
    _WIDTHS | _INNER | _DEPTHS | _HEADS | _KEYS | _LENGTHS | _EXPERTS | _OF_EXPERTS | _LATENT
) | {
    "vocab_size": 256 + len(SPECIAL_TOKENS),
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 258,
    "head_dim": 8,
    "v_head_dim": 8,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "sliding_window": 16,
}

_OWN: dict[str, dict[str, Any]] = {
    "codegen": {"rotary_dim": 4},
    "gptj": {"rotary_dim": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]], "window_size": 16},
}
"""What single families need beside."""


def tiny_config(family: str) -> Any:
    """Return a small configuration of a family, with every kind of block it has."""
    usual = CONFIG_MAPPING[family]().get_text_config()
    latent = hasattr(usual, "qk_rope_head_dim")
    values = {}
    for name, value in _SMALL.items():
        settable = getattr(getattr(type(usual), name, None), "fset", True) is not None
        if hasattr(usual, name) and settable and not (latent and name == "head_dim"):
            # attention over latent vectors has as many heads of keys as of queries
            values[name] = 4 if latent and name in _KEYS else value
    if getattr(usual, "sliding_window", None) is None:
        values.pop("sliding_window", None)
    kinds = getattr(usual, "layer_types", None)
    if kinds and getattr(getattr(type(usual), "layer_types", None), "fset", True) is not None:
        values["layer_types"] = (list(dict.fromkeys(kinds)) * 4)[:4]
    return type(usual)(**(values | _OWN.get(family, {})))


def save_family(folder: Path, family: str) -> Path:
    """Write a random tiny model of ``family``, off its defaults everywhere, with a tokenizer."""
    config = tiny_config(family)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        with torch.device("meta"):
            size = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
        assert size < 3e6, f"{family} is not small: {size} weights"
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape)
            if parameter.dim() > 1:
                parameter.data.copy_(noise * 0.7 / parameter.shape[-1] ** 0.5)
            else:
                parameter.data.add_(0.1 * noise)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder
