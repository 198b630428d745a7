"""What every recipe offers: a configuration, and a pure function from it to cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, field_validator

from trimtab.core.config import apply_overrides, read_yaml, validate
from trimtab.core.errors import ConfigError
from trimtab.core.folder import Folder, add_extension
from trimtab.core.spec import Component, ModelSpec, Spec
from trimtab.runs.plan.planner import PlannedRun, Planner


class RecipeConfig(Spec):
    """What every experiment file says.

    Attributes:
        recipe: Name of the recipe.
        name: Name of the experiment, shown in reports.
        model: The subject model: an id, or a mapping with ``id``, ``dtype``, ``device``, ...
        seed: Seed of fits, random streams and statistics.
        extensions: Folders with tasks, judges and interventions of your own, relative to where the
            command is given.
    """

    recipe: str
    name: str
    model: ModelSpec
    seed: int = 0
    extensions: tuple[str, ...] = ()

    @field_validator("model", mode="before")
    @classmethod
    def _model_by_id(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value


C = TypeVar("C", bound=RecipeConfig)


class Recipe(ABC, Generic[C]):
    """One kind of experiment.

    Attributes:
        Config: Its configuration.
        title: One line for ``trimtab list recipes``.
    """

    Config: type[C]
    title: ClassVar[str]

    def __init__(self, config: C) -> None:
        """Keep ``config``."""
        self.config = config

    def planner(self, fit_on: Component | None = None) -> Planner:
        """Return a planner with what every experiment file says; ``fit_on`` as there."""
        config = self.config
        return Planner(
            recipe=config.recipe,
            name=config.name,
            model=config.model,
            fit_on=fit_on,
            seed=config.seed,
        )

    @abstractmethod
    def plan(self) -> PlannedRun:
        """Return the cells, artifacts and judges of the experiment; loads data, never a model."""


RECIPES: Folder[Recipe[RecipeConfig]] = Folder("recipes", "recipe")


class _Head(BaseModel):
    """What must be known before the recipe's own configuration can be checked."""

    recipe: str
    extensions: tuple[str, ...] = ()


def load_recipe(path: Path, overrides: tuple[str, ...] = ()) -> Recipe[RecipeConfig]:
    """Return the recipe of a YAML file with ``key=value`` overrides; raise ConfigError."""
    data = apply_overrides(read_yaml(path), overrides)
    if data.get("recipe") is None:
        raise ConfigError(
            f"{path}: the key 'recipe' is missing.", hint=f"Known: {', '.join(RECIPES.names())}."
        )
    head = validate(_Head, data, str(path))
    for folder in head.extensions:
        add_extension(Path(folder))
    member: Any = RECIPES.load(head.recipe)
    recipe: Recipe[RecipeConfig] = member(validate(member.Config, data, str(path)))
    return recipe
