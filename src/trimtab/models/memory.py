"""How much memory a model needs, from its configuration alone. No torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.core.errors import ModelError

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


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
    """

    num_parameters: int
    num_layers: int
    hidden_size: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    architecture: str


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
    layers = _first(text, origin, "num_hidden_layers", "n_layer", "num_layers")
    hidden = _first(text, origin, "hidden_size", "n_embd")
    heads = _first(text, origin, "num_attention_heads", "n_head", "num_heads")
    kv_heads = text.get("num_key_value_heads") or heads
    head_dim = text.get("head_dim") or hidden // heads
    vocab = _first(text, origin, "vocab_size")
    if num_parameters is None:
        inner = text.get("intermediate_size") or text.get("n_inner") or 4 * hidden
        attention = 2 * hidden * head_dim * (heads + kv_heads)
        embeddings = vocab * hidden * (1 if text.get("tie_word_embeddings", True) else 2)
        num_parameters = embeddings + layers * (attention + 3 * hidden * inner)
    names = config.get("architectures") or [config.get("model_type", "unknown")]
    return ModelCard(num_parameters, layers, hidden, kv_heads, head_dim, vocab, names[0])


def estimate_bytes(card: ModelCard, dtype: str, rows: int, tokens: int) -> MemoryEstimate:
    """Estimate the bytes of ``rows`` rows of ``tokens`` tokens in ``dtype`` (not ``auto``).

    The cache holds keys and values of every layer and token; logits are two float32 copies of one
    position per row.
    """
    width = _BYTES[dtype]
    cache = 2 * card.num_layers * card.num_kv_heads * card.head_dim * rows * tokens * width
    return MemoryEstimate(card.num_parameters * width, cache, 2 * 4 * rows * card.vocab_size)


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


def check_fits(card: ModelCard, dtype: str, device: str, available: int | None, name: str) -> None:
    """Raise ModelError if the weights and the smallest batch can't fit into ``available`` bytes."""
    need = estimate_bytes(card, dtype, rows=1, tokens=512).total
    if available is not None and need > available:
        raise ModelError(
            f"{name!r} needs about {need / 2**30:.1f} GiB in {dtype}, and {device} has "
            f"{available / 2**30:.1f} GiB free.",
            hint="Use a smaller model, `dtype: bfloat16`, or another device.",
        )


def _first(config: Mapping[str, Any], origin: str, *names: str) -> int:
    for name in names:
        if isinstance(config.get(name), int):
            return int(config[name])
    raise ModelError(
        f"{origin} has none of {', '.join(names)}.",
        hint="Is it the configuration of a language model?",
    )
