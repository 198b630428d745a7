"""Which modules of a model choose their rotary frequencies by the length of a row."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from trimtab.core.errors import ModelError

_BY_LENGTH = ("dynamic", "longrope")


@dataclass(frozen=True, eq=False)
class Rotation:
    """The modules whose frequencies depend on a row's length, and where they begin to.

    Attributes:
        modules: Rotary embeddings, as transformers writes them.
        dynamic: For each that scales dynamically (NTK) the length beyond which every length has
            frequencies of its own.
        switching: For each with longrope scaling the length beyond which there is one other set.
    """

    modules: tuple[nn.Module, ...]
    dynamic: tuple[int, ...]
    switching: tuple[int, ...]

    @property
    def usual(self) -> int:
        """The longest row whose frequencies are those of every shorter one."""
        return min(self.dynamic + self.switching)

    def kind(self, length: int) -> Hashable:
        """Return what is equal for lengths with the same frequencies."""
        own = tuple(max(length, at) for at in self.dynamic)
        return own + tuple(length > at for at in self.switching)

    def switches(self, start: int, stop: int) -> bool:
        """Whether a row that grows from ``start`` to ``stop`` changes from one set to the other."""
        return any(start <= at < stop for at in self.switching)


def find_rotation(model: PreTrainedModel) -> Rotation | None:
    """Return the modules of ``model``; None if frequencies depend on nothing.

    Raises:
        ModelError: The configuration scales by length, and no module of a known form does it.
    """
    modules: dict[nn.Module, None] = {}
    dynamic: list[int] = []
    switching: list[int] = []
    for module in model.modules():
        found: Any = getattr(module, "rope_type", None)
        for layer_type, kind in (found if isinstance(found, dict) else {None: found}).items():
            if kind not in _BY_LENGTH:
                continue
            rotary: Any = module
            modules[rotary] = None
            if kind == "dynamic":
                dynamic.append(rotary.original_max_seq_len)
            else:
                scaling = rotary.config.rope_parameters
                scaling = scaling if layer_type is None else scaling[layer_type]
                switching.append(scaling["original_max_position_embeddings"])
    if modules:
        return Rotation(tuple(modules), tuple(dynamic), tuple(switching))
    parameters = getattr(model.config.get_text_config(), "rope_parameters", None)
    named = _names(parameters).intersection(_BY_LENGTH)
    if named:
        raise ModelError(
            f"{type(model).__name__} scales its rotary frequencies by length "
            f"({', '.join(sorted(named))}) in a way of its own, which the engine can't follow.",
            hint="Use another model, or other `rope_parameters` in its config.json.",
        )
    return None


def _names(parameters: Any) -> set[Any]:
    if not isinstance(parameters, dict):
        return set()
    inner = [_names(value) for value in parameters.values()]
    return {parameters.get("rope_type"), parameters.get("type")}.union(*inner)
