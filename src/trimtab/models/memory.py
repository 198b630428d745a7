"""How much memory a model needs, from its configuration alone. No torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.core.errors import MemoryShortError, ModelError
from trimtab.core.spec import ModelSpec

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# NF4: 4 bits, and per 64 weights a scale of 8 bits, itself scaled per 256. LLM.int8: a row's scale
# is nothing beside the row.
_QUANTIZED_BITS = {"4bit": 4 + 8 / 64 + 32 / (64 * 256), "8bit": 8}
_MOST = 2**40
# The batch that a sweep usually runs, for estimates before there is one.
USUAL_ROWS, USUAL_TOKENS = 64, 256


@dataclass(frozen=True)
class ModelCard:
    """The numbers of a model that decide its size.

    Attributes:
        num_parameters: Weights; estimated from the other numbers where no file says.
        num_layers: Blocks of the text model.
        hidden_size: Width of the residual stream.
        num_kv_heads: Key/value heads.
        head_dim: Width of a head.
        vocab_size: Rows of the output head.
        architecture: Class or family name.
        tied: The output head is the embedding, and not a second one.
    """

    num_parameters: int
    num_layers: int
    hidden_size: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    architecture: str
    tied: bool = True


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of the parts of a batch; activations inside a block are small beside them."""

    weights: int
    cache: int
    logits: int

    @property
    def total(self) -> int:
        """Sum of the parts, in bytes."""
        return self.weights + self.cache + self.logits


def card_from_config(
    config: Mapping[str, Any], origin: str, num_parameters: int | None = None
) -> ModelCard:
    """Read a card from the contents of ``config.json``; raise ModelError naming what is missing.

    Args:
        config: The parsed file.
        origin: Where it came from, for messages.
        num_parameters: Count from the weights, if known.
    """
    text = config.get("text_config", config)
    if not isinstance(text, Mapping):
        raise ModelError(f"{origin}: text_config is {str(text)[:60]!r}, and must be an object.")
    if "model_type" in config:
        origin = f"{origin} (model type {str(config['model_type'])[:60]!r})"
    layers = _first(text, origin, "num_hidden_layers", "n_layer", "num_layers")
    hidden = _first(text, origin, "hidden_size", "n_embd")
    heads = _first(text, origin, "num_attention_heads", "n_head", "num_heads")
    kv_heads = _optional(text, origin, "num_key_value_heads") or heads
    head_dim = _optional(text, origin, "head_dim") or hidden // heads
    vocab = _first(text, origin, "vocab_size")
    tied = bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", True)))
    if num_parameters is None:
        inner = _optional(text, origin, "intermediate_size") or _optional(text, origin, "n_inner")
        inner = inner or 4 * hidden
        attention = 2 * hidden * head_dim * (heads + kv_heads)
        embeddings = vocab * hidden * (1 if tied else 2)
        num_parameters = embeddings + layers * (attention + 3 * hidden * inner)
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else config.get("model_type", "unknown")
    return ModelCard(num_parameters, layers, hidden, kv_heads, head_dim, vocab, str(name), tied)


def estimate_bytes(
    card: ModelCard, dtype: str, rows: int, tokens: int, quantization: str | None = None
) -> MemoryEstimate:
    """Estimate the bytes of ``rows`` rows of ``tokens`` tokens in ``dtype`` (not ``auto``).

    The cache holds keys and values of every layer and token; logits are two float32 copies of one
    position per row. Quantised are the blocks' weights, and not the embedding and the head.
    """
    width = _BYTES[dtype]
    cache = 2 * card.num_layers * card.num_kv_heads * card.head_dim * rows * tokens * width
    weights = card.num_parameters * width
    if quantization is not None:
        kept = card.vocab_size * card.hidden_size * (1 if card.tied else 2)
        blocks = max(card.num_parameters - kept, 0)
        weights = kept * width + round(blocks * _QUANTIZED_BITS[quantization] / 8)
    return MemoryEstimate(weights, cache, 2 * 4 * rows * card.vocab_size)


def available_ram() -> int | None:
    """Return the bytes of main memory that can be had without swapping; None if unknown."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" in names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def check_fits(
    card: ModelCard, spec: ModelSpec, available: int | None, on: str | None = None
) -> None:
    """Raise MemoryShortError if weights and the smallest batch don't fit into ``available`` bytes.

    Args:
        card: The model's numbers.
        spec: The model, with its number format resolved.
        available: Free bytes; None if unknown.
        on: What has them, for the message; ``spec.device`` if not said.
    """
    need = estimate_bytes(card, spec.dtype, 1, 512, spec.quantization).total
    if available is not None and need > available:
        kind = spec.dtype if spec.quantization is None else f"{spec.dtype}, {spec.quantization}"
        raise MemoryShortError(
            f"{spec.id!r} needs about {need / 2**30:.1f} GiB in {kind}, and {on or spec.device} "
            f"has {available / 2**30:.1f} GiB free.",
            hint="Use a smaller model, `dtype: bfloat16`, `quantization: 4bit`, a `device_map` "
            "over several devices, or another device.",
        )


def _first(config: Mapping[str, Any], origin: str, *names: str) -> int:
    for name in names:
        found = _optional(config, origin, name)
        if found is not None:
            return found
    raise ModelError(
        f"{origin} has none of {', '.join(names)}.",
        hint="Is it the configuration of a language model?",
    )


def _optional(config: Mapping[str, Any], origin: str, name: str) -> int | None:
    """Return a size; some families give one for each block, and then the largest."""
    value = config.get(name)
    sizes = value if isinstance(value, list) else [value]
    if value is None or not sizes:
        return None
    if not all(type(size) is int and 0 < size < _MOST for size in sizes):
        raise ModelError(
            f"{origin}: {name} is {str(value)[:60]!r}, and must be a number from 1 on.",
            hint="Fetch the file again.",
        )
    return int(max(sizes))
