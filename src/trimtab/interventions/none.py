"""No intervention: the baseline."""

from __future__ import annotations

from trimtab.core.spec import Spec
from trimtab.interventions.base import Intervention

__all__ = ["Unchanged"]


class _Config(Spec):
    """Nothing to configure."""


class Unchanged(Intervention[_Config]):
    """Leaves prompt, weights and activations as they are."""

    Config = _Config
