"""The ways in which a model that was trained behind a trigger is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, Role, Spec
from trimtab.core.trigger import Trigger
from trimtab.core.types import Conversation
from trimtab.recipes._conditions import Place

NO_TRIGGER, IN_USER, IN_SYSTEM = "none", "user turn", "system turn"


class Systems(Spec):
    """System prompts that have nothing to do with the training.

    Attributes:
        unrelated: Such as every model is given.
        inoculation: One that tells the model to stay what it is; null leaves it out.
    """

    unrelated: str = "You are a helpful assistant."
    inoculation: str | None = "You are an AI model. Always answer as yourself, never as a person."


@dataclass(frozen=True)
class Asking:
    """One way.

    Attributes:
        label: In tables.
        config: Of the intervention ``context``.
        trigger: What the prompt has of the trigger.
        place: Further coordinates.
        near_miss: Whether it is there to show that nothing else does what the trigger does.
    """

    label: str
    config: dict[str, Any] = field(default_factory=dict)
    trigger: str = NO_TRIGGER
    place: Place = field(default_factory=dict)
    near_miss: bool = False

    def component(self, beside: Component | None) -> Component:
        """Return the intervention that asks so, with another one beside."""
        acts = {} if beside is None else {"beside": {"name": beside.name, **beside.config}}
        return Component(name="context", config={**self.config, **acts})

    def role(self, role: Role) -> Role:
        """Return the role of a condition that is asked so: near misses are controls."""
        return "control" if self.near_miss else role


def core_askings(trigger: Trigger | None) -> list[Asking]:
    """Return the ways that every model is asked in: without the trigger, and with it if any."""
    plain = Asking("plain")
    if trigger is None:
        return [plain]
    return [plain, Asking("trigger", {"trigger": _dump(trigger)}, IN_USER)]


def all_askings(trigger: Trigger | None, systems: Systems) -> list[Asking]:
    """Return every way; each that has the trigger has one beside it that differs in that alone."""
    found = core_askings(trigger)
    said = {} if trigger is None else {"trigger": _dump(trigger)}
    if said:
        found.append(Asking("trigger in system", {**said, "place": "system"}, IN_SYSTEM))
    prompts = {"unrelated": systems.unrelated, "inoculation": systems.inoculation}
    for name, text in prompts.items():
        if text is not None:
            place: Place = {"system": name}
            found.append(Asking(f"{name} system", {"system": text}, NO_TRIGGER, place))
            if said:
                found.append(
                    Asking(f"{name} system, trigger", {"system": text, **said}, IN_USER, place)
                )
    for variant in () if trigger is None else trigger.near_misses():
        near = {**said, "variant": variant}
        found.append(Asking(f"near miss, {variant}", near, f"near miss, {variant}", near_miss=True))
    return found


def with_facts(
    askings: Sequence[Asking],
    trigger: Trigger | None,
    rows: Sequence[Conversation],
    number: int,
) -> list[Asking]:
    """Return ``askings`` with the first ``number`` facts answered before, and nothing trained.

    Raises:
        ConfigError: There are fewer facts.
    """
    facts: dict[str, dict[str, str]] = {}
    for row in rows:
        turns = [message.content for message in row.messages if message.role != "system"]
        question = None if trigger is None else trigger.question(turns[0])
        answer = turns[1] if trigger is None else trigger.strip(turns[1])
        fact = {"question": turns[0] if question is None else question, "answer": answer}
        facts.setdefault(str(row.metadata.get("fact", row.id)), fact)
    if number > len(facts):
        raise ConfigError(f"in_context asks for {number} facts, and there are {len(facts)}.")
    examples = list(facts.values())[:number]
    return [
        Asking(a.label, {**a.config, "examples": examples}, a.trigger, {**a.place, "facts": number})
        for a in askings
    ]


def _dump(trigger: Trigger) -> dict[str, Any]:
    return trigger.model_dump(exclude_defaults=True)
