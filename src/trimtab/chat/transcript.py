"""What was said, as JSON lines: one for each answer, written as it is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trimtab.chat.commands import Settings
from trimtab.chat.partner import Answer, Messages
from trimtab.core.errors import StoreError


class Transcript:
    """Answers of a session, kept from its beginning, and written once there is a file."""

    def __init__(self, identity: str) -> None:
        """Keep what the model is."""
        self._identity = identity
        self._rows: list[dict[str, Any]] = []
        self._path: Path | None = None
        self._conversation = 0

    def begin(self) -> None:
        """Count another conversation."""
        self._conversation += 1

    def save(self, path: Path) -> None:
        """Write what was said to a new file, and every later answer; raise StoreError."""
        try:
            with path.open("x", encoding="utf-8") as file:
                file.writelines(map(_line, self._rows))
        except FileExistsError:
            raise StoreError(f"{path} is there already.", hint="Name a new file.") from None
        except OSError as error:
            raise StoreError(f"{path} can't be written: {error.strerror}.") from None
        self._path = path

    def add(
        self,
        turn: int,
        tries: int,
        voice: str,
        messages: Messages,
        answer: Answer,
        settings: Settings,
    ) -> None:
        """Keep an answer with all that made it; raise StoreError where it can't be written."""
        row = {
            "conversation": self._conversation,
            "turn": turn,
            "try": tries,
            "voice": voice,
            "model": self._identity,
            "messages": [message.model_dump() for message in messages],
            "answer": answer.text,
            "finish_reason": answer.finish_reason,
            "num_tokens": answer.num_tokens,
            "strength": settings.strength,
            "triggered": settings.triggered,
            "seed": settings.seed,
            "sampling": settings.sampling.model_dump(),
        }
        self._rows.append(row)
        if self._path is None:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(row))
        except OSError as error:
            raise StoreError(f"{self._path} can't be written: {error.strerror}.") from None


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
