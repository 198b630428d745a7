"""A vector that acts while an adapter learns, and at no other time.

Preventative steering, Chen et al. 2025, arXiv 2507.21509: what the vector does already need not be
learned, so the adapter moves less along it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.core.errors import ConfigError
from trimtab.core.needs import Need
from trimtab.core.spec import Component
from trimtab.interventions.base import INTERVENTIONS, Treatment
from trimtab.steering.fitted import Fitted

if TYPE_CHECKING:
    from trimtab.engine.request import Edit

_HINT = "Take one that adds a vector, e.g. {name: caa, layer: 15, strength: 0.4, positions: all}."


def vector_need(component: Component) -> Need:
    """Return what the vector is fitted by; raise ConfigError for another kind of intervention."""
    built = INTERVENTIONS.build(component.name, component.config)
    needs = built.needs()
    if not getattr(built.config, "strength", 1.0):
        raise ConfigError(
            f"steer_while_training: {component.name!r} has strength 0, which steers nothing.",
            hint=_HINT,
        )
    if set(needs) != {"vector"}:
        raise ConfigError(
            f"steer_while_training: {component.name!r} adds no vector, or adds it under a gate.",
            hint=_HINT,
        )
    return needs["vector"]


def training_edits(component: Component, vector: Fitted) -> tuple[Edit, ...]:
    """Return what is added while training; raise ConfigError if it depends on the row."""
    built = INTERVENTIONS.build(component.name, component.config)
    treatment = built.treat({"vector": vector})
    edits = treatment.edits
    plain = Treatment(treatment.prompt, edits) == treatment
    if not edits or not plain or any(edit.source or edit.gate for edit in edits):
        raise ConfigError(
            f"steer_while_training: what {component.name!r} adds depends on the row, so no "
            "training can be steered by it.",
            hint=_HINT,
        )
    return edits
