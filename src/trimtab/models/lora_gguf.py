"""LoRA adapters in GGUF files, as llama.cpp reads them (``--lora FILE``).

Metadata ``general.type = adapter`` and ``adapter.type = lora``; for each layer ``<tensor>.lora_a``
[R, I] and ``<tensor>.lora_b`` [O, R] in float32, under llama.cpp's names. It adds ``b a x`` as it
is where no ``alpha`` is given: factors of several ranks and scalings fit into one file so. Where
it keeps the rows of a weight in another order, B has that order, too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from gguf import MODEL_ARCH_NAMES, GGUFType, GGUFWriter, Keys, get_tensor_name_map

from trimtab.core.errors import ModelError
from trimtab.models.lowrank import Adapter, place_of

_ARCHITECTURES: Mapping[str, str] = MappingProxyType(
    {
        "llama": "llama",
        "mistral": "llama",
        "qwen2": "qwen2",
        "qwen3": "qwen3",
        "gemma2": "gemma2",
        "gemma3": "gemma3",
        "gemma3_text": "gemma3",
    }
)
"""llama.cpp's architectures by transformers' ``model_type``."""

_INTERLEAVED = {"llama": ("self_attn.q_proj", "self_attn.k_proj")}
"""Layers, by architecture, whose heads hold the two halves of rotary pairs side by side there."""


def dump_lora(adapter: Adapter, model_type: str, num_layers: int, head_dim: int) -> bytes:
    """Return an adapter file.

    Args:
        adapter: Of a model of transformers.
        model_type: Of its configuration.
        num_layers: Its blocks.
        head_dim: Width of an attention head.

    Raises:
        ModelError: llama.cpp's names and orders of that family are not known here, or it has no
            such layer.
    """
    if model_type not in _ARCHITECTURES:
        raise ModelError(
            f"How llama.cpp names and orders the layers of {model_type!r} is not known here "
            f"(known: {', '.join(_ARCHITECTURES)}).",
            hint="Export `--as peft`, and convert it with llama.cpp's convert_lora_to_gguf.py.",
        )
    arch = _ARCHITECTURES[model_type]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "adapter.gguf"
        writer = GGUFWriter(path, arch)
        writer.add_type(GGUFType.ADAPTER)
        writer.add_string(Keys.Adapter.TYPE, "lora")
        for name, (down, up) in _tensors(adapter, arch, num_layers, head_dim).items():
            writer.add_tensor(f"{name}.lora_a", down)
            writer.add_tensor(f"{name}.lora_b", up)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


def _tensors(
    adapter: Adapter, arch: str, num_layers: int, head_dim: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    number = next(key for key, name in MODEL_ARCH_NAMES.items() if name == arch)
    names = get_tensor_name_map(number, num_layers)
    found = {}
    for name, factor in sorted(adapter.factors.items()):
        _, layer, inner = place_of(name)
        known = names.get_name(f"model.layers.{layer}.{inner}")
        if known is None:
            raise ModelError(
                f"llama.cpp has no name for {name!r} in {arch!r}.",
                hint="Train on other layers (`layers`), or export `--as merged`.",
            )
        up = as_in_gguf(factor.scaling * factor.up, arch, inner, head_dim)
        found[f"{known}.weight"] = (_plain(factor.down), _plain(up))
    return found


def as_in_gguf(weight: torch.Tensor, arch: str, inner: str, head_dim: int) -> torch.Tensor:
    """Return rows [O, ...] of a layer of transformers in llama.cpp's order."""
    if inner not in _INTERLEAVED.get(arch, ()):
        return weight
    halves = weight.unflatten(0, (-1, 2, head_dim // 2))
    moved: torch.Tensor = halves.transpose(1, 2).flatten(0, 2)
    return moved


def _plain(tensor: torch.Tensor) -> np.ndarray:
    found: np.ndarray = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
    return found
