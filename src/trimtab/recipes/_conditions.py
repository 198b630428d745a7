"""Conditions of an experiment: interventions with label, role and place in figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    """

    label: str
    role: Role
    intervention: Component
    control: str | None = None
    place: Place = field(default_factory=dict)

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


def prompted(system: str | None) -> list[Condition]:
    """Return the control that every intervention must beat: being asked; none if it is null."""
    if system is None:
        return []
    said = Component(name="prompt", config={"system": system})
    return [Condition("prompt", "control", said, "prompt", {"series": "prompt"})]


def sweep(
    series: str,
    at: Callable[[float], Component],
    strengths: Iterable[float],
    place: Mapping[str, float | str],
) -> list[Condition]:
    """Return an intervention at strength 0 and at ``strengths``, ascending."""
    return [
        Condition(
            f"{series} {strength:+g}",
            "treatment" if strength else "zero",
            at(strength),
            place={"series": series, "strength": strength, **place},
        )
        for strength in (0.0, *sorted(strengths))
    ]


def randoms(
    at: Callable[[float, int], Component],
    strengths: Iterable[float],
    draws: Sequence[int],
    place: Mapping[str, float | str],
    label: str = "random",
) -> list[Condition]:
    """Return random directions of equal length: each number of ``draws`` at each strength."""
    return [
        Condition(
            f"{label} {strength:+g} #{number}",
            "control",
            at(strength, draw),
            "random",
            {"series": "random", "strength": strength, **place, "draw": draw},
        )
        for strength in strengths
        for number, draw in enumerate(draws, start=1)
    ]


def sizes(strengths: Iterable[float]) -> list[float]:
    """Return every size of the strengths, ascending: a random direction has no sign of its own."""
    return sorted({abs(strength) for strength in strengths})


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
    place = _place(label, config, unit)
    return Condition(label, role, component, "random" if drawn else None, place)


def with_controls(
    planned: Sequence[Condition],
    further: Sequence[Condition],
    num_draws: int,
    unit: str | None = None,
) -> list[Condition]:
    """Return ``further`` and what each of them means nothing without, unless it is planned."""
    result = list(further)
    for condition in further:
        acting = INTERVENTIONS.build(condition.intervention.name, condition.intervention.config)
        for name, control in acting.controls().items():
            for label, config in _draws(f"{condition.label}, {name}", control, num_draws).items():
                component = Component(name=control.name, config=config)
                place = _place(label, INTERVENTIONS.build(control.name, config).config, unit)
                kind = "random" if control.name == "random" else name
                added = Condition(label, "control", component, kind, place)
                if added.built() not in [c.built() for c in (*planned, *result)]:
                    result.append(added)
    return result


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


def at_layer(layer: int | str, component: Component) -> Component:
    """Return ``component`` at ``layer``, if it must name a block and names none."""
    field_of = INTERVENTIONS.load(component.name).Config.model_fields.get("layer")
    if field_of is None or not field_of.is_required() or "layer" in component.config:
        return component
    return Component(name=component.name, config={**component.config, "layer": layer})


def _draws(label: str, control: Component, num_draws: int) -> dict[str, dict[str, Any]]:
    """Return the configurations of a control by label: several draws of a random one."""
    if control.name != "random":
        return {label: control.config}
    return {
        f"{label} #{draw + 1}": {**control.config, "draw": draw}
        for draw in range(max(1, num_draws))
    }


def _place(label: str, config: Spec, unit: str | None) -> Place:
    names = ("strength", "unit", "layer", "draw")
    place = {name: getattr(config, name, None) for name in names}
    if place["unit"] != unit or place["layer"] == "auto":
        # the random directions are controls of equal length in one unit only, and two automatic
        # choices need not choose the same layer
        place["layer"] = None
    strength = place["strength"]
    series = label if strength is None else label.removesuffix(f" {strength:+g}")
    return {"series": series, **{k: v for k, v in place.items() if v is not None}}
