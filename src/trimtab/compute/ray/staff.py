"""How many actors there are for each model: as many as units want and nodes have room for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from trimtab.compute.ray.cluster import Cluster
from trimtab.compute.ray.members import Member, dismiss
from trimtab.compute.ray.placement import Request, lacking, room
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError
from trimtab.runs.work.units import Unit

_TOLD_S = 60.0
_GROWTH = 1.5


class Staff:
    """The actors of a run.

    Attributes:
        members: Those that there are, placed or not.
    """

    def __init__(
        self,
        cluster: Cluster,
        make: Callable[[Request], tuple[type, Sequence[object]]],
        request: Callable[[str | None], Request],
        most: int | None,
        patience_s: float,
        tell: Callable[[str], None],
    ) -> None:
        """Start nobody yet.

        Args:
            cluster: Where they are.
            make: Returns the class of an actor and what it is made with.
            request: Returns what an actor needs that holds a model; None is none.
            most: Most actors for one model; None is as many as there is room for.
            patience_s: Seconds to wait for a node that has what an actor needs.
            tell: Told what a person should know, a line each.
        """
        self.members: list[Member] = []
        self._cluster, self._make, self._asks = cluster, make, request
        self._most, self._tell = most, tell
        self._patience_s = patience_s if cluster.grows else 0.0
        self._memory: dict[str | None, int] = {}
        self._lacking: dict[str | None, float] = {}
        self._next_told = time.monotonic() + _TOLD_S / 3

    def request(self, model: str | None) -> Request:
        """Return what an actor for a model asks for, as far as it is known by now."""
        asked = self._asks(model)
        return replace(asked, memory=max(asked.memory, self._memory.get(model, 0)))

    def fit(self, free: Sequence[Unit]) -> None:
        """Start actors for units that nobody does; end those that stand in the way of others.

        Raises:
            ConfigError: No node has what one needs, and none has come in time.
        """
        wanted = Counter(unit.model_identity for unit in free)
        if None in wanted and (len(wanted) > 1 or self.members):
            del wanted[None]  # whoever is idle does it
        self._make_way(wanted)
        nodes = self._cluster.nodes()
        for model, number in wanted.items():
            request = self.request(model)
            space = room(nodes, request)
            if not space:
                self._lacks(model, request, lacking(nodes, request))
                continue
            self._lacking.pop(model, None)
            there = [member for member in self.members if member.model == model]
            number += sum(member.unit is not None for member in there)
            for _ in range(min(number, space, self._most or number) - len(there)):
                self._start(model, request)
        self._tell_waiting()

    def more_memory(self, model: str | None) -> int:
        """Have actors for a model ask for more memory; return how much. Those there are end."""
        self._memory[model] = int(self.request(model).memory * _GROWTH)
        self.end([member for member in self.members if member.model == model])
        return self._memory[model]

    def end(self, members: Sequence[Member]) -> None:
        """End some actors."""
        dismiss(self._cluster, members)
        self.members = [member for member in self.members if member not in members]

    def _start(self, model: str | None, request: Request) -> None:
        worker, arguments = self._make(request)
        actor = self._cluster.start(worker, arguments, request)
        self.members.append(Member(actor, model, actor.look.remote()))

    def _make_way(self, wanted: Counter[str | None]) -> None:
        """End idle actors whose model nobody wants while others wait to be placed."""
        if any(not member.placed and member.model in wanted for member in self.members):
            idle = [m for m in self.members if m.idle and m.model not in wanted]
            if idle:
                self.end(idle)

    def _lacks(self, model: str | None, request: Request, why: str) -> None:
        now = time.monotonic()
        if model not in self._lacking:
            self._lacking[model] = now
            if self._patience_s:
                self._tell(
                    f"No node of {self._cluster.name} has {request} ({why}); waiting for one, "
                    f"{self._patience_s:.0f} s at most"
                )
        if now - self._lacking[model] >= self._patience_s:
            raise ConfigError(
                f"No node of {self._cluster.name} has what a worker needs: {request} ({why}).",
                hint="`models` and `without_model` of the profile say what workers ask for.",
            )

    def _tell_waiting(self) -> None:
        waiting = [member for member in self.members if not member.placed]
        if waiting and time.monotonic() >= self._next_told:
            self._next_told = time.monotonic() + _TOLD_S
            self._tell(
                f"waiting: {counted(len(waiting), 'worker')} of {len(self.members)} until "
                f"{self._cluster.name} has {self.request(waiting[0].model)} free for each"
            )
