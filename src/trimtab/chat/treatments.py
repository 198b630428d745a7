"""What is done to the model that is talked to: by conditions of a run, an adapter, vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.core.errors import ConfigError, DataError, did_you_mean
from trimtab.core.lazy import lazy
from trimtab.core.plan import Cell
from trimtab.core.spec import ModelSpec
from trimtab.core.trigger import Trigger
from trimtab.interventions.base import INTERVENTIONS, Treatment
from trimtab.models.lora import read_adapter
from trimtab.runs.store import artifacts
from trimtab.runs.store.run import Run
from trimtab.vectors.file import read

if TYPE_CHECKING:
    from trimtab.engine import request as rq
    from trimtab.engine.engine import Engine
else:
    rq = lazy("trimtab.engine.request")

TREATED = "treated"
"""Name of what an adapter's folder and a file of vectors make of the model."""


@dataclass(frozen=True)
class OfRun:
    """What a run has to talk to.

    Attributes:
        model: Its model.
        treatments: By condition, in the order in which they were asked for.
        trigger: The run's trigger; None where it has none.
    """

    model: ModelSpec
    treatments: dict[str, Treatment]
    trigger: Trigger | None


def of_run(run: Run, conditions: Sequence[str]) -> OfRun:
    """Return conditions of a run, fitted as they are there.

    Raises:
        ConfigError: The run has no such condition, its conditions have several models, or one
            reads the prompts of other samples.
        StoreError: An artifact is missing or was changed.
    """
    cells = {cell.condition: cell for cell in run.plan.cells if cell.model is not None}
    for name in conditions:
        if name not in cells:
            raise ConfigError(
                f"{run.dir} has no condition {name!r}. {did_you_mean(name, cells)}",
                hint="`trimtab status` shows a run, its report every condition.",
            )
    chosen = [cells[name] for name in conditions] or list(cells.values())[:1]
    if not chosen:
        raise ConfigError(f"{run.dir} has no condition that a model of this machine answers in.")
    others = {cell.model_identity for cell in chosen}
    if len(others) > 1:
        raise ConfigError(
            "These conditions are of different models.", hint="Talk to those of one at a time."
        )
    treatments = {name: _treatment(run, cells[name]) for name in conditions}
    return OfRun(chosen[0].model, treatments, _trigger(run))


def _treatment(run: Run, cell: Cell) -> Treatment:
    acting = INTERVENTIONS.build(cell.intervention.name, cell.intervention.config)
    fitted = {name: artifacts.load(run.artifact_dir(key)) for name, key in cell.artifacts.items()}
    treatment = acting.treat(fitted)
    if any(edit.source is not None and edit.source.of_partner for edit in treatment.edits):
        raise ConfigError(
            f"condition {cell.condition!r} reads the prompts of other samples, which a "
            "conversation does not have."
        )
    return treatment


def _trigger(run: Run) -> Trigger | None:
    built = (
        INTERVENTIONS.build(cell.intervention.name, cell.intervention.config).trigger
        for cell in run.plan.cells
    )
    return next((trigger for trigger in built if trigger is not None), None)


def of_files(engine: Engine, adapter: Path | None, vectors: Path | None) -> Treatment:
    """Return what an adapter's folder and a file of vectors do together.

    Vectors are added as they are, once each, to every token that is written.

    Raises:
        DataError: A file is missing, damaged, or of a model of another shape.
        ModelError: The adapter is of another base.
    """
    edits: tuple[rq.Edit, ...] = ()
    if vectors is not None:
        found = read(vectors)
        width, blocks = engine.hidden_size, engine.num_layers
        if found.hidden_size != width or max(found.directions) >= blocks:
            raise DataError(
                f"{vectors} holds vectors of {found.hidden_size} numbers for blocks up to "
                f"{max(found.directions)}; the model has {width} and {blocks} blocks.",
                hint="Give the model that they were made on.",
            )
        edits = tuple(rq.Edit(layer, v, 1.0) for layer, v in sorted(found.directions.items()))
    read_in = None if adapter is None else read_adapter(adapter, engine.loaded.layout)
    return Treatment(edits=edits, adapter=read_in)
