"""Adapters as what a fit makes: factors in the artifact's tensors, scalings in its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trimtab.core.lazy import lazy
from trimtab.steering.fitted import Fitted

if TYPE_CHECKING:
    from trimtab.models import lowrank
else:
    lowrank = lazy("trimtab.models.lowrank")


def fitted_from(adapter: lowrank.Adapter, about: Mapping[str, Any]) -> Fitted:
    """Return an adapter as an artifact; ``about`` says what else there is to know of it."""
    tensors, scalings = {}, {}
    for name, factor in sorted(adapter.factors.items()):
        tensors[f"{name}.down"] = factor.down.detach().cpu()
        tensors[f"{name}.up"] = factor.up.detach().cpu()
        scalings[name] = factor.scaling
    return Fitted(tensors, {**about, "content": adapter.identity, "scalings": scalings})


def adapter_of(fitted: Fitted) -> lowrank.Adapter:
    """Return the adapter that an artifact holds."""
    factors = {
        name: lowrank.LowRank(
            fitted.tensors[f"{name}.down"], fitted.tensors[f"{name}.up"], float(scaling)
        )
        for name, scaling in fitted.info["scalings"].items()
    }
    return lowrank.Adapter(factors, fitted.info["content"])
