"""What every intervention offers: it may touch the prompt and the activations of a model.

Both are left alone by default, so the baseline and strength 0 are no special cases.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from trimtab.core.folder import Folder
from trimtab.core.spec import Component, Output, Spec
from trimtab.core.types import ContrastPair, Message, Rendering
from trimtab.steering.fitted import FitContext, Fitted

if TYPE_CHECKING:
    from trimtab.engine.request import DynamicStrength, Edit

C = TypeVar("C", bound=Spec)


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
        Config: Its configuration.
    """

    VERSION: ClassVar[int] = 1
    OUTPUTS: ClassVar[tuple[Output, ...]] = ("text", "options")
    Config: type[C]

    def __init__(self, config: C) -> None:
        """Keep ``config``; nothing is fitted or loaded here."""
        self.config = config

    def prompt(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Return what the model is asked instead of ``messages``."""
        return messages

    def fitted_by(self) -> Component | None:
        """Return the component whose fit this one needs, reduced to what determines the fit.

        Cells that differ only in how an artifact is applied return equal components and so share
        one artifact; a control may name another intervention's fit. None needs no fit.
        """
        return None

    def selects(self) -> bool:
        """Whether ``fit`` needs the pairs of the select split, to choose or to measure."""
        return False

    def check_pairs(self, pairs: Sequence[ContrastPair], rendering: Rendering) -> None:
        """Raise DataError if ``fit`` can't use these pairs of one of its splits.

        Planning asks before a model is loaded, for the fit split and, if ``selects``, the other.
        """
        return

    def fit(self, context: FitContext) -> Fitted:
        """Make the artifact; called only if ``fitted_by`` names this intervention."""
        raise AssertionError(f"{type(self).__name__} has nothing to fit")

    def edits(self, fitted: Fitted | None) -> tuple[Edit, ...]:
        """Return the edits of each row, given the artifact that ``fitted_by`` asked for."""
        return ()

    def dynamic(self, fitted: Fitted | None) -> DynamicStrength | None:
        """Return steering with a strength of its own at each token, in the place of edits."""
        return None

    def swaps_prompts(self) -> bool:
        """Whether vectors that a prompt decides are made of another sample's prompt: a control."""
        return False

    def controls(self) -> dict[str, Component]:
        """Return what is always measured beside this one, by name: a recipe adds it by itself."""
        return {}

    def strengths(self, fitted: Fitted | None) -> dict[str, float]:
        """Return the strength in every coordinate: ``raw``, ``unit`` and ``relative``."""
        return {}


INTERVENTIONS: Folder[Intervention[Spec]] = Folder("interventions", "intervention")


def determining(component: Component) -> dict[str, Any]:
    """Return an intervention's settings without those that are no part of a key, such as a path."""
    fields = INTERVENTIONS.load(component.name).Config.model_fields
    return {name: v for name, v in component.config.items() if not fields[name].exclude}
