"""Random tiny models and a byte tokenizer, made without a network, for tests and examples.

A tiny model says nothing sensible, but it has every part of its family (grouped heads, sliding
windows, soft caps, learned positions) and its greedy text depends on the prompt.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers import models as token_models
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

TinyLayout = Literal[
    "llama",
    "gemma2",
    "gemma3",
    "gemma3_multimodal",
    "qwen2",
    "qwen3",
    "mistral",
    "gpt2",
    "gpt_neo",
    "gpt_neox",
]
TINY_LAYOUTS: tuple[TinyLayout, ...] = get_args(TinyLayout)

SPECIAL_TOKENS = ("<bos>", "<eos>", "<pad>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>")
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
_HIDDEN = 32
_HEADS = 4
_WINDOW = 16
_POSITIONS = 4096
# Rows of the output head that are neither printable ASCII nor <eos> are shrunk by this, so that
# greedy text is mostly readable and an end is possible but not immediate.
_RARE = 0.25


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token per byte (ids 0-255) and seven special tokens (256-262).

    Like Llama's and Gemma's it puts ``<bos>`` in front of plain text, and its chat template begins
    with ``<bos>`` too: code that encodes templated text with special tokens gets two of them.
    """
    vocab = {token: i for i, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    core = Tokenizer(token_models.BPE(vocab=vocab, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(list(SPECIAL_TOKENS))
    core.post_processor = TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", len(vocab))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        additional_special_tokens=list(SPECIAL_TOKENS[3:]),
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=_POSITIONS,
    )


def tiny_model(
    layout_name: TinyLayout = "llama",
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    num_layers: int = 4,
    **overrides: Any,
) -> PreTrainedModel:
    """Return a random model of one family: hidden size 32, 4 heads, vocabulary of the tokenizer.

    Args:
        layout_name: One of ``TINY_LAYOUTS``.
        seed: The weights depend on it and on nothing else.
        dtype: Number format of the weights; they are drawn in float32.
        num_layers: Blocks.
        overrides: Further fields of the (text) configuration, e.g. ``sliding_window=4``.
    """
    config = _config(layout_name, num_layers, overrides)
    with torch.random.fork_rng(devices=[]):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    _draw_weights(model, seed, scaled_embedding=layout_name.startswith("gemma"))
    model.generation_config.eos_token_id = config.get_text_config().eos_token_id
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    model.eval().requires_grad_(False)
    return model


def save_tiny(
    directory: Path,
    layout_name: TinyLayout = "llama",
    *,
    seed: int = 0,
    num_layers: int = 4,
    **overrides: Any,
) -> Path:
    """Write a tiny model and its tokenizer as a directory that ``load_model`` reads; return it."""
    tiny_model(layout_name, seed=seed, num_layers=num_layers, **overrides).save_pretrained(
        directory
    )
    tiny_tokenizer().save_pretrained(directory)
    return directory


def _config(layout: TinyLayout, num_layers: int, overrides: dict[str, Any]) -> Any:
    common: dict[str, Any] = {
        "vocab_size": 256 + len(SPECIAL_TOKENS),
        "bos_token_id": 256,
        "eos_token_id": 257,
        "pad_token_id": 258,
        "tie_word_embeddings": False,
    }
    text = common | _sizes(layout, num_layers) | overrides
    if layout != "gemma3_multimodal":
        model_type = "gemma3_text" if layout == "gemma3" else layout
        return AutoConfig.for_model(model_type, **text)
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": num_layers,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    return AutoConfig.for_model(
        "gemma3",
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=4,
        image_token_index=text["vocab_size"],
        tie_word_embeddings=text["tie_word_embeddings"],
    )


def _sizes(layout: TinyLayout, num_layers: int) -> dict[str, Any]:
    if layout == "gpt2":
        return {
            "n_embd": _HIDDEN,
            "n_layer": num_layers,
            "n_head": _HEADS,
            "n_positions": _POSITIONS,
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
        }
    sizes: dict[str, Any] = {"hidden_size": _HIDDEN, "max_position_embeddings": _POSITIONS}
    if layout == "gpt_neo":
        kinds = [("global", "local")[i % 2] for i in range(num_layers)]
        return sizes | {
            "num_layers": num_layers,
            "num_heads": _HEADS,
            "attention_types": [[[kind], 1] for kind in kinds],
            "window_size": _WINDOW,
        }
    sizes |= {
        "num_hidden_layers": num_layers,
        "num_attention_heads": _HEADS,
        "intermediate_size": 2 * _HIDDEN,
    }
    if layout == "gpt_neox":
        return sizes
    sizes |= {"num_key_value_heads": _HEADS // 2, "head_dim": _HIDDEN // _HEADS}
    if layout == "mistral":
        return sizes | {"sliding_window": _WINDOW}
    if layout.startswith("gemma"):
        kinds = [("sliding_attention", "full_attention")[i % 2] for i in range(num_layers)]
        return sizes | {
            "sliding_window": _WINDOW,
            "layer_types": kinds,
            "query_pre_attn_scalar": _HIDDEN // _HEADS,
        }
    return sizes


def _draw_weights(model: PreTrainedModel, seed: int, scaled_embedding: bool) -> None:
    """Fill every parameter from one generator, in name order, with a signal of about unit size."""
    generator = torch.Generator().manual_seed(seed)
    embedding = model.get_input_embeddings().weight
    head = model.get_output_embeddings().weight
    for _, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter is embedding:
            # Gemma multiplies embeddings by sqrt(hidden size) itself.
            parameter.data.copy_(noise / (math.sqrt(_HIDDEN) if scaled_embedding else 1.0))
        elif parameter.dim() > 1:
            fan_in = noise[0].numel()
            parameter.data.copy_(noise * 1.5 / math.sqrt(fan_in))
        else:
            # Norms and biases: off their defaults, so that a forgotten one changes the logits.
            parameter.data.add_(0.1 * noise)
    if head is not embedding:
        _prefer_readable(head)


def _prefer_readable(head: nn.Parameter) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    readable = [(t.isascii() and t.isprintable()) or t == "Ġ" for t in alphabet]
    readable += [token == "<eos>" for token in SPECIAL_TOKENS]
    scale = torch.where(torch.tensor(readable), 1.0, _RARE)
    # A tied head is an embedding as well and stays as it is; a padded vocabulary is shrunk.
    scale = nn.functional.pad(scale, (0, head.shape[0] - len(scale)), value=_RARE)
    head.data.mul_(scale[:, None])
