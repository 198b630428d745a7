"""Units of one run, handed out to actors of a cluster that hold its models.

Which units are owed stands in the run and is looked up there; who does one holds its claim there.
Ray places actors where there is room, brings back those that die, and gives them their unit again;
the unit of one that does not come back is given to another, once nobody claims it any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trimtab.compute.local.pool import WorkerError
from trimtab.compute.ray.answers import Answer
from trimtab.compute.ray.cluster import Cluster, LostError
from trimtab.compute.ray.members import Member
from trimtab.compute.ray.staff import Staff
from trimtab.core.errors import ConfigError, MemoryShortError
from trimtab.runs.store.claims import holder_of
from trimtab.runs.store.run import Run
from trimtab.runs.work.failures import owner_of
from trimtab.runs.work.state import State, lacks_rows
from trimtab.runs.work.units import Kind, Unit, units

_POLL_S = 0.5
_LOOK_S = 1.0
_SHARE_OF_LOOKS = 0.1
_LATER_S = 2.0
"""How long a unit that another worker holds is left alone."""

_UNCLAIMED_S = 15.0
"""How long a unit may be in the hands of an actor that does not claim it."""

_MOST_LOST = 2
"""How many times Ray may lose a unit for good that comes no further."""

_START = "start"


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes:
        run: The run.
        kinds: Which units.
        grow: Adds to the plan when nothing is owed; returns whether it did.
        tell: Told what a person should know, a line each.
        watch: Called about twice a second.
    """

    run: Run
    kinds: Sequence[Kind]
    grow: Callable[[], bool]
    tell: Callable[[str], None]
    watch: Callable[[], None]


class Pool:
    """Actors at work on one run."""

    def __init__(self, cluster: Cluster, staff: Staff, work: Work) -> None:
        """Start nothing yet."""
        self._cluster, self._staff, self._work, self._run = cluster, staff, work, work.run
        self._known: tuple[object, list[Unit]] | None = None
        self._ready: list[Unit] = []
        self._owes = True
        self._next_look = 0.0
        self._later: dict[str, float] = {}
        self._lost: dict[str, int] = {}
        self._short: set[str] = set()
        self._failed: dict[str, str] = {}
        self._told: set[str] = set()

    def run(self) -> str | None:
        """Have the actors do what is owed, or what of it can be done; return what judges failed.

        Raises:
            WorkerError: A unit failed, or ended its workers again and again.
            MemoryShortError: A unit was short of memory, and again where it had more.
            ConfigError: No node has what an actor needs, or actors can't be started.
        """
        try:
            while True:
                looked = self._look()
                if not self._owes:
                    if not self._work.grow():
                        break
                    self._next_look = 0.0
                    continue
                self._offer()
                if looked and not self._ready and not self._awaited():
                    break
                self._collect()
                self._work.watch()
        finally:
            self._staff.end(self._staff.members)
        return "; ".join(self._failed.values()) or None

    def _look(self) -> bool:
        """Look what is owed and what of it can be done, unless that was done a moment ago."""
        began = time.monotonic()
        if began < self._next_look:
            return False
        self._run.refresh()
        state, every = State(self._run), self._units()
        self._owes = any(lacks_rows(state, unit) for unit in every)
        self._ready = [u for u in every if not self._has_failed(u) and state.is_ready(u)]
        took = time.monotonic() - began
        self._next_look = began + max(_LOOK_S, took / _SHARE_OF_LOOKS)
        return True

    def _units(self) -> list[Unit]:
        judges = tuple(judge.key for judge in self._run.judges())
        known = (len(self._run.plan.fragments), judges)
        if self._known is None or self._known[0] != known:
            self._known = (known, units(self._run, self._work.kinds))
        return self._known[1]

    def _has_failed(self, unit: Unit) -> bool:
        return owner_of(unit) in self._failed or unit.name in self._failed

    def _awaited(self) -> dict[object, Member]:
        """Return who is to answer, by what is awaited."""
        return {m.answer: m for m in self._staff.members if m.answer is not None}

    def _offer(self) -> None:
        """Give units that nobody does to actors that do nothing."""
        now = time.monotonic()
        in_hand = {m.unit.name for m in self._staff.members if m.unit and not self._is_stuck(m)}
        free = [
            unit
            for unit in self._ready
            if unit.name not in in_hand and self._later.get(unit.name, 0.0) <= now
        ]
        if not free:
            return
        self._staff.fit(free)
        for member in self._staff.members:
            if member.idle:
                mine = [u for u in free if u.model_identity in (member.model, None)]
                if mine:
                    # what loads no model is done beside what does
                    unit = min(mine, key=lambda u: u.model_identity is None)
                    member.give(unit, len(State(self._run, partial=True).owed(unit)))
                    free.remove(unit)

    def _is_stuck(self, member: Member) -> bool:
        """Return whether nobody works on an actor's unit: its node is gone, and it has no other."""
        if member.unit is None or time.monotonic() - member.since <= _UNCLAIMED_S:
            return False
        return holder_of(self._run.dir, member.unit.name) is None

    def _collect(self) -> None:
        """Wait a moment for answers, and take note of those that are there."""
        awaited = self._awaited()
        if not awaited:
            time.sleep(_POLL_S)
        for answer in self._cluster.wait(list(awaited), _POLL_S):
            member = awaited[answer]
            if member not in self._staff.members:
                continue  # it was ended for the sake of another answer
            try:
                self._take(member, self._cluster.get(answer))
            except LostError as error:
                self._take_loss(member, error)

    def _take(self, member: Member, answer: Answer) -> None:
        unit = member.unit
        member.rest()
        for line in answer.notes:
            self._tell_once(line)
        if answer.how == "failed":
            raise WorkerError(answer.line, answer.code)
        if unit is None:
            return
        if answer.how == "held":
            self._later[unit.name] = time.monotonic() + _LATER_S
            self._tell_once(f"waiting: {unit.name} is {answer.line}")
        elif answer.how == "memory":
            self._more_memory(member, unit, answer.line)
        elif answer.how in ("judge", "unanswered"):
            self._failed[owner_of(unit) if answer.how == "judge" else unit.name] = answer.line
        elif answer.how == "done":
            self._ready = [each for each in self._ready if each is not unit]

    def _take_loss(self, member: Member, error: LostError) -> None:
        """Note that Ray has lost an actor with its unit, which it had given again before."""
        unit = member.unit
        self._staff.end([member])
        name = _START if unit is None else unit.name
        further = unit is not None and len(State(self._run).owed(unit)) < member.owed
        self._lost[name] = 0 if further else self._lost.get(name, 0) + 1
        if unit is None and self._lost[name] > _MOST_LOST:
            raise ConfigError(
                f"Workers can't be started on {self._cluster.name}: {error}.",
                hint="Every node needs trimtab of the same version and Python, and must see "
                f"{self._run.dir}.",
            )
        if unit is not None and error.of_memory:
            self._more_memory(member, unit, str(error))
        elif unit is not None and self._lost[name] > _MOST_LOST:
            raise WorkerError(
                f"{name} ended its worker again and again, and came no further: {error}", 1
            )
        elif unit is not None:
            self._work.tell(f"A worker was lost with {name}, which is done again: {error}")

    def _more_memory(self, member: Member, unit: Unit, said: str) -> None:
        if unit.name in self._short:
            raise MemoryShortError(
                f"{unit.name} ran out of memory twice, the second time with more of it: {said}",
                hint="Use a smaller model, `dtype: bfloat16`, or nodes with more memory.",
            )
        self._short.add(unit.name)
        gib = self._staff.more_memory(member.model) / 2**30
        self._work.tell(
            f"A worker ran out of memory ({said}). It is tried again, taken to need {gib:.1f} GiB."
        )

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._work.tell(line)
