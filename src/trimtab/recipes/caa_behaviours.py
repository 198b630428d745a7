"""Steer along behaviours with CAA, each with a vector of its own, and see what else changes.

Panickssery et al. 2023 (arXiv 2312.06681), section 4: for each behaviour a vector from A/B
questions, read at the letter of the answer; the probability of the matching letter on other A/B
questions with multiples of the vector added; the same vectors on two-option questions of knowledge.
Added are strength 0 and random directions of equal length. Where we differ: multiples are of each
behaviour's own vector (the paper rescales all to one mean length per layer; ``unit: relative``
makes lengths equal here); ``positions: generated`` acts on the last prompt token too (theirs is
``after_prompt``, which does nothing where a tokenizer has ``(A`` as one token).
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from pydantic import Field, field_validator

from trimtab.core.spec import Component
from trimtab.recipes._behaviours import Behaviour, own_draws, require_rows
from trimtab.recipes._conditions import add_conditions, baseline, sweep
from trimtab.recipes._controls import randoms, sizes
from trimtab.recipes._steering import RandomDirections, Steering, chosen_layer, vector
from trimtab.recipes.base import Recipe, RecipeConfig
from trimtab.runs.plan.planner import Planner
from trimtab.steering.additive import Unit
from trimtab.steering.pairs import Read

__all__ = ["CaaBehaviours"]


class _Steering(Steering):
    """The vectors and how they are used, as in the recipe ``truthfulqa_steering``.

    Attributes:
        read: ``letter``: at the token of the answer's letter, as published.
        unit: ``raw``: multiples of each behaviour's vector.
        strengths: Both signs; 0 is added as a control.
    """

    read: Read = "letter"
    unit: Unit = "raw"
    strengths: tuple[float, ...] = (-1.0, 1.0)


class _Config(RecipeConfig):
    """The experiment file.

    Attributes:
        behaviours: Names of behaviours, or their files as ``{source: FILE}``; each is a table, and
            has a vector of its own.
        task: Configuration of the task ``caa_ab`` for all of them (source, order, rendering, ...),
            without ``behaviour`` and ``form``. Its ``limit`` counts for what is tested.
        fit_limit: Most questions that a vector is made from; null is all.
        side_effect: Configuration of the task ``caa_ab`` for questions whose answers should not
            change, beside that of ``task``; e.g. ``{behaviour: mmlu, limit: 100}``. Null leaves
            them out.
        open_ended: Also write answers to the open questions, under every condition.
        steering: The vectors and their strengths.
        controls: Random directions for each behaviour.
        judges: What scores open answers.
    """

    behaviours: tuple[Behaviour, ...] = Field(min_length=1)
    task: dict[str, Any] = Field(default_factory=dict)
    fit_limit: int | None = Field(default=None, ge=2)
    side_effect: dict[str, Any] | None = None
    open_ended: bool = False
    steering: _Steering = _Steering()
    controls: RandomDirections = RandomDirections()
    judges: tuple[Component, ...] = (Component(name="text_health"),)

    @field_validator("task")
    @classmethod
    def _named_elsewhere(cls, value: dict[str, Any]) -> dict[str, Any]:
        given = sorted({"behaviour", "form"} & value.keys())
        if given:
            raise ValueError(
                f"{' and '.join(given)} can't be given here: see `behaviours` and `open_ended`"
            )
        return value


class CaaBehaviours(Recipe[_Config]):
    """A vector per behaviour, its effect on the letters, and its side effects."""

    Config = _Config
    title = "Steer along behaviours with CAA: A/B questions and side effects"
    starter: ClassVar = {
        "headline": "matching",
        "behaviours": ["agreement", "patience"],
        "task": {"source": "bundled"},
        "steering": {"unit": "relative", "strengths": [-0.3, 0.3]},
    }
    starter_note = (
        "The bundled behaviours have 32 test questions each: large effects alone can be found. For "
        "CAA's own name the folder of a clone in `task.source`, for yours a file of A/B questions. "
        "Strengths are shares of the residual norm: the raw vectors of small models do little."
    )

    def declare(self, planner: Planner) -> None:
        """Add baseline, strength 0, strengths and random directions of every behaviour."""
        config = self.config
        asked = [self._questions(**each.given) for each in config.behaviours]
        opened = config.behaviours if config.open_ended else ()
        written = [self._questions(**each.given, form="open_ended") for each in opened]
        side = [] if config.side_effect is None else [self._questions(**config.side_effect)]
        require_rows(planner, asked, "behaviour")
        require_rows(planner, side, "side_effect")
        for task in [*asked, *written, *side]:
            add_conditions(planner, task, [baseline()])
        for index, each in enumerate(config.behaviours):
            own = [asked[index], *written[index : index + 1]]
            self._add_behaviour(planner, index, each, own, side)
        for form, tasks in (("behaviour", asked), ("side_effect", side)):
            measures = tuple(planner.task(task).measure for task in tasks)
            if measures:
                planner.add_judge(Component(name="choice", config={"form": form}), measures)
        for judge in config.judges if written else ():
            planner.add_judge(judge)

    def _add_behaviour(
        self,
        planner: Planner,
        index: int,
        each: Behaviour,
        own: list[Component],
        side: list[Component],
    ) -> None:
        """Add the conditions of one behaviour; random directions only where the effect is."""
        steering, controls = self.config.steering, self.config.controls
        layer = chosen_layer(planner, steering)
        place = {"unit": steering.unit, "layer": layer}
        made = partial(vector, "caa", layer, steering=steering)
        steered = sweep(each.behaviour, made, steering.strengths, place)
        drawn = randoms(
            lambda s, draw: vector("random", layer, s, steering, like=made(0.0), draw=draw),
            sizes(steering.strengths),
            own_draws(index, len(self.config.behaviours), controls),
            place,
            f"random for {each.behaviour}",
        )
        fit_on = self._questions(**each.given, limit=self.config.fit_limit)
        for condition in [*steered, *drawn]:
            for task in [*own, *(side if condition.role == "treatment" else [])]:
                if controls.drawn_for(condition, planner.task(task).output):
                    add_conditions(planner, task, [condition], fit_on=fit_on)

    def _questions(self, **more: Any) -> Component:
        return Component(name="caa_ab", config={**self.config.task, **more})
