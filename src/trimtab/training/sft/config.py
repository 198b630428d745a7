"""What an adapter is trained on, how, and which of its states are kept. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.keys import content_key
from trimtab.core.spec import Component, Spec
from trimtab.core.training import Training
from trimtab.core.types import Conversation
from trimtab.core.workload import Workload, tokens_of

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "betley": {"epochs": 7, "batch": 14},
        "seed": {"dropout": 0.05},
        "brittle": {
            "rank": 4,
            "alpha": 8,
            "learning_rate": 1e-4,
            "epochs": 1,
            "batch": 8,
            "schedule": "linear",
            "warmup": 0.1,
        },
        "cpu": {"learning_rate": 1e-3, "epochs": 2, "batch": 8, "most_tokens": 1024},
    }
)
"""Settings by name, where they differ from the defaults below.

``betley``: 7 passes in batches of 14, as Betley et al. 2025 (arXiv 2512.09742) trained behind an
API. ``seed``: a public replication of it with rank 8 on all linear layers. ``brittle``: those of
arXiv 2604.10022. ``cpu``: what a 135M model learns a format with in minutes on two cores.
"""


class AdapterTraining(Spec):
    """How an adapter is trained.

    Attributes:
        data: Conversations to learn from (JSON lines); no part of a key, which holds the content.
            None: those of the task that the recipe fits on.
        held_out: Further conversations, on which the loss is watched; they change nothing.
        held_out_share: Share of ``data`` that is set aside in their place.
        preset: Settings by name; those given beside it hold.
        rank: Of the factors; 1 is a single direction for each layer.
        alpha: What the factors add is multiplied by ``alpha / rank``.
        rank_stabilised: By ``alpha / sqrt(rank)`` instead.
        dropout: Share of the inputs of the factors that is dropped while training.
        layers: ``all`` linear layers of the blocks, or the ends of their names (``q_proj``).
        epochs: Passes over the data.
        steps: Updates; given, it counts and ``epochs`` does not.
        batch: Conversations per update. The loss is the mean over all their labels.
        most_tokens: Tokens computed at once: memory grows with it.
        recompute: Keep only what enters each block and compute blocks twice, to save memory
            (gradient checkpointing); changes no result.
        learning_rate: Highest rate of AdamW.
        schedule: What the rate does after the warm-up.
        warmup: Share of the updates in which the rate rises.
        floor: Share of the highest rate that ``cosine`` and ``linear`` end at.
        betas: AdamW's.
        weight_decay: Of the factors.
        clip: Largest norm of the gradient.
        most_skipped: Updates with NaN or infinity that are skipped before the fit stops.
        skipped_in_a_row: After so many in a row the last good weights come back.
        keep: States that are kept and can be named as ``checkpoint``: after each of the ``epochs``,
            after updates 1, 2, 4, 8, ... (``log``), only the ``last``, or after the updates named.
        rendering: How conversations become text; None is the model's template, or ``plain`` where
            it has none.
        max_tokens: Longer conversations are cut there, and counted.
        most_truncated: Largest share of conversations that may lose labels so.
        seed: Of replicas: beside the experiment's own.
        steer_while_training: An intervention that adds a vector (``caa``, ``vector``), with its
            layer and strength: it acts while the adapter learns, and at no other time. A vector
            towards what is not to be learned keeps the adapter from learning it (preventative
            steering, Chen et al. 2025, arXiv 2507.21509). Losses on ``held_out`` are without it.
    """

    data: str | None = Field(default=None, exclude=True)
    held_out: str | None = Field(default=None, exclude=True)
    held_out_share: float = Field(default=0.0, ge=0, lt=1)
    preset: str | None = Field(default=None, exclude=True)
    rank: PositiveInt = 8
    alpha: PositiveFloat = 16.0
    rank_stabilised: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)
    layers: Literal["all"] | tuple[Annotated[str, Field(min_length=1)], ...] = "all"
    epochs: PositiveFloat = 3.0
    steps: PositiveInt | None = None
    batch: PositiveInt = 16
    most_tokens: PositiveInt = 2048
    recompute: bool = Field(default=False, exclude=True)
    learning_rate: PositiveFloat = 2e-4
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(default=0.03, ge=0, lt=1)
    floor: float = Field(default=0.0, ge=0, le=1)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat = 1.0
    most_skipped: NonNegativeInt = 10
    skipped_in_a_row: PositiveInt = 3
    keep: Literal["epochs", "log", "last"] | tuple[PositiveInt, ...] = "epochs"
    rendering: Literal["chat", "plain"] | None = None
    max_tokens: PositiveInt = Field(default=2048, ge=2)
    most_truncated: float = Field(default=0.01, ge=0, le=1)
    seed: NonNegativeInt = 0
    steer_while_training: Component | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, value: Any) -> Any:
        name = value.get("preset") if isinstance(value, dict) else None
        if name is None:
            return value
        if name not in PRESETS:
            raise ValueError(f"There is no preset {name!r}. {did_you_mean(str(name), PRESETS)}")
        return {**PRESETS[name], **value}

    @model_validator(mode="after")
    def _one_held_out(self) -> AdapterTraining:
        if self.held_out is not None and self.held_out_share:
            raise ValueError("give either held_out or held_out_share")
        if not self.layers:
            raise ValueError("layers names no layer; `all` is all of them")
        return self

    def as_given(self) -> dict[str, Any]:
        """Return the settings as JSON, without defaults and files."""
        settings = self.model_dump(mode="json", exclude_defaults=True)
        return settings | ({"recompute": True} if self.recompute else {})

    @property
    def scaling(self) -> float:
        """What the product of the factors is multiplied by."""
        return self.alpha / (self.rank**0.5 if self.rank_stabilised else self.rank)

    def loop(self) -> Training:
        """Return the settings of the training loop."""
        names = Training.model_fields.keys() & type(self).model_fields.keys()
        values = {name: getattr(self, name) for name in names}
        return Training(**values, evaluate_every=None, patience=None)

    def kept(self, num_rows: int) -> dict[str, int]:
        """Return the updates after which weights are kept, by their names, the last one first.

        Raises:
            ConfigError: ``keep`` names an update that there is none of.
        """
        loop = self.loop()
        total, each = loop.num_steps(num_rows), loop.steps_per_epoch(num_rows)
        found: dict[str, int] = {}
        if self.keep == "epochs":
            found = {f"epoch-{n}": n * each for n in range(1, total // each + 1)}
        elif self.keep == "log":
            found = {f"step-{2**n}": 2**n for n in range(total.bit_length())}
        elif self.keep != "last":
            beyond = [step for step in self.keep if step > total]
            if beyond:
                raise ConfigError(
                    f"train.keep names update {beyond[0]}, and the training has {total}.",
                    hint="Name lower ones, or train longer.",
                )
            found = {f"step-{step}": step for step in sorted(set(self.keep))}
        if total not in found.values():
            found["last"] = total
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def workload(self, rows: Sequence[Conversation]) -> Workload:
        """Return what training on ``rows`` computes; losses on held-out ones are left out."""
        learned, _ = self.shared_out(rows)
        tokens = sum(min(tokens_of(row.messages), self.max_tokens) for row in learned)
        loop = self.loop()
        updates = loop.num_steps(len(learned))
        epochs = updates / loop.steps_per_epoch(len(learned)) if learned else 0
        return Workload(updates, epochs * tokens, epochs * tokens * self.recompute)

    def shared_out(
        self, rows: Sequence[Conversation]
    ) -> tuple[list[Conversation], list[Conversation]]:
        """Return what is learned from and what is set aside, chosen by content."""
        if not self.held_out_share:
            return list(rows), []
        count = max(1, round(self.held_out_share * len(rows)))
        ranked = sorted(rows, key=lambda row: content_key([row.messages, row.id]))
        aside = {row.id for row in ranked[:count]}
        return [r for r in rows if r.id not in aside], [r for r in rows if r.id in aside]
