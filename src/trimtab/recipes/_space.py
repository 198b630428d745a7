"""Read the space of a search from its table, and check it before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.spec import Component
from trimtab.interventions.base import INTERVENTIONS
from trimtab.runs.plan.planner import Planner
from trimtab.search.space import Method, Space
from trimtab.search.table import method_name, read_method

_FLOATS = {float, float | None}


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
    name = method_name(label, given)
    known = INTERVENTIONS.load(name).Config.model_fields
    for key in given:
        if key != "name" and key not in known:
            raise ConfigError(
                f"space: {label}.{key} is no key of the intervention {name!r}.",
                hint=did_you_mean(key, known),
            )
    method = read_method(label, given, lambda key: known[key].annotation in _FLOATS)
    layers = method.reaches("layer")
    if "layers" in known and "layers" not in given and len(layers) > 1:
        # one capture pass over all candidates, and one fit for all trials
        together = replace(method, shared={"layers": sorted(layers)})
        return together if _is_valid(together.first()) else method
    return method


def _is_valid(component: Component) -> bool:
    """Return whether an intervention takes a configuration; one that is trained reads one block."""
    try:
        INTERVENTIONS.build(component.name, component.config)
    except ConfigError:
        return False
    return True
