"""Whether a model is still what it was: its modules, their settings, hooks and tensors."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

_SIMPLE = frozenset({type(None), bool, int, float, str, torch.dtype})
_CONTAINERS = frozenset({dict, OrderedDict, list, tuple, set, frozenset})


@dataclass(frozen=True, eq=False)
class State:
    """What a forward of a model depends on.

    A change of weights through ``.data`` in place goes unnoticed: torch counts no version of it.

    Attributes:
        objects: Modules and tensors, which this does not keep alive.
        settings: Versions of tensors, and what modules keep beside them (adapters that are switched
            on or off, factors, hooks).
    """

    objects: list[weakref.ref[Any]]
    settings: list[Any]

    @classmethod
    def of(cls, model: nn.Module) -> State:
        """Return the state of ``model`` as it is now."""
        objects: list[weakref.ref[Any]] = []
        settings: list[Any] = [_plain(vars(model.config))] if hasattr(model, "config") else []
        for module in model.modules():
            objects.append(weakref.ref(module))
            for name, value in vars(module).items():
                if name in ("_parameters", "_buffers"):
                    tensors = [tensor for tensor in value.values() if tensor is not None]
                    objects += [weakref.ref(tensor) for tensor in tensors]
                    settings += [(tensor.data_ptr(), tensor._version) for tensor in tensors]
                elif name != "_modules" and not (type(value) in _CONTAINERS and not value):
                    settings.append((name, _plain(value)))
        return cls(objects, settings)

    def __eq__(self, other: object) -> bool:
        """Whether nothing changed; a reference to what is gone equals no other."""
        if not isinstance(other, State) or len(self.objects) != len(other.objects):
            return False
        same = all(a is b for a, b in zip(self.objects, other.objects, strict=True))
        return same and self.settings == other.settings


def _plain(value: Any) -> Any:
    """Return what can be compared: the value itself if it is simple, else which object it is."""
    kind = type(value)
    if kind in _SIMPLE:
        return value
    if kind not in _CONTAINERS:
        return id(value)
    if isinstance(value, dict):
        return [(key, _plain(item)) for key, item in value.items()]
    return [_plain(item) for item in value]
