"""Change the weights by a low-rank adapter from a folder, whatever trained it.

The folder is one that peft wrote (``adapter_config.json`` and ``adapter_model.safetensors``). It is
read once, by the fit phase, and kept with the run; rows of other adapters, and of none, run beside
it on the same base.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from trimtab.core.errors import DataError
from trimtab.core.needs import Need
from trimtab.core.spec import Component, Spec
from trimtab.interventions.base import Intervention, Treatment
from trimtab.models.lora import adapter_identity, read_adapter
from trimtab.steering.adapters import adapter_of, fitted_from
from trimtab.steering.fitted import FitContext, Fitted

__all__ = ["FromFolder"]


class _Config(Spec):
    """Which adapter, and how much of it.

    Attributes:
        source: Its folder, relative to where the command is given; no part of any key.
        content: Hash of what it must hold; planning fills it in.
        strength: What the adapter adds is multiplied by this; 1 is the adapter as it was trained, 0
            exactly the baseline.
    """

    source: str = Field(exclude=True)
    content: str | None = None
    strength: float = Field(default=1.0, allow_inf_nan=False)


class FromFolder(Intervention[_Config]):
    """Adds the low-rank factors of a folder to the weights."""

    Config = _Config
    MAKES = ("adapter",)
    SEEDED = False

    def needs(self) -> dict[str, Need]:
        """Return the fit that reads the folder: its content."""
        source = self.config.source
        content = adapter_identity(Path(source))
        component = Component(name="adapter", config={"source": source, "content": content})
        return {"adapter": Need(component)}

    def fit(self, context: FitContext) -> Fitted:
        """Return the folder's factors.

        Raises:
            DataError: It changed since planning.
            ModelError: It is no adapter that is supported, or one of another base.
        """
        folder = Path(self.config.source)
        adapter = read_adapter(folder, context.engine.loaded.layout)
        if self.config.content not in (None, adapter.identity):
            raise DataError(
                f"{folder} is not what this run was planned with: its content is another.",
                hint="Restore it, or start a new run.",
            )
        ranks = sorted({len(factor.down) for factor in adapter.factors.values()})
        blocks = sorted(adapter.by_block)
        about = {"method": "from a folder", "ranks": ranks, "blocks": blocks}
        return fitted_from(adapter, about)

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return the adapter at its strength."""
        if not self.config.strength:
            return Treatment()
        adapter = adapter_of(fitted["adapter"])
        same = self.config.strength == 1.0
        return Treatment(adapter=adapter if same else adapter.scaled(self.config.strength))

    def strengths(self, fitted: Mapping[str, Fitted]) -> dict[str, float]:
        """Return the strength, in multiples of the adapter."""
        return {"raw": self.config.strength}
