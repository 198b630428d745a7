"""Actors of a run, and what each of them does now, as far as that is known here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trimtab.compute.ray.cluster import Cluster
from trimtab.runs.work.units import Unit

STOP_S = 5.0
"""How long actors may go on with a row when they are told to end."""

_POLL_S = 0.2


@dataclass(eq=False)
class Member:
    """One actor.

    Attributes:
        actor: Its handle.
        model: Identity of the model that it was placed for; None for units that load none.
        answer: What is awaited of it; None while it does nothing.
        unit: The unit that it was given last, while it is awaited.
        owed: What that unit owed when it was given.
        since: When it was made, or was given that, by a steady clock.
        placed: Whether it has said that it is there.
    """

    actor: Any
    model: str | None
    answer: Any
    unit: Unit | None = None
    owed: int = 0
    since: float = field(default_factory=time.monotonic)
    placed: bool = False

    @property
    def idle(self) -> bool:
        """Whether it is there and does nothing."""
        return self.placed and self.answer is None

    def give(self, unit: Unit, owed: int) -> None:
        """Have it do a unit."""
        self.unit, self.owed, self.since = unit, owed, time.monotonic()
        self.answer = self.actor.do.remote(unit.name)

    def rest(self) -> None:
        """Note that it has answered."""
        self.answer, self.unit, self.placed = None, None, True


def dismiss(cluster: Cluster, members: Sequence[Member], seconds: float = STOP_S) -> None:
    """End actors: what is at work may finish a row, and each says what it used."""
    left = [cluster.tell_to_end(member.actor) for member in members if member.placed]
    end = time.monotonic() + seconds
    while left and time.monotonic() < end:
        there = cluster.wait(left, _POLL_S)
        left = [each for each in left if each not in there]
    for member in members:
        cluster.kill(member.actor)
