"""The vectors that a condition of a run adds, ready to be written to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trimtab.core.errors import ConfigError, DataError, StoreError, did_you_mean
from trimtab.core.plan import Cell
from trimtab.interventions.base import INTERVENTIONS
from trimtab.runs.store import artifacts
from trimtab.runs.store.run import Run
from trimtab.vectors.file import Vectors, checked

if TYPE_CHECKING:
    from trimtab.engine.request import Edit

_KEPT = (
    "model",
    "revision",
    "model_identity",
    "model_type",
    "blocks",
    "dtype",
    "hidden_size",
    "num_layers",
    "method",
    "read",
)
"""What a fit says of itself that is true of what a condition adds, too."""


def steered(run: Run) -> dict[str, Cell]:
    """Return, by label, a cell of each condition that needs something fitted."""
    found: dict[str, Cell] = {}
    for cell in run.plan.cells:
        if cell.artifacts:
            found.setdefault(cell.condition, cell)
    return found


def of_condition(run: Run, label: str | None) -> Vectors:
    """Return what a condition adds to the outputs of blocks, its strength multiplied in.

    Args:
        run: Its artifact must be fitted.
        label: The condition; None takes the only one that there is.

    Raises:
        ConfigError: There is no such condition, or several and none is named.
        StoreError: Its vectors are not fitted yet.
        DataError: It does more than to add constant vectors to blocks' outputs, or adds nothing.
    """
    cells = steered(run)
    if label is None and len(cells) == 1:
        label = next(iter(cells))
    if label is None or label not in cells:
        said = "Name a condition" if label is None else f"No steered condition is called {label!r}"
        near = "" if label is None else f" {did_you_mean(label, cells)}"
        raise ConfigError(
            f"{said}: {run.dir} has {', '.join(map(repr, cells)) or 'none'}.{near}",
            hint="Give it with --condition.",
        )
    cell = cells[label]
    if "gate" in cell.artifacts:
        raise DataError(
            f"condition {label!r} of {run.dir} acts on some prompts only (gate), which no vector "
            "file can say."
        )
    if not all(run.has_artifact(key) for key in cell.artifacts.values()):
        raise StoreError(
            f"The vectors of condition {label!r} are not fitted yet.",
            hint=f"Run `trimtab fit {run.dir}` first.",
        )
    return _added(run, cell)


def _added(run: Run, cell: Cell) -> Vectors:
    fitted = {name: artifacts.load(run.artifact_dir(key)) for name, key in cell.artifacts.items()}
    acting = INTERVENTIONS.build(cell.intervention.name, cell.intervention.config)
    where = f"condition {cell.condition!r} of {run.dir}"
    treatment = acting.treat(fitted)
    if treatment.dynamic is not None:
        raise DataError(f"{where} chooses its strength at each token, so it is no vector.")
    if treatment.adapter is not None:
        raise DataError(f"{where} changes the weights, so it is no vector.")
    edits, made = treatment.edits, fitted["vector"]
    heads = next((edit for edit in edits if edit.site != "residual"), None)
    if heads is not None:
        raise DataError(
            f"{where} adds to the attention heads of block {heads.layer}, not to a block's output."
        )
    about: dict[str, Any] = {
        **{key: made.info[key] for key in _KEPT if made.info.get(key) is not None},
        "run": run.plan.name,
        "condition": cell.condition,
        "intervention": cell.intervention.model_dump(mode="json"),
        "strengths": acting.strengths(fitted),
        "positions": sorted({str(edit.positions) for edit in edits}),
    }
    norms = {
        edit.layer: float(made.tensors[name])
        for edit in edits
        if (name := f"l{edit.layer}.residual_norm") in made.tensors
    }
    return checked(_sums(edits), about, where, norms)


def _sums(edits: tuple[Edit, ...]) -> dict[int, Any]:
    """Return strength times vector, summed over the edits of each block."""
    total: dict[int, Any] = {}
    for edit in edits:
        added = edit.strength * edit.vector.float()
        total[edit.layer] = total[edit.layer] + added if edit.layer in total else added
    return total
