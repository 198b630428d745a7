"""CUDA graphs where there is no GPU: recorded operations, replayed on the memory they had.

As with a graph, recording does nothing, replaying runs no Python of the step, results of operations
lie where they lay when recorded, and what needs a number that only the device knows is refused.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
_WAIT = (aten._local_scalar_dense, aten.nonzero, aten.is_nonzero, aten.equal, aten.masked_select)
_FROM_HOST = (aten.lift_fresh, aten.lift_fresh_copy, aten.scalar_tensor)


class RecordedOperations(TorchDispatchMode):
    """Records operations; afterwards, all memory is as it was before."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self._before: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        _refuse(func, args)
        for tensor in _written(func, args, kwargs):
            self._before.append((tensor, tensor.clone()))
        result = func(*args, **kwargs)
        self.operations.append((func, args, kwargs, result))
        return result

    def __exit__(self, *details: Any) -> None:
        super().__exit__(*details)
        for tensor, value in reversed(self._before):
            tensor.copy_(value)
        self._before.clear()

    def replay(self) -> None:
        """Do it all again."""
        for func, args, kwargs, old in self.operations:
            new = func(*args, **kwargs)
            if all(out.alias_info is None for out in func._schema.returns):
                for kept, value in zip(tree_leaves(old), tree_leaves(new), strict=True):
                    if isinstance(kept, torch.Tensor):
                        kept.copy_(value)


def record(step: Callable[[], None]) -> Callable[[], None]:
    """Record a step as ``trimtab.engine.writing.graphs`` records CUDA graphs."""
    recorded = RecordedOperations()
    with recorded:
        step()
    return recorded.replay


def _refuse(func: Any, args: Any) -> None:
    packet = func.overloadpacket
    if packet in _WAIT:
        raise RuntimeError(f"{func} waits for the device")
    if packet in _FROM_HOST:
        raise RuntimeError(f"{func} brings values from the host")
    if packet in (aten.index, aten.index_put, aten.index_put_):
        indices = [x for x in args[1] if x is not None]
        if any(x.dtype == torch.bool for x in indices):
            raise RuntimeError(f"{func} with a mask waits for the device")


def _written(func: Any, args: Any, kwargs: Any) -> list[torch.Tensor]:
    """Return the tensors that an operation writes to."""
    found = []
    for index, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[index] if index < len(args) else kwargs.get(argument.name)
            found += [x for x in tree_leaves(value) if isinstance(x, torch.Tensor)]
    return found
