"""Add vectors from a file, whatever made them.

The file is one of trimtab's own: what ``trimtab vectors import`` wrote, or ``tensors.safetensors``
of another run's fit. It is read once, by the fit phase, and kept with the run. Residual norms are
measured as for ``caa``, on the answers of this run's contrast pairs, so that a relative strength
means the same with both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, NonNegativeInt, field_validator

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.keys import file_sha256
from trimtab.core.lazy import lazy
from trimtab.core.needs import Need
from trimtab.core.spec import Component
from trimtab.interventions.base import Intervention, Treatment
from trimtab.steering.additive import (
    AdditiveConfig,
    NamedPositions,
    Unit,
    strength_in_units,
    vector_at,
)
from trimtab.steering.fitted import FitContext, FitData, Fitted
from trimtab.steering.gated import GatedConfig, gated
from trimtab.steering.pairs import pair_inputs, read_pairs, require_two
from trimtab.vectors.file import INDEX, Header, Vectors, read, read_header

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
    from trimtab.models.memory import ModelCard
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")

__all__ = ["Vector"]


class _Config(GatedConfig):
    """Which file, which of its vectors, and how they are added.

    Attributes:
        file: Path; no part of any key.
        sha256: What the file must have; planning fills it in.
        layers: 0-based blocks whose output is edited; none are all that the file has vectors for.
        strength: How much at each block, see ``unit``; 0 is exactly the baseline.
        unit: ``raw`` multiplies the vectors as they are, ``unit`` is the length of what is added,
            ``relative`` that length as a fraction of the mean residual norm at the block.
        positions: Where they act, see ``engine.request.Positions``.
    """

    file: str = Field(exclude=True)
    sha256: str | None = None
    layers: tuple[NonNegativeInt, ...] = ()
    strength: float = Field(default=0.0, allow_inf_nan=False)
    unit: Unit = "relative"
    positions: NamedPositions = "generated"

    @field_validator("layers")
    @classmethod
    def _once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a layer is named twice")
        return tuple(sorted(value))

    def blocks(self) -> tuple[int, ...]:
        """Return every block that is edited; raise ConfigError if the file lacks one."""
        found = self.header().blocks
        missing = sorted(set(self.layers) - set(found))
        if missing:
            raise ConfigError(
                f"{self.file} holds no vector for layer {missing[0]}; it holds those of "
                f"{list(found)}."
            )
        return self.layers or found

    def header(self) -> Header:
        """Return what the file says of itself; raise DataError if it is no vector file."""
        return read_header(Path(self.file))


class Vector(Intervention[_Config]):
    """Adds ``strength`` times the vectors of a file."""

    Config = _Config

    def check_model(self, card: ModelCard) -> None:
        """Raise DataError if the file is of a model of another shape."""
        header = self.config.header()
        given = (header.width, header.about.get("num_layers"))
        _require_shape(self.config.file, given, (card.hidden_size, card.num_layers))

    def needs(self) -> dict[str, Need]:
        """Return the fit that reads the file: its content and the blocks."""
        blocks = self.config.blocks()
        component = Component(
            name="vector",
            config={
                "file": self.config.file,
                "sha256": file_sha256(Path(self.config.file)),
                "layers": list(blocks),
            },
        )
        return {"vector": Need(component, pair_inputs()), **self.config.gate_need()}

    def check_input(self, data: FitData) -> None:
        """Raise DataError for fewer than two pairs: residual norms are measured on them."""
        require_two(data.pairs)

    def fit(self, context: FitContext) -> Fitted:
        """Return the file's vectors and the residual norms of this model.

        Raises:
            DataError: The file changed since planning, or is of a model of another shape.
        """
        vectors = self._read(context)
        layers = self.config.blocks()
        tensors: dict[str, torch.Tensor] = {}
        with read_pairs(context, context.pairs, layers, "answer_mean") as rows:
            for layer in layers:
                tensors[f"l{layer}.direction"] = vectors.directions[layer]
                tensors[f"l{layer}.residual_norm"] = torch.tensor(rows.residual_norm(layer))
        norms = {str(layer): float(vectors.directions[layer].norm()) for layer in layers}
        per_layer = {
            layer: {"vector_norm": norm, "residual_norm": float(tensors[f"l{layer}.residual_norm"])}
            for layer, norm in norms.items()
        }
        return Fitted(
            tensors,
            {"method": "from a file", "index": INDEX, "file": vectors.about, "layers": per_layer},
        )

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return one edit for each block."""
        vectors = fitted["vector"]
        edits = tuple(
            rq.Edit(
                place.layer,
                vector_at(vectors, place.layer),
                strength_in_units(place, vectors)["raw"],
                place.positions,
            )
            for place in self._each(vectors)
            if isinstance(place.layer, int)
        )
        return Treatment(edits=gated(edits, self.config, fitted))

    def strengths(self, fitted: Mapping[str, Fitted]) -> dict[str, float]:
        """Return the strength in all units; of several blocks, in the unit that they share."""
        each = self._each(fitted["vector"])
        if len(each) == 1:
            return strength_in_units(each[0], fitted["vector"])
        return {self.config.unit: self.config.strength}

    def _each(self, fitted: Fitted) -> list[AdditiveConfig]:
        layers = self.config.layers or tuple(map(int, fitted.info["layers"]))
        same = self.config.model_dump(include={"strength", "unit", "positions"})
        return [AdditiveConfig(layer=layer, **same) for layer in layers]

    def _read(self, context: FitContext) -> Vectors:
        path = Path(self.config.file)
        vectors = read(path)
        if self.config.sha256 not in (None, file_sha256(path)):
            raise DataError(
                f"{path} is not what this run was planned with: its SHA-256 is another.",
                hint="Restore it, or start a new run.",
            )
        given = (vectors.hidden_size, vectors.about.get("num_layers"))
        _require_shape(path, given, (context.engine.hidden_size, context.engine.num_layers))
        return vectors


def _require_shape(path: Path | str, given: tuple[int, int | None], model: tuple[int, int]) -> None:
    """Raise DataError unless width and blocks of a file's vectors are those of the model."""
    (width, said), (hidden_size, num_layers) = given, model
    if width != hidden_size:
        raise DataError(
            f"{path}: its vectors have {width} numbers, and the model's residual stream has "
            f"{hidden_size}: they are of another model."
        )
    if said is not None and said != num_layers:
        raise DataError(
            f"{path}: its vectors are of a model with {said} blocks, and this one has "
            f"{num_layers}.",
            hint="A tensor with one row more than there are blocks is of the format persona.",
        )
