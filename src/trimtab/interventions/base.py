"""What every intervention offers: what it needs fitted, and what it does to a row of work.

Nothing is touched by default, so the baseline and strength 0 are no special cases.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from trimtab.core.folder import Folder
from trimtab.core.needs import Need
from trimtab.core.spec import Component, Output, Spec
from trimtab.core.trigger import Trigger
from trimtab.core.types import Message
from trimtab.core.workload import Workload
from trimtab.steering.fitted import FitContext, FitData, Fitted

if TYPE_CHECKING:
    from trimtab.engine.request import DynamicStrength, Edit
    from trimtab.models.lowrank import Adapter
    from trimtab.models.memory import ModelCard

C = TypeVar("C", bound=Spec)
Messages = tuple[Message, ...]


def unchanged(messages: Messages) -> Messages:
    """Return ``messages``: what is asked under most interventions."""
    return messages


@dataclass(frozen=True)
class Treatment:
    """What is done to every row of a condition.

    Attributes:
        prompt: Returns what the model is asked instead of a sample's messages. Judges never see it.
        edits: What is added to activations.
        dynamic: Steering with a strength of its own at each token, in the place of edits.
        adapter: A low-rank change of the weights.
    """

    prompt: Callable[[Messages], Messages] = unchanged
    edits: tuple[Edit, ...] = ()
    dynamic: DynamicStrength | None = None
    adapter: Adapter | None = None


@runtime_checkable
class NamesBlocks(Protocol):
    """A configuration that says which blocks it needs, so that planning can compare the model."""

    def blocks(self) -> tuple[int, ...]:
        """Return every 0-based block that is read or edited."""
        ...


class Intervention(ABC, Generic[C]):
    """One intervention.

    Attributes:
        VERSION: Part of every key; raise it when the effect of a configuration changes.
        OUTPUTS: What it can act on: written texts, scored options.
        MAKES: Names of the artifacts that its ``fit`` makes, whatever it is given.
        SEEDED: Whether its fit depends on the experiment's seed, whatever its configuration.
        Config: Its configuration.
    """

    VERSION: ClassVar[int] = 1
    OUTPUTS: ClassVar[tuple[Output, ...]] = ("text", "options")
    MAKES: ClassVar[tuple[str, ...]] = ("vector",)
    SEEDED: ClassVar[bool] = True
    Config: type[C]

    def __init__(self, config: C) -> None:
        """Keep ``config``; nothing is fitted or loaded here."""
        self.config = config

    def check_model(self, card: ModelCard) -> None:
        """Raise ConfigError or DataError if it can't act on such a model; asked when planning."""
        return

    def needs(self) -> dict[str, Need]:
        """Return the artifacts that must be fitted before it can act, by the name it knows them by.

        Cells that differ only in how an artifact is applied return equal needs and so share one
        artifact; a control may name another intervention's fit.
        """
        return {}

    def determines(self, component: Component) -> dict[str, Any]:
        """Return what determines its fit as ``component``, beside model, inputs and seed."""
        return {"fit": [component.name, self.VERSION, determining(component)]}

    @property
    def trigger(self) -> Trigger | None:
        """The trigger that it asks with, or with a near miss of; None if it asks without any."""
        return None

    def check_input(self, data: FitData) -> None:
        """Raise DataError if ``fit`` can't use this input; asked before a model is loaded."""
        return

    @property
    def seeded(self) -> bool:
        """Whether its fit depends on the experiment's seed."""
        return self.SEEDED

    def makes(self, data: Mapping[str, FitData]) -> tuple[str, ...]:
        """Return the names of the artifacts that ``fit`` makes of ``data``, its inputs by name."""
        return self.MAKES

    def workload(self, data: Mapping[str, FitData]) -> Workload | None:
        """Return what ``fit`` computes to learn from ``data``; None where it learns in no steps."""
        return None

    def fit(self, context: FitContext) -> Fitted | dict[str, Fitted] | None:
        """Make the artifacts that ``makes`` names: one, or several by name.

        None says that the fit wrote into ``context.folder`` itself, ``artifact.json`` last, and
        called ``context.fence`` before each write. Called only where a need names this
        intervention.
        """
        raise AssertionError(f"{type(self).__name__} has nothing to fit")

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return what is done to each row, given the artifacts that ``needs`` names."""
        return Treatment()

    def controls(self) -> dict[str, Component]:
        """Return what is always measured beside this one, by name: a recipe adds it by itself."""
        return {}

    def zeroed(self) -> dict[str, Any]:
        """Return the settings of its strength 0, where it must give the baseline's rows.

        What has to be fitted stays the same; empty if it has no strength.
        """
        return {"strength": 0.0} if "strength" in self.Config.model_fields else {}

    def strengths(self, fitted: Mapping[str, Fitted]) -> dict[str, float]:
        """Return the strength in every unit: ``raw``, ``unit`` and ``relative``."""
        return {}


INTERVENTIONS: Folder[Intervention[Spec]] = Folder("interventions", "intervention")


def identity_of(component: Component) -> list[Any]:
    """Return what keys hold of an intervention that another one takes: no path is in it."""
    built = INTERVENTIONS.build(component.name, component.config)
    return [component.name, built.VERSION, built.config]


def determining(component: Component) -> dict[str, Any]:
    """Return an intervention's settings without those that are no part of a key, such as a path."""
    fields = INTERVENTIONS.load(component.name).Config.model_fields
    return {name: v for name, v in component.config.items() if not fields[name].exclude}
