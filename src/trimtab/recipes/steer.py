"""Any interventions on any tasks, with their controls: a new task or method needs no new recipe.

Every condition is measured on every task that it can act on. An intervention that has a strength
and is given none is swept over ``strengths``, with strength 0 and random directions of equal length
beside it; the controls that an intervention asks for are added by themselves.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trimtab.core.errors import did_you_mean
from trimtab.core.spec import Component, Split
from trimtab.core.types import SamplingParams
from trimtab.interventions.base import INTERVENTIONS
from trimtab.recipes._conditions import (
    Condition,
    add_conditions,
    at_layer,
    baseline,
    named,
    require_measured,
)
from trimtab.recipes._controls import prompted, with_controls
from trimtab.recipes._steering import Controls, preset_layer
from trimtab.recipes._sweeps import is_swept, random_beside, random_directions, swept
from trimtab.recipes.base import Recipe, RecipeConfig
from trimtab.runs.plan.planner import Planner

__all__ = ["Steer"]


class _Config(RecipeConfig):
    """The experiment file.

    Attributes:
        tasks: What is measured, by the name of its table: any tasks.
        conditions: Interventions by the name of their condition.
        fit_on: Task whose fit and select splits interventions are fitted on; null is the first.
        layer: 0-based block of interventions that must name one and name none; null takes the
            preset of the model, else half the depth.
        strengths: Of interventions that have a strength and are given none; 0 is added. Without
            any, such interventions are left out.
        controls: Prompt and random directions.
        split: Which split is measured.
        sampling: How texts are drawn; null is each task's protocol.
        num_samples: Texts per sample.
        judges: What scores on every task of its kind, beside the judges that tasks bring.
        judges_of: What scores on one task alone, by the name of its table.
        sections: What the report is made of, in order; null is all that has something to say.
    """

    tasks: dict[str, Component] = Field(min_length=1)
    conditions: dict[str, Component] = Field(default_factory=dict)
    fit_on: Component | None = None
    layer: Annotated[int, Field(ge=0)] | Literal["auto"] | None = None
    strengths: tuple[float, ...] = (-0.4, -0.2, 0.2, 0.4)
    controls: Controls = Controls(prompt=None)
    split: Split = "test"
    sampling: SamplingParams | None = None
    num_samples: int = Field(default=1, ge=1)
    judges: tuple[Component, ...] = ()
    judges_of: dict[str, tuple[Component, ...]] = Field(default_factory=dict)
    sections: tuple[Component, ...] | None = None

    @model_validator(mode="after")
    def _known_tasks(self) -> Self:
        unknown = sorted(self.judges_of.keys() - self.tasks.keys())
        if unknown:
            raise ValueError(
                f"judges_of names {unknown[0]!r}, which is no task. "
                f"{did_you_mean(unknown[0], self.tasks)}"
            )
        return self


class Steer(Recipe[_Config]):
    """Conditions times tasks, with every control."""

    Config = _Config
    title = "Any interventions on any tasks: effect, damage and controls"
    starter: ClassVar = {
        "headline": "mc2",
        "tasks": {"options": {"name": "truthfulqa", "source": "bundled", "form": "options"}},
        "conditions": {"caa": {"name": "caa"}},
    }

    def declare(self, planner: Planner) -> None:
        """Add every condition on every task, and what scores them."""
        config = self.config
        planner.fit_on = config.fit_on or next(iter(config.tasks.values()))
        layer = preset_layer(planner.resolved) if config.layer is None else config.layer
        conditions = self._conditions(layer)
        hint = "Add a task that it can act on, or leave the condition out."
        require_measured(planner, config.tasks.values(), conditions, hint)
        for measure, task in config.tasks.items():
            output = planner.task(task).output
            add_conditions(
                planner,
                task,
                [c for c in conditions if config.controls.drawn_for(c, output)],
                split=config.split,
                measure=measure,
                sampling=config.sampling,
                num_samples=config.num_samples,
            )
        for measure, task in config.tasks.items():
            for judge in (*planner.task(task).judges(), *config.judges_of.get(measure, ())):
                planner.add_judge(judge, (measure,))
        for judge in config.judges:
            planner.add_judge(judge)
        if config.sections is not None:
            planner.report(*config.sections)

    def _conditions(self, layer: int | str) -> list[Condition]:
        config = self.config
        components = {label: at_layer(layer, given) for label, given in config.conditions.items()}
        several = sum(map(is_swept, components.values())) > 1
        treated: list[Condition] = []
        drawn: list[Condition] = []
        fixed: list[Condition] = []
        for label, component in components.items():
            if is_swept(component):
                treated += swept(label, component, config.strengths)
                of = label if several else None
                name = f"random for {label}" if several else "random"
                drawn += random_directions(name, component, config.strengths, config.controls, of)
            else:
                built = INTERVENTIONS.build(component.name, component.config).config
                fixed.append(named(label, component, getattr(built, "unit", None)))
        planned = [baseline(), *prompted(config.controls.prompt), *treated, *drawn]
        further = [condition for condition in treated if condition.role == "treatment"]
        added = with_controls(planned, [*further, *fixed], config.controls.most_draws)
        planned += [condition for condition in added if condition not in planned]
        return planned + random_beside(planned, fixed, config.controls)
