"""What every recipe offers: a configuration, and a pure function from it to cells."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, Field, field_validator, model_validator

from trimtab.core.config import apply_overrides, read_yaml, validate
from trimtab.core.errors import ConfigError, StoreError
from trimtab.core.files import read_bytes
from trimtab.core.folder import Folder, add_extension
from trimtab.core.spec import Component, ModelSpec, Spec
from trimtab.recipes._names import require_names
from trimtab.recipes._paths import anchored
from trimtab.runs.plan.planner import PlannedFragment, PlannedRun, Planner
from trimtab.runs.store.run import Run
from trimtab.runs.work.loop import Grow, Mirror, never, nowhere


class RecipeConfig(Spec):
    """What every experiment file says. Paths in it are relative to the file.

    Attributes:
        recipe: Name of the recipe.
        name: Name of the experiment, shown in reports.
        model: The subject model: an id, or a mapping with ``id``, ``dtype``, ``device``, ...
        models: Several in its place; everything is done with each, one after the other.
        headline: Metric that the finding is told in; null leaves it to the report.
        seed: Seed of fits, random streams and statistics.
        extensions: Folders with tasks, judges and interventions of your own.
    """

    recipe: str
    name: str
    model: ModelSpec | None = None
    models: tuple[ModelSpec, ...] = ()
    headline: str | None = None
    seed: int = Field(default=0, ge=0, lt=2**63)
    extensions: tuple[str, ...] = ()

    @field_validator("model", mode="before")
    @classmethod
    def _model_by_id(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value

    @field_validator("models", mode="before")
    @classmethod
    def _models_by_id(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            return value
        return [{"id": item} if isinstance(item, str) else item for item in value]

    @model_validator(mode="after")
    def _a_model(self) -> Self:
        if (self.model is None) == (not self.models):
            raise ValueError("give either `model` or `models`")
        return self

    @property
    def subjects(self) -> tuple[ModelSpec, ...]:
        """The models that everything is done with."""
        return self.models if self.model is None else (self.model,)


C = TypeVar("C", bound=RecipeConfig)


class Recipe(ABC, Generic[C]):
    """One kind of experiment.

    Attributes:
        Config: Its configuration.
        title: One line for ``trimtab list recipes``.
        baseline: Condition that all others are compared with.
        starter: What ``trimtab new`` puts into a file: the keys that must be given, with values
            that run on any laptop.
        starter_note: What stands above them: what such a file can't do yet, and which number to
            raise.
        starter_model: The model there.
    """

    Config: type[C]
    title: ClassVar[str]
    baseline: ClassVar[str] = "baseline"
    starter: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    starter_note: ClassVar[str] = ""
    starter_model: ClassVar[str] = "bundled:smollm2-135m-instruct"

    def __init__(self, config: C) -> None:
        """Keep ``config``."""
        self.config = config

    def planner(self, fit_on: Component | None = None) -> Planner:
        """Return a planner with what every experiment file says; ``fit_on`` as there."""
        config = self.config
        return Planner(
            recipe=config.recipe,
            name=config.name,
            model=config.subjects[0],
            fit_on=fit_on,
            seed=config.seed,
            headline=config.headline,
        )

    def plan(self) -> PlannedRun:
        """Return the cells, fits and judges of the experiment; loads data, never a model."""
        planner = self.planner()
        for number, model in enumerate(self.config.subjects):
            if number:
                planner.use(model)
            self.declare(planner)
        planned = planner.finish(self.baseline)
        require_names(planned.plan)
        return planned

    @abstractmethod
    def declare(self, planner: Planner) -> None:
        """Add the cells, fits and judges of the planner's model; called once for each model."""

    def foreseen(self) -> PlannedRun | None:
        """Return the results of a plan that grows, with stand-ins for what is not known yet.

        ``trimtab plan`` tells from it what the run will take and what it will be able to find; None
        where ``plan`` is all that there will be.
        """
        return None

    def outlook(self) -> str | None:
        """Return what a plan that grows may come to, in a sentence; None where it does not grow."""
        return None

    def later_tokens(self, planned: PlannedRun) -> int:
        """Return the most tokens that are written for what grows and is in no plan yet."""
        del planned
        return 0

    def estimates(self, planned: PlannedRun) -> Sequence[str]:
        """Return what ``trimtab plan`` tells of the recipe's own costs, a line each."""
        return ()

    def grow(self, run: Run) -> PlannedFragment | None:
        """Return the next fragment of a run whose units are all done; None if it is complete.

        A pure function of configuration and records, so that a killed and resumed run takes the
        same way. Usually ``planner.fragment(run.plan, reason)`` of a planner that was filled from
        what ``run`` holds.
        """
        return None

    def mirror(self, run: Run) -> Sequence[str]:
        """Show others how far ``run`` is, whose plan has grown; return lines to note.

        It decides nothing, and nothing depends on it.
        """
        return ()


RECIPES: Folder[Recipe[RecipeConfig]] = Folder("recipes", "recipe")


class _Head(BaseModel):
    """What must be known before the recipe's own configuration can be checked."""

    recipe: str
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Winner:
    """What a search found, to be measured elsewhere.

    Attributes:
        recipe: The experiment that measures it.
        finding: What the search found, in words.
    """

    recipe: Recipe[RecipeConfig]
    finding: str


def load_winner(path: Path, overrides: tuple[str, ...] = ()) -> Winner:
    """Return what ``best_configuration.json`` of a search says; raise ConfigError.

    Its vectors are fitted anew, as the search fitted them: on another model they must be.
    """
    try:
        found = json.loads(read_bytes(path))
    except StoreError as error:
        raise ConfigError(error.message, hint="--from takes a file that a search wrote.") from None
    except (ValueError, RecursionError):
        found = None
    experiment = found.get("experiment") if isinstance(found, dict) else None
    if not isinstance(experiment, dict):
        raise ConfigError(
            f"{path.absolute()} holds no winner of a search: it lacks `experiment`.",
            hint="--from takes report/search/best_configuration.json of a run of gsm8k_search.",
        )
    recipe = _build(path, anchored(experiment, path.parent), overrides)
    return Winner(recipe, str(found.get("finding", "")))


def load_recipe(path: Path, overrides: tuple[str, ...] = ()) -> Recipe[RecipeConfig]:
    """Return the recipe of a YAML file with ``key=value`` overrides; raise ConfigError."""
    return _build(path, anchored(read_yaml(path), path.parent), overrides)


def _build(
    path: Path, given: Mapping[str, Any], overrides: tuple[str, ...]
) -> Recipe[RecipeConfig]:
    data = apply_overrides(given, overrides)
    where = str(path.absolute())
    if data.get("recipe") is None:
        raise ConfigError(
            f"{where}: the key 'recipe' is missing.", hint=f"Known: {', '.join(RECIPES.names())}."
        )
    head = validate(_Head, data, where)
    for folder in head.extensions:
        add_extension(Path(folder))
    member: Any = RECIPES.load(head.recipe)
    recipe: Recipe[RecipeConfig] = member(validate(member.Config, data, where))
    return recipe


def grower(run: Run) -> Grow:
    """Return what grows the plan of ``run``: its recipe, where it has one that is known here."""
    recipe = _recipe_of(run)
    return never if recipe is None else recipe.grow


def grows(run: Run) -> bool:
    """Return whether the plan of ``run`` may grow, as far as its recipe is known here."""
    recipe = _recipe_of(run)
    return recipe is not None and type(recipe).grow is not Recipe.grow


def mirror_of(run: Run) -> Mirror:
    """Return what shows ``run`` to others as its plan grows: its recipe, as for ``grower``."""
    recipe = _recipe_of(run)
    return nowhere if recipe is None else recipe.mirror


def _recipe_of(run: Run) -> Recipe[RecipeConfig] | None:
    name = run.config.get("recipe")
    if name not in RECIPES.files():
        return None
    member: Any = RECIPES.load(name)
    recipe: Recipe[RecipeConfig] = member(validate(member.Config, run.config, str(run.dir)))
    return recipe
