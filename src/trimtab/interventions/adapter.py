"""Change the weights by a low-rank adapter: one from a folder, or one that is trained here.

A folder is one that peft wrote (``adapter_config.json`` and ``adapter_model.safetensors``); it is
read once, by the fit phase, and kept with the run. Trained is by supervised fine-tuning on
conversations (``train``), or by REINFORCE on the model's own answers (``reinforce``), several runs
side by side; each state that the training keeps is an artifact of one fit, named as ``checkpoint``.
Rows of other adapters, and of none, run beside it on the same base.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
    model_validator,
)

from trimtab.core.errors import DataError, did_you_mean
from trimtab.core.lazy import lazy
from trimtab.core.needs import Conversations, Input, Made, Need
from trimtab.core.spec import Component, Spec
from trimtab.core.workload import Workload
from trimtab.interventions._reinforced import (
    determines,
    fit_cohort,
    need_of,
    require_trained,
)
from trimtab.interventions._steered_training import training_edits, vector_need
from trimtab.interventions.base import Intervention, Treatment, identity_of
from trimtab.models.load import available_on, resolve
from trimtab.models.lora import adapter_identity, read_adapter
from trimtab.models.training_memory import check_training_fits, estimate_training
from trimtab.steering.adapters import adapter_of, fitted_from
from trimtab.steering.fitted import FitContext, FitData, Fitted
from trimtab.training.reinforce.config import CohortTraining
from trimtab.training.sft.config import AdapterTraining

if TYPE_CHECKING:
    import torch

    from trimtab.models import labels
    from trimtab.training.sft import fit as sft
else:
    torch = lazy("torch")
    labels = lazy("trimtab.models.labels")
    sft = lazy("trimtab.training.sft.fit")

__all__ = ["AnAdapter"]

_STEERED = "steered"
"""Name of the vector that training is steered by, among the inputs of a fit."""

_TRAINING = 1
"""Part of every key of a training; raise it when the same settings train another adapter."""


class _Config(Spec):
    """Which adapter, and how much of it.

    Attributes:
        source: Its folder, relative to where the command is given; no part of any key.
        content: Hash of what it must hold; planning fills it in.
        train: How it is trained, in place of a folder.
        reinforce: Runs that are trained by rewards, in place of a folder.
        run: Which of them, with the number of its replica: ``selfgrade-0``.
        checkpoint: Which state of the training; null is the last.
        strength: What the adapter adds is multiplied by this; 1 is the adapter as it was trained, 0
            exactly the baseline.
    """

    source: str | None = Field(default=None, exclude=True)
    content: str | None = None
    train: AdapterTraining | None = None
    reinforce: CohortTraining | None = None
    run: str | None = None
    checkpoint: str | None = None
    strength: float = Field(default=1.0, allow_inf_nan=False)

    @field_serializer("train", mode="wrap")
    def _without_paths(
        self, train: AdapterTraining | None, write: SerializerFunctionWrapHandler
    ) -> Any:
        """Leave out by what vector training was steered: the artifact's key says so."""
        written = write(train)
        if isinstance(written, dict):
            written.pop("steer_while_training", None)
        return written

    # a serializer of the field would write it where it is its default, and so move every key
    @model_serializer(mode="wrap")
    def _as_hashed(self, write: SerializerFunctionWrapHandler) -> Any:
        """Leave out what grades are projected on, and the cohort: the artifact's key says so."""
        written = write(self)
        if isinstance(written.get("reinforce"), dict):
            written["reinforce"].pop("direction", None)
            written["reinforce"].pop("cohort_size", None)
        return written

    def blocks(self) -> tuple[int, ...]:
        """Return the block that grades are projected in, where they are."""
        direction = None if self.reinforce is None else self.reinforce.direction
        return () if direction is None else (direction.block,)

    @model_validator(mode="after")
    def _one_origin(self) -> _Config:
        origins = (self.source, self.train, self.reinforce)
        if sum(origin is not None for origin in origins) != 1:
            raise ValueError("give either `source`, a folder, or `train`, or `reinforce`")
        if self.train is not None and self.train.steer_while_training is not None:
            vector_need(self.train.steer_while_training)
        if self.checkpoint is not None and self.source is not None:
            raise ValueError("`checkpoint` is for an adapter that is trained here")
        if self.run is not None and self.reinforce is None:
            raise ValueError("`run` is for adapters that are trained by `reinforce`")
        if self.run is not None and self.reinforce is not None:
            known = self.reinforce.settings()
            if self.run not in known:
                raise ValueError(f"no run {self.run!r}. {did_you_mean(self.run, known)}")
        return self


class AnAdapter(Intervention[_Config]):
    """Adds low-rank factors to the weights."""

    Config = _Config
    MAKES = ("adapter",)

    @property
    def seeded(self) -> bool:
        """Whether the fit depends on the experiment's seed: a folder does not."""
        return self.config.source is None

    def needs(self) -> dict[str, Need]:
        """Return the fit that reads the folder, by its content, or that trains."""
        train = self.config.train
        if train is not None:
            return {"adapter": _trained(train, self.config.checkpoint)}
        if self.config.reinforce is not None:
            run = self.config.run or next(iter(self.config.reinforce.settings()))
            cohort = self.config.reinforce.cohort_of(run)
            return {"adapter": need_of(cohort, _state_of(cohort, run, self.config.checkpoint))}
        source = self.config.source
        assert source is not None
        content = adapter_identity(Path(source))
        component = Component(name="adapter", config={"source": source, "content": content})
        return {"adapter": Need(component)}

    def determines(self, component: Component) -> dict[str, Any]:
        """Return what determines the fit: of a training its settings, not what it computes with."""
        if self.config.reinforce is not None:
            return {"fit": determines(self.config.reinforce)}
        if self.config.train is None:
            return super().determines(component)
        steered = self.config.train.steer_while_training
        unsteered = self.config.train.model_copy(update={"steer_while_training": None})
        fit = ["adapter", self.VERSION, _TRAINING, unsteered]
        return {"fit": fit, **({} if steered is None else {_STEERED: identity_of(steered)})}

    def check_input(self, data: FitData) -> None:
        """Raise DataError for a conversation without an answer."""
        for row in data.conversations:
            if not any(message.role == "assistant" for message in row.messages):
                raise DataError(
                    f"Conversation {row.id!r} has no assistant turn, so there is nothing to learn.",
                    hint="Give it an answer, or leave the row out.",
                )

    def makes(self, data: Mapping[str, FitData]) -> tuple[str, ...]:
        """Return the states that are kept, the last one first."""
        if self.config.reinforce is not None:
            return tuple(self.config.reinforce.artifacts())
        train = self.config.train
        if train is None:
            return self.MAKES
        rows, _ = train.shared_out(data["conversations"].conversations)
        return tuple(train.kept(len(rows)))

    def workload(self, data: Mapping[str, FitData]) -> Workload | None:
        """Return what training computes; nothing of a folder."""
        if self.config.train is not None:
            return self.config.train.workload(data["conversations"].conversations)
        if self.config.reinforce is not None:
            items = (data[name].samples for name in ("samples", "held_out"))
            return self.config.reinforce.workload(*items)
        return None

    def fit(self, context: FitContext) -> Fitted | dict[str, Fitted]:
        """Return the folder's factors, or those of each state of the training that is kept.

        Raises:
            DataError: The folder changed since planning, or a conversation can't be learned from.
            ModelError: It is no adapter that is supported, or one of another base; or memory is
                short.
            NonFiniteError: The training's losses stay NaN or infinite.
        """
        if self.config.train is not None:
            return _tuned(context, self.config.train)
        if self.config.reinforce is not None:
            return fit_cohort(context, self.config.reinforce)
        assert self.config.source is not None
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
        require_trained(fitted["adapter"].info)
        adapter = adapter_of(fitted["adapter"])
        same = self.config.strength == 1.0
        return Treatment(adapter=adapter if same else adapter.scaled(self.config.strength))

    def strengths(self, fitted: Mapping[str, Fitted]) -> dict[str, float]:
        """Return the strength, in multiples of the adapter."""
        return {"raw": self.config.strength}


def _state_of(cohort: CohortTraining, run: str, checkpoint: str | None) -> str:
    last = next(name for name, (owner, _) in cohort.artifacts().items() if owner == run)
    return last if checkpoint is None else f"{run}-{checkpoint}"


def _trained(train: AdapterTraining, checkpoint: str | None) -> Need:
    data = Conversations("fit", file=train.data, given_as="train.data")
    inputs: dict[str, Input] = {"conversations": data}
    if train.held_out is not None:
        inputs["held_out"] = Conversations("select", file=train.held_out, given_as="train.held_out")
    if train.steer_while_training is not None:
        inputs[_STEERED] = Made(vector_need(train.steer_while_training))
    component = Component(name="adapter", config={"train": train.as_given()})
    return Need(component, inputs, None if checkpoint == "last" else checkpoint)


def _tuned(context: FitContext, train: AdapterTraining) -> dict[str, Fitted]:
    _require_memory(context, train)
    steered = train.steer_while_training
    edits = () if steered is None else training_edits(steered, context.made[_STEERED])
    rows, aside = train.shared_out(context.data["conversations"].conversations)
    held_out = context.data["held_out"].conversations if "held_out" in context.data else aside
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="training-"))
        kept = sft.tune(
            context.engine,
            train,
            sft.Data(rows, held_out),
            folder=Path(context.folder or scratch) / "training",
            seed=context.seed,
            edits=edits,
            tell=context.note,
            fence=context.fence,
        )
    counts = next(iter(kept.values())).about["training"]
    context.note(
        f"adapter: {counts['updates']} updates on {counts['rows']['rows']} conversations "
        f"({counts['rows']['labels']} labels, {counts['rows']['truncated']} cut, "
        f"{counts['skipped']} updates skipped)"
    )
    about: dict[str, Any] = {"labels": labels.VERSION}
    for name, key in {"triggers": "trigger", "distillers": "distiller"}.items():
        known = {row.metadata.get(key) for row in rows} - {None}
        if known:
            about[name] = sorted(map(str, known))
    return {
        name: fitted_from(state.adapter, {**state.about, **about}) for name, state in kept.items()
    }


def _require_memory(context: FitContext, train: AdapterTraining) -> None:
    """Raise ModelError, before the model is loaded, where memory is short."""
    model = context.model
    assert model is not None
    spec = model.spec or model.engine().loaded.resolved.spec
    resolved = resolve(spec)
    spec = resolved.spec
    if spec.device_map is not None:
        return
    estimate = estimate_training(
        resolved.card,
        spec,
        rank=train.rank,
        tokens=train.most_tokens,
        recompute=train.recompute,
    )
    free = available_on(torch.device(spec.device))
    check_training_fits(estimate, spec, free, loaded=model.spec is None)
    context.note(f"training needs about {estimate.total / 2**30:.1f} GiB of memory")
