"""What a training falls back to when its losses stop being finite."""

from __future__ import annotations

import torch
from torch import nn

from trimtab.training.checkpoint import load_optimizer, optimizer_tensors, restore, trained

_MODEL, _OPTIMIZER = "model/", "optimizer/"


class LastGood:
    """The last weights whose loss and gradient were finite, with the optimiser's state."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.tensors: dict[str, torch.Tensor] = {}

    def take(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Hold the present state, of which a finite gradient is known."""
        weights, moments = trained(module), optimizer_tensors(module, optimizer)
        self.tensors = {f"{_MODEL}{name}": tensor for name, tensor in weights.items()}
        self.tensors |= {f"{_OPTIMIZER}{name}": t.clone() for name, t in moments.items()}

    def give_back(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put the held state back; nothing happens where none is held."""
        if not self.tensors:
            return
        restore(module, self._under(_MODEL), "the last good state")
        optimizer.state.clear()
        load_optimizer(module, optimizer, self._under(_OPTIMIZER))

    def _under(self, prefix: str) -> dict[str, torch.Tensor]:
        return {
            name.removeprefix(prefix): tensor.clone()
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }
