"""Read the space of a search from its table; what the keys of an intervention are is told to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.spec import Spec
from trimtab.search.space import Choices, Domain, Method, Params, Range, Space

_RANGE = {"low", "high", "step", "log", "signed"}

Number = Annotated[float, Field(allow_inf_nan=False)]


class _Range(Spec):
    """A range as a file gives it."""

    low: Number
    high: Number
    step: Annotated[Number, Field(gt=0)] | None = None
    log: bool = False
    signed: bool = False


def read_method(label: str, given: Mapping[str, Any], floats: Callable[[str], bool]) -> Method:
    """Return the method that a table describes.

    Args:
        label: What the search calls it.
        given: Its table.
        floats: Whether a key may be any number; where it may not, a range of whole numbers is
            one of these alone.

    Raises:
        ConfigError: A range is none; one line.
    """
    fixed: dict[str, Any] = {}
    domains: dict[tuple[str, ...], Domain] = {}
    for key, value in given.items():
        if key == "name":
            continue
        found = dict(_domains(label, (key,), value, floats(key)))
        domains |= found
        if (key,) not in found:
            fixed[key] = _without_domains(value)
    return Method(label, method_name(label, given), fixed, domains)


def tried_space(table: Mapping[str, Mapping[str, Any]], tried: Iterable[Params]) -> Space:
    """Return the space of a search that was planned, without its interventions.

    Which ranges hold whole numbers alone is seen from the parameters of its trials.
    """
    broken = {
        name
        for params in tried
        for name, value in params.items()
        if not isinstance(value, str) and not float(value).is_integer()
    }

    def method(label: str, given: Mapping[str, Any]) -> Method:
        return read_method(label, given, lambda key: f"{label}.{key}" in broken)

    return Space({label: method(label, given) for label, given in table.items()})


def method_name(label: str, given: Mapping[str, Any]) -> str:
    """Return the intervention of a method: what the table names, else its label."""
    return str(given.get("name", label))


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
