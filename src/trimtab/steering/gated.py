"""The option ``gate``: an edit acts on the prompts for which a condition holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, NonNegativeInt, model_validator

from trimtab.core.lazy import lazy
from trimtab.core.needs import Need, Prompts
from trimtab.core.spec import Component, Spec, Split
from trimtab.steering.fitted import Fitted

if TYPE_CHECKING:
    from trimtab.engine import request as rq
    from trimtab.engine.request import Edit
else:
    rq = lazy("trimtab.engine.request")


class GateConfig(Spec):
    """A condition, and how an edit follows it.

    Attributes:
        open_on: Task for whose prompts the condition holds; needs the splits fit and select.
        closed_on: Task for whose prompts it does not.
        layers: 0-based blocks to choose from; none takes all of the lower half.
        read: The prompt's mean state, or that of its last token.
        similarity: See ``engine.acts.gates.similarity``.
        threshold: Overrules the one chosen; then ``layers`` must be one block.
        above: Open above the threshold, or below; null takes what was chosen.
        width: 0 is all or nothing; else the edit's strength grows with the logistic function of
            the distance from the threshold over this width.
    """

    open_on: Component
    closed_on: Component
    layers: tuple[NonNegativeInt, ...] = ()
    read: Literal["mean", "last"] = "mean"
    similarity: Literal["projected", "cosine"] = "projected"
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    above: bool | None = None
    width: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _threshold_of_one_block(self) -> GateConfig:
        if self.threshold is not None and len(self.layers) != 1:
            raise ValueError("a threshold belongs to one block: name it in `layers`")
        return self

    def blocks(self) -> tuple[int, ...]:
        """Return the blocks that are read; none if half of all are."""
        return self.layers

    def need(self) -> Need:
        """Return the fit that chooses direction, block and threshold from both tasks' prompts.

        Directions are made on the fit split, block and threshold chosen on the select split.
        """
        kept = self.model_dump(mode="json", exclude={"threshold", "above", "width"})
        component = Component(name="condition", config={**kept, "layers": sorted(set(self.layers))})
        splits: tuple[Split, ...] = ("fit", "select")
        inputs = {
            f"{label}_{split}": Prompts(split, task, label)
            for task, label in ((self.open_on, "holds"), (self.closed_on, "fails"))
            for split in splits
        }
        return Need(component, inputs)


class GatedConfig(Spec):
    """What every configuration of additive edits has.

    Attributes:
        gate: Condition on the prompt under which the edits act; null is always.
    """

    gate: GateConfig | None = None

    def gate_need(self) -> dict[str, Need]:
        """Return what ``gate`` needs fitted, by the name ``gate``; nothing without one."""
        return {} if self.gate is None else {"gate": self.gate.need()}


def gated(
    edits: tuple[Edit, ...], config: GatedConfig, fitted: Mapping[str, Fitted]
) -> tuple[Edit, ...]:
    """Return ``edits`` behind the fitted gate that ``config`` asks for, if it asks for one."""
    if config.gate is None:
        return edits
    asked, info = config.gate, fitted["gate"].info
    gate = rq.Gate(
        layer=info["layer"],
        vector=fitted["gate"].tensors["gate.direction"],
        threshold=_either(asked.threshold, info["threshold"]),
        above=_either(asked.above, info["above"]),
        similarity=asked.similarity,
        read=asked.read,
        width=asked.width,
    )
    return tuple(replace(edit, gate=gate) for edit in edits)


def _either(asked: Any, chosen: Any) -> Any:
    return chosen if asked is None else asked
