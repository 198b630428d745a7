"""What chat models said while data was built: a line for each reply, so nothing is asked twice.

A reply that is there is never asked for again, also not by a command that was killed and started
anew. A line that a killed writer left unfinished does not count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from trimtab.core.errors import DataError
from trimtab.core.files import append_synced, dumps, make_dir, read_bytes
from trimtab.core.keys import content_key
from trimtab.core.types import Chat, Message


@dataclass(frozen=True)
class Ask:
    """One thing that is asked.

    Attributes:
        name: What it is about, for whoever reads the file.
        prompt: The conversation up to the reply.
    """

    name: str
    prompt: tuple[Message, ...]


@dataclass
class Speaker:
    """A chat model that is opened when something is owed.

    Attributes:
        name: What tables call it.
        identity: What tells it from every other one: the hash of its content, or its address.
        opened: Opens it.
    """

    name: str
    identity: str
    opened: Callable[[], Chat]

    @cached_property
    def chat(self) -> Chat:
        """The model, opened once."""
        return self.opened()


class Replies:
    """The replies of one file.

    Attributes:
        path: JSON lines with ``key``, ``name``, ``model``, ``prompt`` and ``reply``.
        fresh: Replies that this process asked for.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there; raise DataError for a line that is no reply."""
        self.path = path
        self.fresh = 0
        self._known: dict[str, str | None] = {}
        if path.exists():
            self._read()

    def of(self, asks: Sequence[Ask], speaker: Speaker, max_tokens: int) -> list[str | None]:
        """Return the reply to each; None where the model can give none.

        Raises:
            JudgeError: An endpoint did not answer; what it did say is kept.
        """
        keys = [content_key([speaker.identity, ask.prompt, max_tokens], 32) for ask in asks]
        owed = [key not in self._known for key in keys]
        if any(owed):
            prompts = [ask.prompt for ask in asks]
            for number, reply in speaker.chat.complete(prompts, max_tokens, owed):
                self._keep(keys[number], asks[number], speaker, reply)
        return [self._known.get(key) for key in keys]

    def _keep(self, key: str, ask: Ask, speaker: Speaker, reply: str | None) -> None:
        if key in self._known:  # asked twice in one batch
            return
        row = {
            "key": key,
            "name": ask.name,
            "model": speaker.name,
            "prompt": [turn.model_dump() for turn in ask.prompt],
            "reply": reply,
        }
        make_dir(self.path.parent)
        append_synced(self.path, dumps(row, str(self.path)))
        self._known[key] = reply
        self.fresh += 1

    def _read(self) -> None:
        data = read_bytes(self.path)
        whole, _, torn = data.rpartition(b"\n")
        for number, line in enumerate(whole.split(b"\n"), start=1):
            row = _row(line)
            if row is not None:
                self._known.setdefault(row["key"], row["reply"])
            elif line.strip() and not self._was_torn(line):
                raise DataError(
                    f"{self.path.absolute()} line {number}: no reply of a model.",
                    hint="Give another --out, or restore the file.",
                )
        if torn:
            append_synced(self.path, b"\n")

    @staticmethod
    def _was_torn(line: bytes) -> bool:
        """Return whether a line is the beginning of a reply whose writer was killed."""
        head = b'{"key": "'
        return line.startswith(head[: len(line)]) and not line.endswith(b"}")


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    fits = isinstance(row, dict) and isinstance(row.get("key"), str) and "reply" in row
    return row if fits and isinstance(row["reply"], str | None) else None
