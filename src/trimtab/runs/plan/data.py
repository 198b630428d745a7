"""The data that a plan names: sample sets, pairs and conversations by the hash of their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.plan import DataRef
from trimtab.core.spec import Spec, Split
from trimtab.core.types import ContrastPair, Conversation, Record, Sample
from trimtab.tasks.base import Task

Kind = Literal["prompts", "pairs", "conversations"]


@dataclass
class PlanData:
    """Sets of rows by key.

    Attributes:
        samples: Task items, prompts of fits among them.
        pairs: Contrast pairs.
        conversations: Training examples.
    """

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    pairs: dict[str, list[ContrastPair]] = field(default_factory=dict)
    conversations: dict[str, list[Conversation]] = field(default_factory=dict)
    _asked: dict[tuple[Kind, Task[Spec], Split], str] = field(default_factory=dict)

    def ask(self, kind: Kind, task: Task[Spec], split: Split) -> str:
        """Return the key of what ``task`` has of a kind; a task is asked once for each.

        Raises:
            ConfigError: The task has none of that kind.
            DataError: Its data can't be read.
        """
        asked = (kind, task, split)
        if asked not in self._asked:
            if kind == "pairs":
                self._asked[asked] = self.add_pairs(task.pairs(split))
            elif kind == "conversations":
                self._asked[asked] = self.add_conversations(task.conversations(split))
            else:
                self._asked[asked] = self.add_samples(task.samples(split))
        return self._asked[asked]

    def give(
        self,
        kind: Literal["pairs", "conversations"],
        task: Task[Spec],
        split: Split,
        rows: list[Any],
    ) -> str:
        """Let ``rows`` be what ``task`` has of a kind; return their key.

        Raises:
            ConfigError: The task was asked for them before, and had others.
        """
        key = self.add_pairs(rows) if kind == "pairs" else self.add_conversations(rows)
        if self._asked.setdefault((kind, task, split), key) != key:
            raise ConfigError(
                f"The {kind} of {task.protocol!r} ({split}) were used before others were given in "
                "their place.",
                hint=f"Give a planner its {kind} before the cells that need them.",
            )
        return key

    def add_samples(self, rows: list[Sample]) -> str:
        """Keep a sample set; return its key."""
        key = content_key(rows)
        self.samples[key] = rows
        return key

    def add_pairs(self, rows: list[ContrastPair]) -> str:
        """Keep a set of contrast pairs; return its key."""
        key = content_key(rows)
        self.pairs[key] = rows
        return key

    def add_conversations(self, rows: list[Conversation]) -> str:
        """Keep a set of conversations; return its key."""
        key = content_key(rows)
        self.conversations[key] = rows
        return key

    def rows(self, ref: DataRef) -> Sequence[Sample | ContrastPair | Conversation]:
        """Return the rows that ``ref`` names."""
        if ref.kind == "pairs":
            return self.pairs[ref.key]
        return self.conversations[ref.key] if ref.kind == "conversations" else self.samples[ref.key]

    def folders(self) -> dict[str, Mapping[str, Sequence[Record]]]:
        """Return the sets by the folder they are kept in."""
        return {
            "samples": self.samples,
            "pairs": self.pairs,
            "conversations": self.conversations,
        }
