"""Runs that were trained by rewards, and other trainings, as their artifacts tell of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.core.plan import ArtifactRef, FitPlan
from trimtab.reports.data.directions import Direction, about_direction
from trimtab.reports.data.fits import fitted_artifacts
from trimtab.reports.data.source import RunSource

Series = list[float | None]


@dataclass(frozen=True)
class TrainedRun:
    """One run of a cohort.

    Attributes:
        model: Its base.
        task: What it answers.
        condition: Its name without the seed's number.
        seed: That number.
        rewarded: What is rewarded: ``control``, ``selfgrade``, ``honest``.
        failed: Why it was given up; None if it was not.
        skipped: Rounds that were skipped.
        curves: A value per round of each name; ``step`` is the round.
        held_out: What was seen of held-out items: the round, and a summary for each way.
        alarms: Those that were raised.
        order: Of the items, ``fixed`` or ``shuffled``; None where it is not told.
        rounds_of_pass: Rounds of a pass over the items; None where it is not told.
        direction: What the states of held-out items' grades are projected on; None where they are
            not.
    """

    model: str
    task: str
    condition: str
    seed: int
    rewarded: str
    failed: str | None
    skipped: int
    curves: Mapping[str, Series]
    held_out: Sequence[Mapping[str, Any]]
    alarms: Sequence[Mapping[str, Any]] = ()
    order: str | None = None
    rounds_of_pass: int | None = None
    direction: Direction | None = None


def trained_runs(source: RunSource) -> list[TrainedRun]:
    """Return each run that was trained by rewards, as its last state tells of it, in plan order."""
    last: dict[tuple[str, str, str], tuple[int, TrainedRun]] = {}
    for fit, key in fitted_artifacts(source.plan):
        info = source.artifact_info(key) or {}
        if "run" not in info or "curve_names" not in info:
            continue
        cells = [cell for cell in source.plan.cells if key in cell.artifacts.values()]
        if not cells:
            continue
        task, model = cells[0].task.name, cells[0].model.id
        found = (int(info["round"]), _run(info, model, task, _direction(source, fit)))
        name = (fit.key, task, str(info["run"]))
        if name not in last or last[name][0] < found[0]:
            last[name] = found
    return [run for _, run in last.values()]


def _direction(source: RunSource, fit: FitPlan) -> Direction | None:
    """Return what grades are projected on, if they are."""
    given = (fit.component.config.get("reinforce") or {}).get("direction")
    if given is None:
        return None
    made = fit.inputs.get("direction")
    info = source.artifact_info(made.artifact) if isinstance(made, ArtifactRef) else None
    return Direction(**about_direction(info, int(given["layer"])))


def _run(info: Mapping[str, Any], model: str, task: str, direction: Direction | None) -> TrainedRun:
    condition, _, number = str(info["run"]).rpartition("-")
    columns = {
        name: [row[at] for row in info["curves"]] for at, name in enumerate(info["curve_names"])
    }
    columns.setdefault("inflation", _differences(columns["grade"], columns["true"]))
    return TrainedRun(
        model=model,
        task=task,
        condition=condition,
        seed=int(number),
        rewarded=str(info["condition"]),
        failed=info["failed"],
        skipped=int(info["skipped"]),
        curves=columns,
        held_out=info["held_out"],
        alarms=info.get("alarms", ()),
        order=info.get("order"),
        rounds_of_pass=info.get("rounds_of_pass"),
        direction=direction,
    )


def _differences(a: Series, b: Series) -> Series:
    return [None if x is None or y is None else x - y for x, y in zip(a, b, strict=True)]


def mean_known(values: Sequence[float | None]) -> float | None:
    """Return the mean of what is known; None of nothing."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return math.fsum(known) / len(known) if known else None


def smoothed(values: Sequence[float | None], window: int) -> Series:
    """Return, at each place, the mean of what is known in the ``window`` places up to it."""
    return [mean_known(values[max(0, at - window + 1) : at + 1]) for at in range(len(values))]


def training_curves(source: RunSource) -> Iterator[tuple[str, str, Mapping[str, Series]]]:
    """Yield (condition, seed, curves) of each supervised training that a condition uses."""
    done: set[str] = set()
    for fit, key in fitted_artifacts(source.plan):
        training = (source.artifact_info(key) or {}).get("training")
        if fit.key in done or not isinstance(training, Mapping):
            continue
        losses = training.get("losses")
        cells = [cell for cell in source.plan.cells if key in cell.artifacts.values()]
        if not isinstance(losses, Sequence) or not losses or not cells:
            continue
        done.add(fit.key)
        name = str(cells[0].coordinates.get("treatment", cells[0].condition))
        names = ("step", "loss", "learning_rate", "gradient_norm")
        curves = {
            column: [row[at] for row in losses]
            for at, column in enumerate(names)
            if all(len(row) > at for row in losses) and column != "learning_rate"
        }
        yield name, str(cells[0].coordinates.get("seed", 0)), curves
