"""A model behind an OpenAI-compatible API: one voice, whose words come as the server sends them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trimtab.chat.partner import BASE, Answer, Asked
from trimtab.clients.streaming import stream_chat
from trimtab.core.errors import ConfigError
from trimtab.core.spec import Endpoint
from trimtab.core.types import FinishReason

_REASONS: dict[str, FinishReason] = {"stop": "eos", "length": "length"}


class ApiPartner:
    """A server's model; nothing can be done to its activations or weights."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Ask ``endpoint`` from now on."""
        self._endpoint = endpoint

    @property
    def identity(self) -> str:
        """The model's name at its address."""
        return self._endpoint.identity

    @property
    def voices(self) -> tuple[str, ...]:
        """``base`` alone."""
        return (BASE,)

    def answers(self, asked: Asked, say: Callable[[str], None]) -> Iterator[tuple[str, Answer]]:
        """Yield the answer; see ``Partner``."""
        if asked.strength != 1.0:
            raise ConfigError(
                "A model behind an API has no treatment whose strength could change.",
                hint="Use /strength 1.",
            )
        for voice, messages in asked.messages.items():
            pieces: list[str] = []
            for piece in stream_chat(self._endpoint, messages, asked.sampling, asked.seed):
                pieces.append(piece)
                if len(pieces) > 1:  # the last one says why it ended
                    say(pieces[-2])
            *said, reason = pieces
            yield voice, Answer("".join(said).strip(), _REASONS.get(reason, "unknown"))
