"""What a training falls back to when its losses stop being finite."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from trimtab.training.checkpoint import load_optimizer, restore

_MODEL, _OPTIMIZER = "model/", "optimizer/"


class LastGood:
    """The last weights whose loss and gradient were finite, with the optimiser's state."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.tensors: dict[str, torch.Tensor] = {}

    def take(self, trained: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Hold the present state, of which a finite gradient is known, on the CPU."""
        for name, parameter in trained.items():
            self._hold(f"{_MODEL}{name}", parameter)
            for key, value in optimizer.state.get(parameter, {}).items():
                self._hold(f"{_OPTIMIZER}{name}/{key}", value)

    def give_back(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put the held state back; nothing happens where none is held."""
        if not self.tensors:
            return
        restore(module, self._under(_MODEL), "the last good state")
        optimizer.state.clear()
        load_optimizer(module, optimizer, self._under(_OPTIMIZER))

    def _hold(self, name: str, tensor: torch.Tensor) -> None:
        """Hold a copy, where there is one already in its memory: this is done every update."""
        with torch.no_grad():
            if name in self.tensors:
                self.tensors[name].copy_(tensor)
            else:
                self.tensors[name] = tensor.detach().cpu().contiguous().clone()

    def _under(self, prefix: str) -> dict[str, torch.Tensor]:
        return {
            name.removeprefix(prefix): tensor.clone()
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }
