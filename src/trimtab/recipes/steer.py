"""Any interventions on any tasks, with their controls: a new task or method needs no new recipe.

Every condition is measured on every task that it can act on. An intervention that has a strength
and is given none is swept over ``strengths``, with strength 0 and random directions of equal length
beside it; the controls that an intervention asks for are added by themselves.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.spec import Component, Spec, Split
from trimtab.core.types import SamplingParams
from trimtab.interventions.base import INTERVENTIONS
from trimtab.recipes._conditions import (
    Condition,
    add_conditions,
    at_layer,
    baseline,
    named,
    prompted,
    randoms,
    sizes,
    sweep,
    with_controls,
)
from trimtab.recipes._steering import Controls, preset_layer
from trimtab.recipes.base import Recipe, RecipeConfig
from trimtab.runs.plan.planner import Planner

__all__ = ["Steer"]

_ADDITIVE = ("layer", "strength", "unit", "positions")


class _Config(RecipeConfig):
    """The experiment file.

    Attributes:
        tasks: What is measured, by the name of its table: any tasks.
        conditions: Interventions by the name of their condition.
        fit_on: Task whose fit and select splits interventions are fitted on; null is the first.
        layer: 0-based block of interventions that must name one and name none; null takes the
            preset of the model, else half the depth.
        strengths: Of interventions that have a strength and are given none; 0 is added.
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

    def declare(self, planner: Planner) -> None:
        """Add every condition on every task, and what scores them."""
        config = self.config
        planner.fit_on = config.fit_on or next(iter(config.tasks.values()))
        layer = preset_layer(planner.resolved) if config.layer is None else config.layer
        conditions = self._conditions(layer)
        self._require_measured(planner, conditions)
        for measure, task in config.tasks.items():
            add_conditions(
                planner,
                task,
                conditions,
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
        swept: list[Condition] = []
        drawn: list[Condition] = []
        fixed: list[Condition] = []
        components = {
            label: at_layer(layer, component) for label, component in config.conditions.items()
        }
        several = sum(map(_is_swept, components.values())) > 1
        for label, component in components.items():
            if _is_swept(component):
                at = partial(_at_strength, component)
                swept += sweep(label, at, *self._at(component))
                drawn += self._randoms(label if several else "", component)
            else:
                fixed.append(named(label, component, _unit(component)))
        planned = [baseline(), *prompted(config.controls.prompt), *swept, *drawn]
        further = [condition for condition in swept if condition.role == "treatment"]
        added = with_controls(planned, [*further, *fixed], config.controls.random_draws)
        return planned + [condition for condition in added if condition not in planned]

    def _at(self, component: Component) -> tuple[tuple[float, ...], dict[str, float | str]]:
        """Return the strengths of a sweep, and where it stands in figures."""
        built = INTERVENTIONS.build(component.name, component.config).config
        place = {name: getattr(built, name, None) for name in ("unit", "layer")}
        return self.config.strengths, {k: v for k, v in place.items() if v is not None}

    def _randoms(self, of: str, component: Component) -> list[Condition]:
        """Return random directions as long as what ``component`` adds, if they can be drawn."""
        fields = INTERVENTIONS.load(component.name).Config.model_fields
        controls, (_, place) = self.config.controls, self._at(component)
        label = f"random for {of}" if of else "random"
        strengths = controls.random_strengths or sizes(self.config.strengths)
        draws = range(controls.random_draws)
        if "draw" in fields:
            return randoms(partial(_at_strength, component), strengths, draws, place, label)
        if not set(_ADDITIVE) <= fields.keys():
            return []
        like = _at_strength(component, 0.0)
        where = {name: component.config[name] for name in _ADDITIVE if name in component.config}
        copied = Component(name="random", config={**where, "like": like.model_dump()})
        return randoms(partial(_at_strength, copied), strengths, draws, place, label)

    def _require_measured(self, planner: Planner, conditions: list[Condition]) -> None:
        """Raise ConfigError for a condition that acts on nothing that is measured."""
        outputs = {planner.task(task).output for task in self.config.tasks.values()}
        for condition in conditions:
            if not any(condition.acts_on(output) for output in outputs):
                raise ConfigError(
                    f"condition {condition.label!r}: intervention {condition.intervention.name!r} "
                    f"acts on none of the tasks, which ask for {' and '.join(sorted(outputs))}.",
                    hint="Add a task that it can act on, or leave the condition out.",
                )


def _is_swept(component: Component) -> bool:
    """Return whether an intervention does nothing unless it is given a strength, and has none."""
    field = INTERVENTIONS.load(component.name).Config.model_fields.get("strength")
    return field is not None and field.default == 0 and "strength" not in component.config


def _at_strength(component: Component, strength: float, draw: int | None = None) -> Component:
    """Return ``component`` at a strength, and as a numbered draw if one is given."""
    drawn = {} if draw is None else {"draw": draw}
    config = {**component.config, "strength": strength, **drawn}
    return Component(name=component.name, config=config)


def _unit(component: Component) -> str | None:
    built: Spec = INTERVENTIONS.build(component.name, component.config).config
    return getattr(built, "unit", None)
