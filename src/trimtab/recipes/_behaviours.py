"""Behaviours as an experiment file names them: by name, or by a file of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, Spec
from trimtab.recipes._steering import RandomDirections
from trimtab.runs.plan.planner import Planner


class Behaviour(Spec):
    """One behaviour; ``refusal`` is short for ``{behaviour: refusal}``.

    Attributes:
        behaviour: Its name; by default that of its file.
        source: Its file, where it is not in the source of all.
    """

    behaviour: str
    source: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"behaviour": value}
        if isinstance(value, Mapping) and isinstance(value.get("source"), str):
            return {"behaviour": Path(value["source"]).stem, **value}
        return value

    @property
    def given(self) -> dict[str, str]:
        """What it says to the task ``caa_ab``."""
        own = {} if self.source is None else {"source": self.source}
        return {"behaviour": self.behaviour, **own}


def require_rows(planner: Planner, tasks: list[Component], kind: str) -> None:
    """Raise ConfigError where the rows of a task are of the other kind."""
    keys = ["behaviours", "side_effect"]
    given, other = keys if kind == "behaviour" else reversed(keys)
    for task in tasks:
        if planner.choice_sets(task, "test") != {kind}:
            name = task.config.get("behaviour", "the task")
            raise ConfigError(
                f"{name!r} (given in `{given}`) belongs into `{other}`.",
                hint="Rows of a behaviour have answer_matching_behavior, those of side effects "
                "have correct and incorrect.",
            )


def own_draws(index: int, behaviours: int, controls: RandomDirections) -> range:
    """Return the random directions of one behaviour, which no other shares.

    By default the first one is the behaviour's number, whatever their number, so that a default
    that asks for more of them extends a plan that has fewer.
    """
    draws = controls.most_draws
    if controls.random_draws is None:
        return range(index, index + draws * behaviours, behaviours)
    return range(index * draws, (index + 1) * draws)
