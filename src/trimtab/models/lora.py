"""Folders in which peft keeps adapters, read and written without it.

A folder holds ``adapter_config.json`` and ``adapter_model.safetensors``; pickled weights are never
read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import ModelError
from trimtab.core.files import dumps, make_dir, read_bytes, replace_file
from trimtab.core.keys import content_key, file_sha256
from trimtab.core.lazy import lazy
from trimtab.models.files import read_json
from trimtab.models.lowrank import Adapter, LowRank, check_base, linear_layers, place_of

if TYPE_CHECKING:
    import safetensors
    import safetensors.torch as st
    import torch

    from trimtab.models.layout import Layout
else:
    safetensors = lazy("safetensors")
    st = lazy("safetensors.torch")
    torch = lazy("torch")

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_VERSION = 1
"""Part of every identity; raise it when the same files give another adapter."""

_TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")

_DETERMINING = ("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern")
"""Keys of a configuration that decide what its tensors mean."""

_HARMLESS = frozenset(
    {
        *("peft_type", "peft_version", "auto_mapping", "base_model_name_or_path", "revision"),
        *("task_type", "inference_mode", "lora_dropout", "fan_in_fan_out", "ensure_weight_tying"),
        *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
        *("loftq_config", "eva_config", "corda_config", "lora_ga_config", "runtime_config"),
        *("megatron_core", "qalora_group_size"),
    }
)
"""Keys that matter to training, to merging, or where one of another name is set."""

_FRESH_STARTS = (True, False, "gaussian", "eva", "orthogonal")
"""Ways to begin that leave the base's weights as they are."""


def adapter_identity(folder: Path) -> str:
    """Return a hash of what determines an adapter, without torch; the folder's name is no part.

    Raises:
        ModelError: A file is missing, or asks for what is not supported.
    """
    config = _config(folder)
    settings = {key: config[key] for key in _DETERMINING if config.get(key)}
    return content_key([_VERSION, settings, file_sha256(_weights(folder))], 32)


def factors_identity(factors: Mapping[str, LowRank]) -> str:
    """Return a hash of factors that were made here: their bytes and scalings."""
    tensors: dict[str, torch.Tensor] = {}
    for name, factor in sorted(factors.items()):
        tensors |= {f"{name}.down": _plain(factor.down), f"{name}.up": _plain(factor.up)}
    scalings = {name: factor.scaling for name, factor in factors.items()}
    return content_key([_VERSION, scalings, sha256(st.save(tensors)).hexdigest()], 32)


def read_adapter(folder: Path, layout: Layout | None = None) -> Adapter:
    """Return the adapter of a folder that peft, or ``write_adapter``, wrote.

    Args:
        folder: With a configuration and safetensors.
        layout: Parts of the base model; without, the engine compares shapes when it is given the
            adapter, and nobody notices a layer that lacks its factors.

    Raises:
        ModelError: A file is missing or damaged, asks for what is not supported, holds tensors
            that are no factors, lacks one, or is of another base.
    """
    config = _config(folder)
    path = _weights(folder)
    tensors = _pairs(path)
    factors = {name: _factor(path, config, name, *pair) for name, pair in sorted(tensors.items())}
    adapter = Adapter(factors, adapter_identity(folder))
    for name in factors:
        place_of(name)
    if layout is not None:
        check_base(adapter, layout)
        _check_targets(folder, config, adapter, layout)
    return adapter


def write_adapter(adapter: Adapter, folder: Path, base: str = "") -> None:
    """Write a folder that ``peft.PeftModel.from_pretrained`` loads.

    Args:
        adapter: Its names must be those of the model that peft is given.
        folder: Made if need be.
        base: Name or path of the base model, for ``base_model_name_or_path``.

    Raises:
        StoreError: It can't be written.
    """
    tensors: dict[str, torch.Tensor] = {}
    ranks, alphas = {}, {}
    for name, factor in sorted(adapter.factors.items()):
        tensors[f"base_model.model.{name}.lora_A.weight"] = _plain(factor.down)
        tensors[f"base_model.model.{name}.lora_B.weight"] = _plain(factor.up)
        ranks[name] = len(factor.down)
        alphas[name] = factor.scaling * len(factor.down)
    rank, alpha = (max(set(x.values()), key=list(x.values()).count) for x in (ranks, alphas))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base or None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": False,
        "target_modules": sorted(adapter.factors),
        # peft reads keys of patterns as regular expressions
        "rank_pattern": {re.escape(n): r for n, r in ranks.items() if r != rank},
        "alpha_pattern": {re.escape(n): a for n, a in alphas.items() if a != alpha},
    }
    make_dir(folder)
    replace_file(folder / WEIGHTS, st.save(tensors, {"format": "pt"}))
    replace_file(folder / CONFIG, dumps(config, "an adapter's configuration", indent=2) + b"\n")


def _config(folder: Path) -> dict[str, Any]:
    """Return the configuration of a folder; raise ModelError for what is not supported."""
    path = folder / CONFIG
    if not path.is_file():
        raise ModelError(
            f"{folder} has no {CONFIG}, so it is no adapter.",
            hint="Name the folder that peft's `save_pretrained` wrote.",
        )
    config = read_json(path)
    if config.get("peft_type") != "LORA":
        raise _unsupported(path, f"peft_type {config.get('peft_type')!r}", "LORA")
    if config.get("bias", "none") != "none":
        raise _unsupported(path, f"bias {config['bias']!r}", "'none'")
    start = config.get("init_lora_weights", True)
    if start not in _FRESH_STARTS:
        raise ModelError(
            f"{path}: init_lora_weights {start!r} changes the weights of the base, which is not "
            "supported.",
            hint="Let peft convert it to plain LoRA (`path_initial_model_for_weight_conversion`).",
        )
    known = {*_DETERMINING, *_HARMLESS, "bias", "init_lora_weights"}
    others = sorted(key for key, value in config.items() if value and key not in known)
    if others:
        raise _unsupported(path, ", ".join(others), "plain LoRA of linear layers")
    return config


def _weights(folder: Path) -> Path:
    path = folder / WEIGHTS
    if path.is_file():
        return path
    pickled = (folder / "adapter_model.bin").is_file()
    raise ModelError(
        f"{folder} has no {WEIGHTS}{', only pickled weights, which can run code' * pickled}.",
        hint="Save it again with `safe_serialization=True` where you trust it."
        if pickled
        else "Fetch the whole adapter.",
    )


def _pairs(path: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return A and B by layer; raise ModelError if one is missing, or for other tensors."""
    try:
        tensors = st.load(read_bytes(path))
    except safetensors.SafetensorError as error:
        raise ModelError(f"{path} can't be read: {error}.", hint="Fetch it again.") from None
    sides: dict[str, dict[str, torch.Tensor]] = {}
    extra = []
    for name, tensor in tensors.items():
        match = _TENSOR.fullmatch(name)
        if match is None:
            extra.append(name)
        else:
            sides.setdefault(match["module"], {})[match["side"]] = tensor
    if extra:
        raise ModelError(
            f"{path} holds tensors that are no factors of linear layers ({len(extra)}), which is "
            f"not supported: {', '.join(sorted(extra)[:3])}."
        )
    for module, pair in sides.items():
        if pair.keys() != {"A", "B"}:
            (lacking,) = {"A", "B"} - pair.keys()
            raise ModelError(
                f"{path} lacks the factor lora_{lacking} of {module!r}.",
                hint="Fetch the whole adapter.",
            )
    if not sides:
        raise ModelError(f"{path} holds no factors.")
    return {module: (pair["A"], pair["B"]) for module, pair in sides.items()}


def _factor(
    path: Path, config: Mapping[str, Any], name: str, down: torch.Tensor, up: torch.Tensor
) -> LowRank:
    """Return the factors of a layer; raise ModelError if they are not what is configured."""
    rank = _of_pattern(config.get("rank_pattern"), name, config.get("r", 8))
    alpha = _of_pattern(config.get("alpha_pattern"), name, config.get("lora_alpha", 8))
    if down.dim() != 2 or up.dim() != 2 or len(down) != rank or up.shape[1] != rank:
        raise ModelError(
            f"{path}: the factors of {name!r} have the shapes {tuple(down.shape)} and "
            f"{tuple(up.shape)}, and {CONFIG} says that the rank is {rank}."
        )
    if not (torch.isfinite(down).all() and torch.isfinite(up).all()):
        raise ModelError(f"{path}: the factors of {name!r} hold NaN or infinity.")
    return LowRank(down, up, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))


def _of_pattern(pattern: Mapping[str, Any] | None, name: str, otherwise: Any) -> Any:
    """Return the value whose key, a regular expression, matches the end of a layer's name."""
    for key, value in (pattern or {}).items():
        if re.match(rf"(.*\.)?({key})$", name):
            return value
    return otherwise


def _check_targets(
    folder: Path, config: Mapping[str, Any], adapter: Adapter, layout: Layout
) -> None:
    """Raise ModelError if a layer that the configuration names has no factors, or none matches."""
    targets = config.get("target_modules") or []
    has = {place_of(name)[1:] for name in adapter.factors}
    hit: set[str] = set()
    for name, _ in linear_layers(layout):
        matched = _matching(config, targets, name)
        hit |= matched
        if matched and place_of(name)[1:] not in has:
            raise ModelError(
                f"{folder / WEIGHTS} lacks the factors of {name!r}, which {CONFIG} names.",
                hint="Fetch the whole adapter; adapters fit only the base they were trained on.",
            )
    unknown = [] if isinstance(targets, str) else sorted(set(targets) - hit)
    if unknown:
        raise ModelError(
            f"{folder / CONFIG} names the modules {', '.join(unknown[:3])}, and the model's blocks "
            "have no such linear layers.",
            hint="Adapters fit only the base that they were trained on.",
        )


def _matching(config: Mapping[str, Any], targets: Any, name: str) -> set[str]:
    """Return which targets a layer's name matches, by peft's rules."""
    excluded = config.get("exclude_modules") or []
    if isinstance(excluded, str):
        if re.fullmatch(excluded, name):
            return set()
    elif _ends(excluded, name):
        return set()
    if isinstance(targets, str):
        return {targets} if targets == "all-linear" or re.fullmatch(targets, name) else set()
    layers = None if name in targets else config.get("layers_to_transform")
    if layers is not None and layers != []:
        layers = [layers] if isinstance(layers, int) else layers
        if place_of(name)[1] not in layers:
            return set()
    return _ends(targets, name)


def _ends(targets: list[str], name: str) -> set[str]:
    return {target for target in targets if f".{name}".endswith(f".{target}")}


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous()


def _unsupported(path: Path, what: str, supported: str) -> ModelError:
    return ModelError(f"{path} asks for {what}, which is not supported: {supported} is.")
