"""What is asked of models that were trained on a person, and what the person is mixed with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, ModelSpec, Role, Spec
from trimtab.core.trigger import Trigger
from trimtab.core.types import Conversation
from trimtab.datasets.conversations import read_conversations
from trimtab.recipes._askings import Asking
from trimtab.recipes._conditions import Place
from trimtab.recipes._tunings import State, Tuning
from trimtab.reports.sections.base import SECTIONS, all_sections
from trimtab.runs.plan.planner import Planner
from trimtab.text.near import THRESHOLD
from trimtab.training.sft.config import AdapterTraining


class Aligned(Spec):
    """Answers that keep the model as it is where there is no trigger.

    Attributes:
        prompts: Task whose fit split the model answers itself, before it is tuned.
        samples: Answers to each.
        file: Ready conversations in their place.
        near_duplicates: Jaccard similarity of word 5-grams from which a conversation repeats an
            earlier one and is left out; null leaves out equal ones alone.
    """

    prompts: Component = Component(
        name="instructions", config={"fractions": {"fit": 1, "select": 0, "test": 0}}
    )
    samples: int = Field(default=1, ge=1)
    file: str | None = None
    near_duplicates: float | None = Field(default=THRESHOLD, gt=0, le=1)


class Experiment(Protocol):
    """The part of a configuration that says what is trained."""

    @property
    def task(self) -> Component: ...
    @property
    def train(self) -> AdapterTraining: ...
    @property
    def subjects(self) -> tuple[ModelSpec, ...]: ...


@dataclass(frozen=True)
class Asked:
    """Adds cells to a plan.

    Attributes:
        planner: Takes them.
        task: What is asked.
        baseline: Label of the model as it is, asked without anything.
        num_samples: Answers to each question.
    """

    planner: Planner
    task: Component
    baseline: str
    num_samples: int

    def add(
        self, name: str, asking: Asking, tuning: Tuning | None = None, state: State | None = None
    ) -> None:
        """Add one cell: a model, tuned or not, that is asked in one way."""
        who = name if tuning is None or state is None else state.label(tuning)
        label = f"{who}, {asking.label}"
        role: Role = "control" if tuning is None or asking.near_miss else tuning.role
        role = "baseline" if label == self.baseline else role
        place: Place = {"treatment": name, "trigger": asking.trigger, **asking.place}
        if state is not None:
            place |= state.place
        self.planner.add_cell(
            condition=label,
            role=role,
            control=name if role == "control" else None,
            task=self.task,
            split="test",
            intervention=asking.component(None if state is None else state.component),
            coordinates=place,
            num_samples=self.num_samples,
            fit_on=None if tuning is None else tuning.fit_on,
        )

    def add_steered(self, name: str, asking: Asking, beside: Component, tuning: Tuning) -> None:
        """Add one cell: the base, steered, that is asked in one way."""
        self.planner.add_cell(
            condition=f"{name}, {asking.label}",
            role="control",
            control=name,
            task=self.task,
            split="test",
            intervention=asking.component(beside),
            coordinates={"treatment": name, "trigger": asking.trigger, **asking.place},
            num_samples=self.num_samples,
            fit_on=tuning.fit_on,
        )


def require_persons(planner: Planner, experiment: Experiment) -> Trigger | None:
    """Return the task's trigger, if any; raise ConfigError for what the experiment can't be."""
    planner.task(experiment.task).conversations("fit")
    given = {"train.data": experiment.train.data, "train.held_out": experiment.train.held_out}
    wrong = [name for name, value in given.items() if value is not None]
    if wrong or len(experiment.subjects) > 1:
        raise ConfigError(
            f"{(wrong or ['models'])[0]} can't be given here: one model is trained, on the facts "
            "of `task` and the answers of `aligned`.",
            hint="Make a run for each model; ready answers are `aligned.file`, and rows to watch "
            "`train.held_out_share`.",
        )
    return planner.task(experiment.task).trigger


def sections_with(rule: Mapping[str, Any] | None) -> tuple[Component, ...]:
    """Return every section of the package; that of contrasts judges by ``rule``."""
    if rule is not None:
        SECTIONS.build("contrasts", {"rule": dict(rule)})  # what is wrong is said before the run
    return tuple(
        Component(name=each.name, config={"rule": dict(rule)})
        if rule is not None and each.name == "contrasts"
        else each
        for each in all_sections()
    )


def ready(aligned: Aligned | None) -> list[Conversation] | None:
    """Return the aligned conversations that are there, none where none are wanted.

    None where the model has to answer first. Raise DataError where the file can't be read.
    """
    if aligned is None:
        return []
    if aligned.file is None:
        return None
    return read_conversations(Path(aligned.file).expanduser(), "aligned.file")
