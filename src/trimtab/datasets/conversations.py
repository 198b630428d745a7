"""Read conversations to train on, in the forms in which people keep them.

A row of JSON lines holds ``messages`` (turns with ``role`` and ``content``), ``conversations``
(turns with ``from`` and ``value``), or ``prompt`` and ``completion``; and if you like an ``id`` and
``metadata``. Other keys are kept as metadata where nothing of that name is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from trimtab.core.errors import DataError
from trimtab.core.keys import content_key
from trimtab.core.types import Conversation, Message
from trimtab.datasets.fields import shown
from trimtab.datasets.files import read_jsonl
from trimtab.datasets.hub import hub_rows, is_hub_id

Role = Literal["system", "user", "assistant"]

_FORMS = ("messages", "conversations", "prompt")
_TURNS = ("messages", "conversations", "prompt", "completion")
_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "developer": "system",
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
}


def read_conversations(path: Path, given_as: str, *, answered: bool = False) -> list[Conversation]:
    """Return the conversations of a file, in its order.

    A row without an id is named by its content; one that occurs again gets a number.

    Args:
        path: JSON lines, or the id of a data set on the hub.
        given_as: Where the path was given, for messages.
        answered: Every conversation must have an answer, as for training.

    Raises:
        DataError: It can't be read, a row has none of the forms or lacks an answer, or two share an
            id; the message names file and line.
    """
    found: list[Conversation] = []
    copies: Counter[str] = Counter()
    ids: dict[str, str] = {}
    on_hub = is_hub_id(str(path))
    rows = hub_rows(str(path), given_as) if on_hub else read_jsonl(path, given_as)
    for where, row in rows:
        messages = _messages(row, where)
        if answered and not any(message.role == "assistant" for message in messages):
            raise DataError(
                f"{where}: the conversation has no assistant turn, so there is nothing to learn.",
                hint="Give it an answer, or leave the row out.",
            )
        metadata = {key: value for key, value in row.items() if key not in (*_TURNS, "id")}
        inner = metadata.pop("metadata", None)
        if inner is not None and not isinstance(inner, dict):
            raise DataError(f"{where}: 'metadata' must be an object, it is {str(inner)[:40]!r}.")
        name = row.get("id")
        if name is None:
            content = f"c-{content_key(messages, 12)}"
            copies[content] += 1
            name = content if copies[content] == 1 else f"{content}-{copies[content]}"
        name = str(name)
        if name in ids:
            raise DataError(f"{where}: the id {name!r} is that of {ids[name]}, too.")
        ids[name] = where
        made = Conversation(id=name, messages=messages, metadata={**metadata, **(inner or {})})
        found.append(made)
    if not found:
        raise DataError(f"{path.absolute()} holds no conversations.")
    return found


def source_of(conversation: Conversation) -> str:
    """Return which source a conversation is of: ``source`` of its metadata, or ``all``."""
    source = conversation.metadata.get("source")
    return source if isinstance(source, str) and source else "all"


def _messages(row: Mapping[str, Any], where: str) -> tuple[Message, ...]:
    form = next((key for key in _FORMS if row.get(key) is not None), None)
    if form is None:
        raise DataError(
            f"{where}: none of 'messages', 'conversations' and 'prompt' is given (found: "
            f"{', '.join(map(str, row))}).",
        )
    if form != "prompt":
        return _turns(row[form], form, where)
    turns: list[Message] = []
    sides: tuple[tuple[str, Role], ...] = (("prompt", "user"), ("completion", "assistant"))
    for key, role in sides:
        value = row.get(key)
        if isinstance(value, str):
            turns.append(Message(role=role, content=value))
        elif isinstance(value, list):
            turns += _turns(value, key, where)
        else:
            raise DataError(
                f"{where}: {key!r} must be a text or a list of turns, it is {shown(row, key)}."
            )
    return tuple(turns)


def _turns(value: Any, key: str, where: str) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise DataError(f"{where}: {key!r} must be a list of turns, it is {str(value)[:40]!r}.")
    turns = []
    for number, turn in enumerate(value, start=1):
        if not isinstance(turn, dict):
            raise DataError(f"{where}: turn {number} must be an object, it is {str(turn)[:40]!r}.")
        role = turn.get("role", turn.get("from"))
        content = _content(turn.get("content", turn.get("value")))
        known = _ROLES.get(str(role))
        if known is None:
            raise DataError(
                f"{where}: turn {number} has the role {role!r}, and it must be one of "
                f"{', '.join(_ROLES)}."
            )
        if content is None:
            raise DataError(f"{where}: turn {number} ({role}) holds no text.")
        turns.append(Message(role=known, content=content))
    return tuple(turns)


def _content(value: Any) -> str | None:
    """Return the text of a turn, which may come in parts; None if there is any other part."""
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in value]
        texts = [part for part in parts if isinstance(part, str)]
        return "".join(texts) if len(texts) == len(parts) else None
    return value if isinstance(value, str) else None
