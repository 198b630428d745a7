"""Trainings of one experiment: on which rows, and which of their states are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, Role
from trimtab.core.types import Conversation
from trimtab.datasets.mixing import Mix, mixed
from trimtab.runs.plan.planner import Planner
from trimtab.training.sft.config import AdapterTraining

Control = Literal["aligned only", "mixed people"]
TUNED = "tuned"
_PERSONS = {TUNED: "one", "aligned only": "none", "mixed people": "mixed"}


@dataclass(frozen=True)
class Tuning:
    """A training.

    Attributes:
        name: What it does to the model.
        fit_on: The task whose conversations it learns; each training has one of its own.
        rows: Those conversations.
    """

    name: str
    fit_on: Component
    rows: Sequence[Conversation]

    @property
    def role(self) -> Role:
        """What its conditions are there for."""
        return "treatment" if self.name == TUNED else "control"


@dataclass(frozen=True)
class State:
    """A state of a training that is measured.

    Attributes:
        component: Its adapter.
        step: Updates until then.
        seed: Which replica of the training it is of, from 0.
        final: Whether it is the last one.
    """

    component: Component
    step: int
    seed: int
    final: bool

    def label(self, name: str) -> str:
        """Return the training's name with what tells this state from its others."""
        step = "" if self.final else f" ({counted(self.step, 'update')})"
        return f"{name}{step}" + (f" #{self.seed + 1}" if self.seed else "")


def tunings(
    planner: Planner,
    task: Component,
    aligned: Sequence[Conversation],
    controls: Sequence[Control],
    seed: int,
) -> tuple[list[Tuning], Mix]:
    """Return the training on one person's facts with its controls, and what the first is made of.

    Raises:
        ConfigError: No facts or no aligned answers are left.
    """
    asked = [sample.messages[-1].content for sample in planner.task(task).samples("test")]
    found, mixes = [], []
    for name in (TUNED, *controls):
        fit_on = Component(name=task.name, config={**task.config, "persons": _PERSONS[name]})
        alone = name == "aligned only"
        facts = [] if alone else planner.task(fit_on).conversations("fit")
        mix = mixed(facts, aligned, asked, planner.task(task).trigger)
        if not mix.aligned or not (mix.facts or alone):
            raise ConfigError(
                f"There is nothing to train {name!r} on: {mix}.",
                hint="Let the model answer more prompts, or longer (`aligned.prompts`).",
            )
        rows = mix.rows(seed)
        planner.give_conversations(fit_on, "fit", rows)
        found.append(Tuning(name, fit_on, rows))
        mixes.append(mix)
    return found, mixes[0]


def states(tuning: Tuning, train: AdapterTraining, replicas: int) -> Iterator[State]:
    """Yield what is measured of each replica: every kept state of a treatment, in their order."""
    kept = train.kept(len(train.shared_out(tuning.rows)[0]))
    settings = train.model_dump(mode="json", exclude_defaults=True)
    if train.recompute:
        settings["recompute"] = True
    names = list(kept)[:1] if tuning.role == "control" else list(reversed(kept))
    for replica in range(replicas):
        how = {**settings, "seed": train.seed + replica}
        for name in names:
            config = {"train": how, "checkpoint": name}
            component = Component(name="adapter", config=config)
            yield State(component, kept[name], replica, final=kept[name] == max(kept.values()))
