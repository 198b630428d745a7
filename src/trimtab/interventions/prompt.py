"""Ask the model differently: a system prompt, the control that every steering vector must beat."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from trimtab.core.spec import Spec
from trimtab.core.types import Message
from trimtab.interventions.base import Intervention, Treatment
from trimtab.steering.fitted import Fitted

__all__ = ["Prompt"]


class _Config(Spec):
    """What is said.

    Attributes:
        system: Text of the system turn; put before one that is already there.
    """

    system: str = Field(min_length=1)


class Prompt(Intervention[_Config]):
    """Puts a system turn before the conversation. Judges never see it."""

    Config = _Config

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return the changed prompt."""
        return Treatment(prompt=self.asked)

    def asked(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Return ``messages`` with the system text in front."""
        text, rest = self.config.system, messages
        if messages and messages[0].role == "system":
            text, rest = f"{text}\n\n{messages[0].content}", messages[1:]
        return (Message(role="system", content=text), *rest)
