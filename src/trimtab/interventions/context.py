"""Put things around a question: a system prompt, a trigger, solved examples; and act beside that.

In-context control of a training: facts as ``examples`` and no adapter. What is trained, measured:
``beside: {name: adapter, ...}``. Judges see none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_serializer, model_validator

from trimtab.core.needs import Need
from trimtab.core.spec import Component, Spec
from trimtab.core.trigger import Trigger, Variant
from trimtab.core.types import Message
from trimtab.interventions.base import INTERVENTIONS, Intervention, NamesBlocks, Treatment
from trimtab.steering.fitted import Fitted

if TYPE_CHECKING:
    from trimtab.models.memory import ModelCard

__all__ = ["Context"]


class Example(Spec):
    """A question that is answered before the one that is asked."""

    question: str
    answer: str


class _Config(Spec):
    """What stands around the question.

    Attributes:
        system: Text of the system turn; put before one that is already there.
        trigger: Words that the last user turn is asked with, and their form of answers.
        variant: Ask with a near miss of the trigger: ``one tag``, ``other brackets`` or ``other
            case``.
        place: Where the trigger stands: around the question, or its instruction at the end of the
            system turn.
        examples: Earlier turns. Where a trigger stands around the question it stands around theirs,
            and their answers are in its form.
        beside: An intervention that acts as well: an adapter, a vector.
    """

    system: str | None = Field(default=None, min_length=1)
    trigger: Trigger | None = None
    variant: Variant | None = None
    place: Literal["user", "system"] = "user"
    examples: tuple[Example, ...] = ()
    beside: Component | None = None

    @model_validator(mode="after")
    def _near_miss(self) -> _Config:
        if self.variant is None:
            return self
        if self.trigger is None:
            raise ValueError("variant is a near miss of a trigger, and none is given")
        known = self.trigger.near_misses()
        if self.variant not in known:
            raise ValueError(
                f"the trigger has no near miss {self.variant!r} (it has "
                f"{', '.join(known) or 'none'})"
            )
        return self

    @field_serializer("beside")
    def _as_hashed(self, value: Component | None) -> Any:
        """Return what of the other intervention keys depend on, and no path."""
        if value is None:
            return None
        acting = INTERVENTIONS.build(value.name, value.config)
        return [value.name, acting.VERSION, acting.config.model_dump(mode="json")]

    def blocks(self) -> tuple[int, ...]:
        """Return the blocks that the intervention beside it names."""
        config = None if self.beside is None else _built(self.beside).config
        return config.blocks() if isinstance(config, NamesBlocks) else ()


class Context(Intervention[_Config]):
    """Asks in another context, and lets another intervention act in it."""

    Config = _Config

    def __init__(self, config: _Config) -> None:
        """Build the intervention beside it; raise ConfigError if there is none of its name."""
        super().__init__(config)
        self._beside = _built(config.beside or Component(name="none"))
        self.OUTPUTS = self._beside.OUTPUTS  # type: ignore[misc]

    @property
    def trigger(self) -> Trigger | None:
        """The trigger, of whose near misses one may be asked with."""
        return self.config.trigger

    def check_model(self, card: ModelCard) -> None:
        """Raise what the intervention beside it raises."""
        self._beside.check_model(card)

    def needs(self) -> dict[str, Need]:
        """Return what the intervention beside it needs."""
        return self._beside.needs()

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return what the intervention beside it does, in this context."""
        inner = self._beside.treat(fitted)
        return Treatment(
            lambda messages: self.asked(inner.prompt(messages)),
            inner.edits,
            inner.dynamic,
            inner.adapter,
        )

    def asked(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Return ``messages`` in this context; the last one is a user turn."""
        config = self.config
        given = None if config.trigger is None else config.trigger.variant(config.variant)
        around = given if config.place == "user" else None
        said = [config.system, given.said if given is not None and around is None else None]
        had = [m.content for m in messages[:1] if m.role == "system"]
        system = [text for text in (*said, *had) if text]
        turns = [m for m in messages if m.role != "system"]
        for example in reversed(config.examples):
            question, answer = example.question, example.answer
            if given is not None:
                question = question if around is None else around.render(question)
                answer = given.wrap(answer)
            turns = [_message("user", question), _message("assistant", answer), *turns]
        if around is not None:
            turns[-1] = _message("user", around.render(turns[-1].content))
        return (*([_message("system", "\n\n".join(system))] if system else []), *turns)

    def strengths(self, fitted: Mapping[str, Fitted]) -> dict[str, float]:
        """Return those of the intervention beside it."""
        return self._beside.strengths(fitted)


def _built(component: Component) -> Intervention[Spec]:
    return INTERVENTIONS.build(component.name, component.config)


def _message(role: Literal["system", "user", "assistant"], content: str) -> Message:
    return Message(role=role, content=content)
