"""Linear layers in the layout that oneDNN computes with, on a CPU and without gradients.

torch lays weights out anew on every call unless they come packed: packed, float32 products are
about 2.3 times faster, bfloat16 ones 1.1 times (see ``bench/RESULTS.md``). Sums may differ from
torch's in the last bit, so a study uses packed weights throughout or not at all.

The packed weights are a second copy; the first stays, for gradients and for adapters. A weight that
was changed in place since is packed anew, unless the change went through ``.data``: then make a new
engine.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from trimtab.engine.batching.allocator import page_out
from trimtab.models.load import LoadedModel


def can_pack(loaded: LoadedModel) -> bool:
    """Whether this build of torch has oneDNN for the model's device and number format."""
    return (
        loaded.device.type == "cpu"
        and loaded.dtype in (torch.float32, torch.bfloat16)
        and torch.backends.mkldnn.is_available()
        and (loaded.dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


class PackedWeight:
    """A weight [out, in] and a bias, packed."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """Pack them; the copy costs the memory of the weight."""
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), None)
        self._bias = None if bias is None else bias.detach()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x @ weight.T + bias``."""
        y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self._packed, self._bias, "none", [], ""
        )
        return y


def pack(loaded: LoadedModel) -> None:
    """Let every linear layer of the blocks compute with packed weights, as they are now.

    Left alone are layers of other kinds (quantised ones) and those that something else stands in
    for: accelerate brings their weights, which are not here now.
    """
    if not can_pack(loaded):
        return
    for block in loaded.layout.blocks:
        for module in block.modules():
            if type(module) is nn.Linear and not hasattr(module, "_hf_hook"):
                module.forward = _Packed(module)  # type: ignore[method-assign, assignment]


def repack(loaded: LoadedModel) -> None:
    """Pack weights anew that were changed since, in place of doing so when they are needed."""
    for block in loaded.layout.blocks:
        for module in block.modules():
            if isinstance(module.forward, _Packed):
                module.forward.renew()


class _Packed:
    """Stands in for the ``forward`` of a linear layer."""

    def __init__(self, module: nn.Linear) -> None:
        self._module = module
        self._pack()

    def _pack(self) -> None:
        weight, bias = self._module.weight, self._module.bias
        self._versions = (weight.data_ptr(), weight._version)
        self._packed = PackedWeight(weight, bias)
        page_out(weight)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            return functional.linear(x, self._module.weight, self._module.bias)
        self.renew()
        return self._packed(x)

    def renew(self) -> None:
        """Pack the weight again if it was changed."""
        weight = self._module.weight
        if (weight.data_ptr(), weight._version) != self._versions:
            self._pack()
