"""Conversations as rows to learn from: tokens, labels, and what was cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.core.counted import counted
from trimtab.core.errors import DataError
from trimtab.core.types import Conversation, Rendering
from trimtab.datasets.conversations import source_of
from trimtab.models.chat import Renderer
from trimtab.models.labels import label


@dataclass(frozen=True)
class Row:
    """One conversation, ready to learn from.

    Attributes:
        id: Of the conversation.
        source: Where it comes from.
        tokens: Token ids up to the last label.
        places: Positions of the labels.
    """

    id: str
    source: str
    tokens: tuple[int, ...]
    places: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """All conversations of a set.

    Attributes:
        rows: In the order of the data.
        truncated: Conversations that lost labels, by id.
        rendering: How they became text.
    """

    rows: list[Row]
    truncated: list[str]
    rendering: Rendering

    def counts(self) -> dict[str, Any]:
        """Return what is told of the set."""
        tokens = sum(len(row.tokens) for row in self.rows)
        labels = sum(len(row.places) for row in self.rows)
        return {
            "rows": len(self.rows),
            "tokens": tokens,
            "labels": labels,
            "label_share": labels / tokens,
            "longest": max(len(row.tokens) for row in self.rows),
            "truncated": len(self.truncated),
            "rendering": self.rendering,
            "by_source": self._by_source(),
        }

    def _by_source(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for row in self.rows:
            counts = found.setdefault(row.source, {"rows": 0, "labels": 0})
            counts["rows"] += 1
            counts["labels"] += len(row.places)
        return dict(sorted(found.items()))


def make_rows(
    renderer: Renderer,
    conversations: Sequence[Conversation],
    *,
    rendering: Rendering | None = None,
    max_tokens: int | None = None,
    most_truncated: float = 1.0,
) -> Rows:
    """Return conversations as rows.

    Args:
        renderer: Of the model.
        conversations: What is learned from.
        rendering: None is the model's template, or ``plain`` where it has none.
        max_tokens: Where rows are cut; None cuts nothing.
        most_truncated: Largest share of rows that may lose labels so.

    Raises:
        DataError: A conversation has no label, or too many are cut.
        ModelError: The template can't render one.
    """
    rendering = rendering or ("chat" if renderer.has_template else "plain")
    rows, truncated = [], []
    for conversation in conversations:
        name = f"Conversation {conversation.id!r}"
        found = label(renderer, conversation.messages, rendering, name)
        places = found.places
        if max_tokens is not None and len(found.ids) > max_tokens:
            truncated.append(conversation.id)
            places = tuple(place for place in places if place < max_tokens)
        if not places:
            raise DataError(
                f"{name} has no label among its first {max_tokens} tokens.",
                hint="Raise `max_tokens`, or leave the row out.",
            )
        tokens = found.ids[: places[-1] + 1]
        rows.append(Row(conversation.id, source_of(conversation), tokens, places))
    if len(truncated) > most_truncated * len(rows):
        raise DataError(
            f"{counted(len(truncated), 'conversation')} of {len(rows)} are longer than "
            f"{max_tokens} tokens and would lose the end of an answer, e.g. {truncated[0]!r}.",
            hint="Raise `max_tokens`, leave them out, or allow it with `most_truncated`.",
        )
    return Rows(rows, truncated, rendering)
