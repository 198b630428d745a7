"""Conditions of an experiment: interventions with label, role and place in figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, Role, Spec, Split
from trimtab.core.types import SamplingParams
from trimtab.interventions.base import INTERVENTIONS
from trimtab.runs.plan.planner import Planner

Place = dict[str, float | str]


@dataclass(frozen=True)
class Condition:
    """What is done to the model, and what for.

    Attributes:
        label: In tables.
        role: What it is there for.
        intervention: What is done.
        control: What a control controls for.
        place: Its coordinates in figures: series, strength, unit, layer, draw, ...
        number: Of one of several random directions: which it is, from 1.
    """

    label: str
    role: Role
    intervention: Component
    control: str | None = None
    place: Place = field(default_factory=dict)
    number: int | None = None

    def acts_on(self, output: str) -> bool:
        """Return whether it can act on texts, or on options."""
        return output in INTERVENTIONS.load(self.intervention.name).OUTPUTS

    def built(self) -> tuple[str, Spec]:
        """Return name and checked configuration of the intervention."""
        name = self.intervention.name
        return name, INTERVENTIONS.build(name, self.intervention.config).config


def baseline(label: str = "baseline") -> Condition:
    """Return the model as it is."""
    return Condition(label, "baseline", Component(name="none"))


def sweep(
    series: str,
    at: Callable[[float], Component],
    strengths: Sequence[float],
    place: Mapping[str, float | str],
) -> list[Condition]:
    """Return an intervention at ``strengths``, ascending, and before at 0; nothing without any."""
    return [
        Condition(
            f"{series} {strength:+g}",
            "treatment" if strength else "zero",
            at(strength),
            place={"series": series, "strength": strength, **place},
        )
        for strength in ((0.0, *sorted(strengths)) if strengths else ())
    ]


def named(label: str, component: Component, unit: str | None = None) -> Condition:
    """Return a further condition, at the place that its configuration says.

    Strength 0 is the zero check and a numbered draw a random control. Conditions whose names differ
    only in a strength at their end are one series, a line in figures.
    """
    config = INTERVENTIONS.build(component.name, component.config).config
    drawn = getattr(config, "draw", None) is not None
    role: Role = "control" if drawn else "treatment"
    if getattr(config, "strength", None) == 0:
        role = "zero"
    place = place_of(label, config, unit)
    return Condition(label, role, component, "random" if drawn else None, place)


def add_conditions(
    planner: Planner,
    task: Component,
    conditions: Iterable[Condition],
    *,
    split: Split = "test",
    measure: str | None = None,
    fit_on: Component | None = None,
    sampling: SamplingParams | None = None,
    num_samples: int = 1,
) -> None:
    """Add a cell for each condition that can act on what ``task`` asks for.

    How texts are drawn, and how many, says nothing of options.
    """
    output = planner.task(task).output
    for condition in conditions:
        if condition.acts_on(output):
            planner.add_cell(
                condition=condition.label,
                role=condition.role,
                control=condition.control,
                task=task,
                split=split,
                intervention=condition.intervention,
                coordinates=dict(condition.place),
                measure=measure,
                fit_on=fit_on,
                sampling=sampling if output == "text" else None,
                num_samples=num_samples if output == "text" else 1,
            )


def require_measured(
    planner: Planner, tasks: Iterable[Component], conditions: Iterable[Condition], hint: str
) -> None:
    """Raise ConfigError, with ``hint``, for a condition that acts on nothing that is measured."""
    outputs = sorted({planner.task(task).output for task in tasks})
    for condition in conditions:
        if not any(condition.acts_on(output) for output in outputs):
            raise ConfigError(
                f"condition {condition.label!r}: intervention {condition.intervention.name!r} acts "
                f"on none of what is measured, which asks for {' and '.join(outputs)}.",
                hint=hint,
            )


def at_layer(layer: int | str, component: Component) -> Component:
    """Return ``component`` at ``layer``, if it must name a block and names none."""
    field_of = INTERVENTIONS.load(component.name).Config.model_fields.get("layer")
    if field_of is None or not field_of.is_required() or "layer" in component.config:
        return component
    return Component(name=component.name, config={**component.config, "layer": layer})


def place_of(label: str, config: Spec, unit: str | None) -> Place:
    """Return where a condition stands in figures, by its configuration."""
    names = ("strength", "unit", "layer", "draw")
    place = {name: getattr(config, name, None) for name in names}
    if place["unit"] != unit or place["layer"] == "auto":
        # the random directions are controls of equal length in one unit only, and two automatic
        # choices need not choose the same layer
        place["layer"] = None
    strength = place["strength"]
    series = label if strength is None else label.removesuffix(f" {strength:+g}")
    return {"series": series, **{k: v for k, v in place.items() if v is not None}}
