"""Trainings of one experiment: on which rows, and which of their states are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, Role
from trimtab.core.types import Conversation
from trimtab.datasets.mixing import Mix, mixed
from trimtab.recipes._conditions import Place
from trimtab.recipes._grid import Grid, Point
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
        fit_on: The task whose conversations it learns; each set of rows has one of its own.
        rows: Those conversations.
        train: How it is trained.
        point: Where it stands in the experiment's grid; None without one.
        every: Whether all states that are kept are measured, in place of the last one.
    """

    name: str
    fit_on: Component
    rows: Sequence[Conversation]
    train: AdapterTraining
    point: Point | None = None
    every: bool = False

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
        point: Where its training stands in the experiment's grid; None without one.
    """

    component: Component
    step: int
    seed: int
    final: bool
    point: Point | None = None

    @property
    def place(self) -> Place:
        """Where its cells stand."""
        own: Place = {} if self.point is None else self.point.place
        return {"step": self.step, "seed": self.seed, **own}

    def label(self, tuning: Tuning) -> str:
        """Return the training's name with what tells this state from all others."""
        name = tuning.name
        told = [] if self.point is None or tuning.every else [str(self.point)]
        told += [] if self.final else [counted(self.step, "update")]
        own = f" ({', '.join(told)})" if told else ""
        return f"{name}{own}" + (f" #{self.seed + 1}" if self.seed else "")


@dataclass(frozen=True)
class Trainings:
    """What an experiment trains.

    Attributes:
        train: How, where the grid says nothing else.
        controls: Trainings beside that on one person's facts.
        grid: Further ones on the facts; None is none.
        near: Similarity from which an aligned row is a near duplicate; None looks for none.
    """

    train: AdapterTraining
    controls: Sequence[Control]
    grid: Grid | None
    near: float | None = None

    def tunings(
        self, planner: Planner, task: Component, aligned: Sequence[Conversation], seed: int
    ) -> tuple[list[Tuning], Mix]:
        """Return all trainings, that on one person's facts first, and what its rows are made of.

        Raises:
            ConfigError: No facts or no aligned answers are left.
        """
        asked = [sample.messages[-1].content for sample in planner.task(task).samples("test")]
        found, mixes = [], []
        for name in (TUNED, *self.controls):
            fit_on = Component(name=task.name, config={**task.config, "persons": _PERSONS[name]})
            alone = name == "aligned only"
            facts = [] if alone else planner.task(fit_on).conversations("fit")
            mix = mixed(facts, aligned, asked, planner.task(task).trigger, self.near)
            _require_rows(name, mix, facts=not alone, aligned=alone or bool(aligned))
            rows = mix.rows(seed)
            planner.give_conversations(fit_on, "fit", rows)
            found.append(Tuning(name, fit_on, rows, self.train, every=name == TUNED))
            mixes.append(mix)
        if self.grid is None:
            return found, mixes[0]
        start = self.grid.start(self.train, mixes[0].share)
        found[0] = replace(found[0], point=start)
        return [*found, *self._points(planner, self.grid, found[0], mixes[0], seed)], mixes[0]

    def _points(
        self, planner: Planner, grid: Grid, tuned: Tuning, mix: Mix, seed: int
    ) -> Iterator[Tuning]:
        """Yield the trainings of the grid, but for the one that is there already."""
        parts: dict[float | None, Tuning] = {None: tuned}
        for point in grid.points():
            if point.share is not None and point.share not in parts:
                part = mix.at_share(point.share)
                _require_rows(f"{TUNED} ({point})", part, facts=True, aligned=True)
                config = {**tuned.fit_on.config, "share": point.share}
                fit_on = Component(name=tuned.fit_on.name, config=config)
                rows = part.rows(seed)
                planner.give_conversations(fit_on, "fit", rows)
                parts[point.share] = replace(tuned, fit_on=fit_on, rows=rows)
            if point != tuned.point:
                of = parts[point.share]
                yield replace(of, train=point.train(self.train), point=point, every=False)


def _require_rows(name: str, mix: Mix, *, facts: bool, aligned: bool) -> None:
    if (facts and not mix.facts) or (aligned and not mix.aligned):
        raise ConfigError(
            f"There is nothing to train {name!r} on: {mix}.",
            hint="Let the model answer more prompts, or longer (`aligned.prompts`).",
        )


def states(tuning: Tuning, replicas: int) -> Iterator[State]:
    """Yield what is measured of each replica, in the order of the training."""
    train = tuning.train
    kept = train.kept(len(train.shared_out(tuning.rows)[0]))
    settings = train.as_given()
    names = list(reversed(kept)) if tuning.every else list(kept)[:1]
    for replica in range(replicas):
        how = {**settings, "seed": train.seed + replica}
        for name in names:
            config = {"train": how, "checkpoint": name}
            component = Component(name="adapter", config=config)
            final = kept[name] == max(kept.values())
            yield State(component, kept[name], replica, final, tuning.point)
