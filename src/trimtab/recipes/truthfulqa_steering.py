"""Steer a model towards truthful answers, and find out what that did and what it broke.

Conditions: baseline; a system prompt; CAA at several strengths of both signs; strength 0; random
directions of equal norm. Measures: free answers, multiple choice by log-probability, the two-option
task, and the perplexity of held-out prose under the same edits.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from trimtab.core.spec import Component, Output
from trimtab.core.types import SamplingParams
from trimtab.recipes._bank import Bank, bank_conditions
from trimtab.recipes._conditions import (
    Condition,
    add_conditions,
    at_layer,
    baseline,
    named,
    require_measured,
    sweep,
)
from trimtab.recipes._controls import prompted, randoms, sizes, with_controls
from trimtab.recipes._steering import Controls, Steering, chosen_layer, vector
from trimtab.recipes._sweeps import random_beside
from trimtab.recipes.base import Recipe, RecipeConfig
from trimtab.runs.plan.planner import Planner

__all__ = ["TruthfulQASteering"]

Measure = Literal["generation", "options", "two_option", "heldout"]


class _Config(RecipeConfig):
    """The experiment file.

    Attributes:
        task: Configuration of the task ``truthfulqa`` (source, limit, rendering, ...), without
            ``form``.
        heldout: Configuration of the task ``heldout``.
        measures: What each condition is measured on.
        steering: The vector and its strengths.
        bank: Several vectors in the place of one.
        controls: Prompt and random directions.
        conditions: Further interventions by the name of their condition, e.g. ``dac: {name: dac}``.
            Each is measured wherever it can act: one that only steers texts has no options. One
            that must name a block and names none acts at that of ``steering``. The controls that
            one of them asks for are added, unless they are planned already.
        sampling: How free answers are drawn; null is the task's protocol, greedy.
        num_samples: Free answers per question.
        judges: What scores free answers.
    """

    task: dict[str, Any] = Field(default_factory=dict)
    heldout: dict[str, Any] = Field(default_factory=dict)
    measures: tuple[Measure, ...] = ("generation", "options", "two_option", "heldout")
    steering: Steering = Steering()
    bank: Bank = Bank()
    controls: Controls = Controls()
    conditions: dict[str, Component] = Field(default_factory=dict)
    sampling: SamplingParams | None = None
    num_samples: int = Field(default=1, ge=1)
    judges: tuple[Component, ...] = (
        Component(name="rubric", config={"rubric": "truth"}),
        Component(name="rubric", config={"rubric": "info"}),
        Component(name="semantic"),
        Component(name="text_health"),
    )

    @field_validator("task")
    @classmethod
    def _no_form(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "form" in value:
            raise ValueError("each measure has its own form; choose with the key measures")
        return value


class TruthfulQASteering(Recipe[_Config]):
    """Baseline, prompt, CAA and its controls on TruthfulQA."""

    Config = _Config
    title = "Steer towards truthful answers (TruthfulQA): effect, damage and controls"
    starter: ClassVar = {
        "headline": "mc2",
        "task": {"source": "bundled"},
        "measures": ["options", "heldout"],
    }
    starter_note = (
        "Further measures are generation and two_option. They are left out, because the bundled "
        "questions have 10 categories, with which more than 25 tests can't establish anything: "
        "take fewer strengths or more questions with them."
    )

    def declare(self, planner: Planner) -> None:
        """Add every condition on every measure."""
        config = self.config
        planner.fit_on = self._task("generation")
        measures = planner.answerable({name: self._task(name) for name in config.measures})
        for task in measures.values():
            conditions = self._conditions(planner, planner.task(task).output)
            add_conditions(
                planner, task, conditions, sampling=config.sampling, num_samples=config.num_samples
            )
        require_measured(
            planner,
            measures.values(),
            [Condition(label, "treatment", given) for label, given in config.conditions.items()],
            "Add `generation` to `measures`, or leave the condition out.",
        )
        for judge in config.judges if "generation" in measures else ():
            planner.add_judge(judge)
        if "options" in measures:
            sets = planner.choice_sets(self._task("options"), "test")
            scored = {"form": "options", "sets": [s for s in ("mc1", "mc2", "binary") if s in sets]}
            planner.add_judge(Component(name="choice", config=scored), ("options",))
        for judge, scored_by in _OPTION_JUDGES:
            wanted = tuple(name for name in scored_by if name in measures)
            if wanted:
                planner.add_judge(judge, wanted)

    def _conditions(self, planner: Planner, output: Output) -> list[Condition]:
        steering, controls = self.config.steering, self.config.controls
        layer = chosen_layer(planner, steering)
        place = {"unit": steering.unit, "layer": layer}
        like = vector("caa", layer, 0.0, steering)
        conditions = [
            baseline(),
            *prompted(controls.prompt),
            *sweep("caa", lambda s: vector("caa", layer, s, steering), steering.strengths, place),
            *bank_conditions(self.config.bank, layer, steering),
            *randoms(
                lambda s, draw: vector("random", layer, s, steering, like=like, draw=draw),
                controls.random_strengths or sizes(steering.strengths),
                range(controls.most_draws),
                place,
            ),
        ]
        given = self.config.conditions.items()
        further = [named(label, at_layer(layer, c), steering.unit) for label, c in given]
        acting = [condition for condition in further if condition.acts_on(output)]
        draws = controls.most_draws
        planned = conditions + with_controls(conditions, acting, draws, steering.unit)
        planned += random_beside(planned, acting, controls)
        return [condition for condition in planned if controls.drawn_for(condition, output)]

    def _task(self, measure: Measure) -> Component:
        if measure == "heldout":
            return Component(name="heldout", config=self.config.heldout)
        return Component(name="truthfulqa", config={**self.config.task, "form": measure})


_OPTION_JUDGES: tuple[tuple[Component, tuple[Measure, ...]], ...] = (
    (Component(name="choice", config={"form": "two_option"}), ("two_option",)),
    (Component(name="divergence"), ("options", "heldout")),
    (Component(name="perplexity"), ("heldout",)),
)
