"""Read the space of a search from its table, and check it before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.spec import Component, Spec
from trimtab.interventions.base import INTERVENTIONS
from trimtab.runs.plan.planner import Planner
from trimtab.search.space import Choices, Domain, Method, Range, Space

_RANGE = {"low", "high", "step", "log", "signed"}
_FLOATS = {float, float | None}

Number = Annotated[float, Field(allow_inf_nan=False)]


class _Range(Spec):
    """A range as a file gives it."""

    low: Number
    high: Number
    step: Annotated[Number, Field(gt=0)] | None = None
    log: bool = False
    signed: bool = False


def read_space(table: Mapping[str, Mapping[str, Any]]) -> Space:
    """Return the space that a table describes.

    Raises:
        ConfigError: A method, a key or a range is none; one line, with the nearest name.
    """
    return Space({label: _method(label, given) for label, given in table.items()})


def check_space(space: Space, planner: Planner, task: Component) -> None:
    """Try every end of every setting, and the fit of each method.

    Raises:
        ConfigError: An intervention or the model doesn't take a setting, or it can't act on
            ``task``.
        DataError: A fit can't use its data.
    """
    for method in space.methods.values():
        for what, component in method.corners():
            try:
                planner.intervention(component).needs()
            except ConfigError as error:
                raise ConfigError(f"space: {what}: {error.message}", hint=error.hint) from None
        planner.check(method.first(), task, method.label)


def _method(label: str, given: Mapping[str, Any]) -> Method:
    name = str(given.get("name", label))
    known = INTERVENTIONS.load(name).Config.model_fields
    fixed: dict[str, Any] = {}
    domains: dict[tuple[str, ...], Domain] = {}
    for key, value in given.items():
        if key == "name":
            continue
        if key not in known:
            raise ConfigError(
                f"space: {label}.{key} is no key of the intervention {name!r}.",
                hint=did_you_mean(key, known),
            )
        floats = known[key].annotation in _FLOATS
        found = dict(_domains(label, (key,), value, floats))
        domains |= found
        if (key,) not in found:
            fixed[key] = _without_domains(value)
    method = Method(label, name, fixed, domains)
    layers = method.reaches("layer")
    if "layers" in known and "layers" not in given and len(layers) > 1:
        # one capture pass over all candidates, and one fit for all trials
        return Method(label, name, fixed, domains, {"layers": sorted(layers)})
    return method


def _domains(
    label: str, path: tuple[str, ...], value: Any, floats: bool
) -> Iterator[tuple[tuple[str, ...], Domain]]:
    """Yield what may vary in a value, by its path."""
    if not isinstance(value, Mapping):
        return
    name = ".".join((label, *path))
    if set(value) == {"choices"}:
        choices = value["choices"]
        if not isinstance(choices, list) or not choices:
            raise ConfigError(f"space: {name}.choices must be a list of one value or more.")
        yield path, Choices(tuple(choices))
    elif "low" in value or "high" in value:
        yield path, _range(name, value, floats)
    else:
        for key, inner in value.items():
            yield from _domains(label, (*path, str(key)), inner, floats=True)


def _range(name: str, value: Mapping[str, Any], floats: bool) -> Range:
    unknown = sorted(set(value) - _RANGE)
    if unknown:
        hint = did_you_mean(unknown[0], _RANGE)
        raise ConfigError(f"space: {name} has the unknown key {unknown[0]!r}.", hint=hint)
    try:
        given = TypeAdapter(_Range).validate_python(dict(value))
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join((name, *map(str, first["loc"])))
        raise ConfigError(f"space: {at}: {first['msg']}.") from None
    if given.low > given.high:
        raise ConfigError(
            f"space: {name} is empty: low = {given.low:g} is above high = {given.high:g}."
        )
    if given.log and (given.low <= 0 or given.step is not None):
        raise ConfigError(
            f"space: {name} is logarithmic, which wants a low above 0 and no step.",
            hint="With `signed: true` both signs of a positive range are tried.",
        )
    if given.signed and given.low < 0:
        raise ConfigError(f"space: {name} is signed, and its low = {given.low:g} has a sign.")
    ends = (value["low"], value["high"], value.get("step", 1))
    whole = not floats and all(isinstance(end, int) for end in ends)
    step = given.step
    high = given.high
    if step is not None:  # Optuna wants a range that its steps end at
        high = given.low + math.floor((given.high - given.low) / step + 1e-9) * step
    return Range(given.low, round(high, 12), whole, step, given.log, given.signed)


def _without_domains(value: Any) -> Any:
    """Return a value without what varies in it."""
    if not isinstance(value, Mapping):
        return value
    return {
        key: _without_domains(inner)
        for key, inner in value.items()
        if not (isinstance(inner, Mapping) and ({"choices", "low", "high"} & set(inner)))
    }
