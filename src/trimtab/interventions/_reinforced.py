"""Adapters that are trained by the rewards of their own answers: a cohort of runs is one fit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import NonFiniteError
from trimtab.core.lazy import lazy
from trimtab.core.needs import Input, Made, Need, Prompts
from trimtab.core.spec import Component
from trimtab.steering.adapters import fitted_from
from trimtab.steering.fitted import FitContext, Fitted
from trimtab.text.grades import GRAMMAR
from trimtab.training.reinforce.config import VERSION, CohortTraining
from trimtab.training.reinforce.telling import Telling

if TYPE_CHECKING:
    from trimtab.training.reinforce import fit as reinforce
else:
    reinforce = lazy("trimtab.training.reinforce.fit")

_DIRECTION = "direction"
"""Name of the vector that grades are projected on, among the inputs of a fit."""


def need_of(training: CohortTraining, artifact: str) -> Need:
    """Return the fit of a cohort, and which of its artifacts is meant.

    Raises:
        ConfigError: The file of its direction is gone, or there is no block to project in.
        DataError: It is no file of vectors.
    """
    inputs: dict[str, Input] = {"samples": Prompts("fit"), "held_out": Prompts("select")}
    direction = training.direction
    if direction is not None:
        training = training.model_copy(update={"direction": direction.with_content()})
        vector = direction.need(direction.block)
        inputs |= {} if vector is None else {_DIRECTION: Made(vector)}
    component = Component(name="adapter", config={"reinforce": training.given()})
    return Need(component, inputs, artifact, training.score)


def determines(training: CohortTraining) -> list[Any]:
    """Return what determines the fit, beside model and data."""
    direction = training.direction
    hashed = None if direction is None else direction.as_hashed
    settings = training.model_copy(update={"direction": hashed})
    return ["adapter", "reinforce", VERSION, GRAMMAR, settings]


def fit_cohort(context: FitContext, training: CohortTraining) -> dict[str, Fitted]:
    """Return each state of each run that is kept; one that was given up has no factors."""
    samples, held_out = context.data["samples"], context.data["held_out"]
    items = reinforce.Items(samples.samples, samples.rendering or "chat", held_out.samples)
    direction = training.direction
    projector = (
        None
        if direction is None
        else direction.projector(context.engine, context.made.get(_DIRECTION))
    )
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="training-"))
        folder = Path(context.folder or scratch) / "training"
        states = reinforce.train_cohort(
            *(context.engine, training, items, context.scores_by(training.score)),
            folder=folder,
            # not the fit's own: a run is the same whichever others stand beside it
            seed=context.run_seed,
            projector=projector,
            progress=Telling(context.note),
            fence=context.fence,
        )
    for run, alarms in {s.about["run"]: s.about["alarms"] for s in states.values()}.items():
        for alarm in alarms:
            context.note(f"run {run}, alarm in round {alarm['round']}: {alarm['text']}")
    for reason in {s.about["run"]: s.about["failed"] for s in states.values()}.items():
        if reason[1] is not None:
            context.note(f"run {reason[0]} was given up: {reason[1]}")
    return {
        name: Fitted({}, {**state.about, "scalings": {}, "content": None})
        if state.adapter is None
        else fitted_from(state.adapter, state.about)
        for name, state in states.items()
    }


def require_trained(info: Mapping[str, Any]) -> None:
    """Raise NonFiniteError if an artifact is of a run that was given up before."""
    if info.get("content", "") is None:
        raise NonFiniteError(
            f"Run {info['run']!r} was given up before round {info['round']}: {info['failed']}",
            hint="Lower its learning rate; the other runs are whole.",
        )
