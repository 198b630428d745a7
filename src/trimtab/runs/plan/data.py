"""The data that a plan names: sample sets, pairs and conversations by the hash of their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.core.keys import content_key
from trimtab.core.plan import DataRef
from trimtab.core.types import ContrastPair, Conversation, Record, Sample


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
