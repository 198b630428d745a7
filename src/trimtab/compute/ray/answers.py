"""What a worker on a cluster answers: how a unit ended, in a few words. Results are on the disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ending = Literal["done", "held", "judge", "unanswered", "memory", "failed", "stopped"]


@dataclass(frozen=True)
class Answer:
    """How a unit ended.

    Attributes:
        how: It is done; another worker holds it; its judge failed; its judge has no answer to some
            of it; memory was short; it failed otherwise; the worker was told to end.
        line: What failed, or who holds it.
        code: Exit code of what failed.
        notes: What a person should know besides, a line each.
    """

    how: Ending
    line: str = ""
    code: int = 0
    notes: tuple[str, ...] = ()
