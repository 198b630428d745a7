"""Several devices where there is one: tensors that say they are elsewhere, and refuse to mix.

Within ``PretendDevices`` a tensor on the CPU may bear the name of another device. Functions give
their results on the device of their arguments and, as on real devices, fail if those differ.
"""

from collections.abc import Sequence
from typing import Any

import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from trimtab.models.load import LoadedModel

CPU = torch.device("cpu")
_MAY_INDEX_FROM_CPU = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
_COPIES = (torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.copy_)
_WANT_CPU = (torch.Tensor.numpy, torch.Tensor.__array__)


class PretendDevices(TorchFunctionMode):
    """Gives every result of torch the device of its arguments, and fails if they differ."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func == torch.Tensor.device.__get__:
            return where(args[0])
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        target = _one_device(func, args, tensors)
        asked = kwargs.get("device") is not None or func in (torch.Tensor.to, torch.Tensor.cpu)
        if func is torch.Tensor.cpu:
            target = CPU
        elif func is torch.Tensor.to and isinstance((*args, None)[1], torch.Tensor):
            target, args = where(args[1]), (args[0], args[1].dtype)
        elif asked:
            named = [x for x in (*args[1:], kwargs.get("device")) if isinstance(x, torch.device)]
            named += [torch.device(x) for x in (*args[1:2], kwargs.get("device")) if _names(x)]
            target = named[0] if named else target
            args = tuple(CPU if isinstance(x, torch.device) or _names(x) else x for x in args)
            kwargs = {k: CPU if k == "device" else v for k, v in kwargs.items()}
        result = func(*args, **kwargs)
        moved = asked and tensors and target != where(tensors[0])

        def mark(x: torch.Tensor) -> torch.Tensor:
            # a copy, so that the tensor that stays behind keeps its device
            x = x.clone() if moved and any(x is t for t in tensors) else x
            x.pretend = target
            return x

        return tree_map_only(torch.Tensor, mark, result)


def where(tensor: torch.Tensor) -> torch.device:
    """Return where ``tensor`` says it is."""
    return getattr(tensor, "pretend", CPU)


def _names(value: Any) -> bool:
    return isinstance(value, str) and value.split(":")[0] in ("cpu", "xpu")


def _one_device(func: Any, args: Any, tensors: Sequence[torch.Tensor]) -> torch.device:
    """Return the device of a function's arguments; raise RuntimeError as torch does if they mix."""
    if not tensors:
        return CPU
    if func in _WANT_CPU and where(tensors[0]) != CPU:
        raise TypeError(f"can't convert a tensor on {where(tensors[0])} to numpy")
    if func in _COPIES:
        return where(tensors[0])
    # a single number may come from the CPU, and so may what indexes
    first = where(tensors[0])
    free = [x for x in tree_leaves(args[1:2]) if isinstance(x, torch.Tensor)]
    free = free if func in _MAY_INDEX_FROM_CPU else []
    found = {
        where(x)
        for x in tensors
        if not (where(x) == CPU and (x.dim() == 0 or any(x is y for y in free)))
    }
    if len(found) > 1:
        raise RuntimeError(
            f"{getattr(func, '__name__', func)}: tensors on {sorted(map(str, found))}"
        )
    return found.pop() if found else first


def spread(loaded: LoadedModel, first_on_second: int) -> None:
    """Pretend that blocks from ``first_on_second`` on and the head are on a second device.

    The final norm is where the last block is. Accelerate's own hooks move what the blocks are
    given, as they do for a real ``device_map``.
    """
    one, two = torch.device("xpu:0"), torch.device("xpu:1")
    layout = loaded.layout
    moved = [*layout.blocks[first_on_second:], layout.lm_head]
    if first_on_second < len(layout.blocks):
        moved.append(layout.text_model.get_submodule("norm"))
    away = {id(x) for module in moved for x in _weights(module)}
    for x in _weights(loaded.model):
        x.pretend = two if id(x) in away else one
    for layer, block in enumerate(layout.blocks):
        device = one if layer < first_on_second else two
        add_hook_to_module(block, AlignDevicesHook(execution_device=device))


def _weights(module: torch.nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]
