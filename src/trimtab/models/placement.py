"""Models over several devices, and models with quantised weights: what is asked, and refused."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import ModelError
from trimtab.core.lazy import lazy
from trimtab.core.spec import ModelSpec
from trimtab.models.memory import available_ram

if TYPE_CHECKING:
    import torch
    import transformers
    from torch import nn
    from transformers import PreTrainedModel
else:
    torch = lazy("torch")
    transformers = lazy("transformers")

VERSION = 1
"""Part of a quantised model's identity; raise it when the same choice gives other weights."""


def check_placement(spec: ModelSpec) -> None:
    """Raise ModelError if a resolved spec asks for what this machine can't do; loads no weight."""
    if spec.quantization is not None:
        _check_quantization(spec)
    if spec.device_map is None:
        return
    if importlib.util.find_spec("accelerate") is None:
        raise ModelError(
            f"{spec.id!r} is to be spread by `device_map`, which needs accelerate.",
            hint="Install it: pip install accelerate",
        )
    seen = torch.cuda.device_count()
    for device in _named(spec):
        index = torch.device(device).index if isinstance(device, str) else device
        if (index or 0) >= seen:
            raise ModelError(
                f"{spec.id!r} is to run on GPU {device!r}, and torch {torch.__version__} sees "
                f"{seen} of them.",
                hint="Correct `device_map` or `max_memory`; `cpu` and `disk` are always there.",
            )


def _named(spec: ModelSpec) -> Iterator[int | str]:
    """Yield the GPUs that a spec names; raise ModelError for a name that is no device."""
    mapping = spec.device_map if isinstance(spec.device_map, dict) else {}
    for device in [*mapping.values(), *(spec.max_memory or {})]:
        if isinstance(device, int) or device.startswith("cuda"):
            yield device
        elif device not in ("cpu", "disk", "mps"):
            raise ModelError(
                f"{spec.id!r} is to run on {device!r}, which is no device.",
                hint="Name a GPU by its number, or `cpu` or `disk`.",
            )


def _check_quantization(spec: ModelSpec) -> None:
    missing = [n for n in ("bitsandbytes", "accelerate") if importlib.util.find_spec(n) is None]
    if missing:
        raise ModelError(
            f"{spec.id!r} is to be loaded in {spec.quantization}, which needs "
            f"{' and '.join(missing)}.",
            hint="Install it: pip install 'trimtab[quant]'",
        )
    # it says on every call of an 8-bit layer that it computes in float16: docs/quickstart.md does
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        supported = importlib.import_module("bitsandbytes").supported_torch_devices
    except (ImportError, OSError, AttributeError) as error:
        raise ModelError(
            f"{spec.id!r} is to be loaded in {spec.quantization}, and the bitsandbytes that is "
            f"installed can't be used: {error}.",
            hint="Install a newer one: pip install -U bitsandbytes",
        ) from error
    if spec.device not in supported:
        raise ModelError(
            f"{spec.id!r} is to be loaded in {spec.quantization} on {spec.device!r}, and the "
            f"bitsandbytes that is installed knows {', '.join(sorted(supported))} only.",
            hint="Install a newer one, or leave out `quantization`.",
        )
    if "disk" in _places(spec) or {"cpu"} < _places(spec):
        raise ModelError(
            f"{spec.id!r} is to be loaded in {spec.quantization}, and `device_map` leaves a part "
            "of it on the CPU or on disk, where quantised weights can't be kept for a GPU.",
            hint="Spread it over GPUs only, or leave out `quantization`.",
        )


def _places(spec: ModelSpec) -> set[int | str]:
    return set(spec.device_map.values()) if isinstance(spec.device_map, dict) else set()


def may_use_disk(spec: ModelSpec) -> bool:
    """Whether weights may stay on disk, so that memory does not bound the model's size."""
    return spec.offload_folder is not None or "disk" in _places(spec)


def load_arguments(spec: ModelSpec, config: Any, dtype: torch.dtype) -> dict[str, Any]:
    """Return what ``from_pretrained`` is told beyond the usual; empty for a plain model.

    NF4 with scales quantised as well is QLoRA's choice (Dettmers et al. 2023, arXiv 2305.14314); 8
    bits are LLM.int8 with its own threshold (Dettmers et al. 2022, arXiv 2208.07339).

    Raises:
        ModelError: The checkpoint is quantised already.
    """
    quantized = getattr(config, "quantization_config", None) is not None
    if spec.quantization is not None and quantized:
        raise ModelError(
            f"{spec.id!r} is quantised already.", hint="Leave out `quantization` for it."
        )
    arguments: dict[str, Any] = {}
    if spec.device_map is not None:
        arguments["device_map"] = spec.device_map
        arguments["max_memory"] = spec.max_memory
        if spec.max_memory is None and spec.device == "cpu" and isinstance(spec.device_map, str):
            # without this, GPUs would be used that `device: cpu` leaves out
            arguments["max_memory"] = {"cpu": available_ram() or 2**62}
        if spec.offload_folder is not None:
            arguments["offload_folder"] = spec.offload_folder
    elif spec.quantization is not None or quantized:
        arguments["device_map"] = {"": spec.device}
    if spec.quantization == "4bit":
        arguments["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    elif spec.quantization == "8bit":
        arguments["quantization_config"] = transformers.BitsAndBytesConfig(load_in_8bit=True)
    return arguments


def compute_in_dtype(model: PreTrainedModel) -> None:
    """Keep bitsandbytes from a 4-bit product of its own on processors that are fast in bfloat16.

    It computes in bfloat16 whatever the model's dtype, and fails on layers narrower than a block.
    """
    module: Any
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def devices_of(module: nn.Module) -> set[torch.device]:
    """Return the devices on which the parts of ``module`` compute.

    Weights that are kept elsewhere come to that device when they are needed: accelerate's hooks
    know it.
    """
    hooks = [getattr(part, "_hf_hook", None) for part in module.modules()]
    single = [one for hook in hooks for one in getattr(hook, "hooks", [hook])]
    found = {getattr(hook, "execution_device", None) for hook in single} - {None}
    if not found:
        found = {parameter.device for parameter in module.parameters()}
    # "cuda" and "cuda:0" are the same device and not equal
    return {torch.empty(0, device=device).device for device in found}


def device_of(module: nn.Module, name: str) -> torch.device:
    """Return where ``module`` computes; raise ModelError if that is more than one device."""
    found = devices_of(module)
    if len(found) != 1:
        raise ModelError(
            f"`device_map` splits {name} over {', '.join(sorted(map(str, found)))}.",
            hint="Give every block to one device.",
        )
    return found.pop()
