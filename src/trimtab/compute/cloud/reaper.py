"""Machines that nobody uses, or whose time is over, are found at the provider and ended.

The ledger says what was ordered, the provider what is there; whatever is there is judged. A machine
of another ledger (another computer, a lost disk) has its deadline in its name, and is left alone
before it. The most urgent one comes first, and what it has is fetched only for so long that every
other one can be ended before it costs more than is paid for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from trimtab.compute.cloud.endings import LONGEST_S, end
from trimtab.compute.cloud.errors import AliveError
from trimtab.compute.cloud.ledger import Ledger, Record, deadline_of
from trimtab.compute.cloud.machine import Reach
from trimtab.compute.cloud.money import LEAST_MARGIN_S
from trimtab.compute.cloud.providers.base import Instance, Provider
from trimtab.compute.cloud.settings import build
from trimtab.core.errors import HeldError, StoreError, TrimtabError
from trimtab.core.locks import locked

_UNSEEN_S = 3600.0
_HOUR = 3600.0
_MOST_FETCH_S, _LEAST_FETCH_S = 300.0, 5.0


@dataclass(frozen=True)
class _Group:
    """The machines of one name.

    Attributes:
        tag: The name.
        record: What this ledger knows of them; None if they are of another one.
        instances: What the provider lists; none if it lists none.
    """

    tag: str
    record: Record | None
    instances: Sequence[Instance]

    @property
    def paid(self) -> float:
        """Until when they are paid for; several of a name share what one may cost."""
        if self.record is None:
            return self.due + LEAST_MARGIN_S
        return self.record.start + self.record.hours * _HOUR / max(1, len(self.instances))

    @property
    def due(self) -> float:
        """By when their end must begin."""
        if self.record is None:
            return deadline_of(self.tag) or 0.0
        margin = self.record.hours * _HOUR - (self.record.deadline - self.record.start)
        return self.paid - margin


@dataclass(frozen=True)
class Reaper:
    """Ends what should not be there.

    Attributes:
        ledger: The ledger.
        reach: How machines are asked whether workers are there.
        boot_minutes: How long a machine may take to become usable.
        idle_minutes: How long it may be unused.
        fetch: Fetches what a machine has, for so many seconds at most, before it is ended; what
            fails there holds nothing up.
        tell: Told what a person should know, a line each.
        make: Makes a provider from its configuration.
    """

    ledger: Ledger
    reach: Reach
    boot_minutes: float
    idle_minutes: float
    fetch: Callable[[Record, float], None]
    tell: Callable[[str], None]
    make: Callable[[dict[str, Any]], Provider[Any]] = build

    def reap(self, configs: Iterable[dict[str, Any]] = ()) -> int:
        """End what should not be there, at every provider that was ever used; return how many.

        Args:
            configs: Providers to look at besides those that the ledger names.

        Raises:
            StoreError: A provider gave no answer, or a machine did not end; the rest was done.
        """
        records = self.ledger.records()
        asked = {json.dumps(config, sort_keys=True): dict(config) for config in configs}
        known = {json.dumps(each.provider, sort_keys=True): each.provider for each in records}
        ended = 0
        problems: list[str] = []
        for name, config in (known | asked).items():
            try:
                ended += self._reap_one(config, problems, lambda: None)
            except TrimtabError as error:
                # a provider that was given up long ago need not answer
                mine = [record for record in records if record.provider == config]
                if name in asked or any(record.ended is None for record in mine):
                    problems.append(str(error))
        _raise(problems)
        return ended

    def reap_one(self, config: dict[str, Any], listed: Callable[[], None]) -> None:
        """End what should not be there at one provider.

        Args:
            config: The provider.
            listed: Called when it has listed its machines.

        Raises:
            ConfigError: The key is refused, or the provider's program is not here.
            StoreError: The provider gave no answer, or a machine did not end; the rest was done.
        """
        problems: list[str] = []
        self._reap_one(config, problems, listed)
        _raise(problems)

    def _reap_one(
        self, config: dict[str, Any], problems: list[str], listed: Callable[[], None]
    ) -> int:
        provider = self.make(config)
        queue = self._groups(config, provider.instances())
        listed()
        ended = 0
        for place, group in enumerate(queue):
            why, doomed = self._judge(provider.clock.now(), group)
            if not why:
                continue
            try:
                ended += self._end(provider, why, doomed, queue[place:])
            except AliveError as error:
                problems.append(str(error))
        return ended

    def _groups(self, config: dict[str, Any], instances: Iterable[Instance]) -> list[_Group]:
        """Return what is listed, and what the ledger knows besides; the most urgent first.

        What is listed may have been ordered by another configuration of the same account.
        """
        listed: dict[str, list[Instance]] = {}
        for instance in instances:
            if deadline_of(instance.tag) is not None:
                listed.setdefault(instance.tag, []).append(instance)
        records = {record.tag: record for record in self.ledger.records()}
        groups = [_Group(tag, records.get(tag), found) for tag, found in listed.items()]
        groups += [
            _Group(tag, record, ())
            for tag, record in records.items()
            if tag not in listed and record.ended is None and record.provider == config
        ]
        return sorted(groups, key=lambda group: group.paid)

    def _end(
        self,
        provider: Provider[Any],
        why: str,
        doomed: Sequence[Instance],
        queue: Sequence[_Group],
    ) -> int:
        """End machines of the first group of a queue; return how many were listed.

        Raises:
            AliveError: Some did not end.
        """
        group = queue[0]
        record = group.record if len(doomed) == len(group.instances) else None
        ids = [each.id for each in doomed]
        if record is not None and not ids and record.id is not None:
            ids = [record.id]
        with ExitStack() as stack:
            if group.record is not None:
                try:
                    with suppress(StoreError):  # a full disk here keeps no machine alive
                        lock = self.ledger.folder / f"{group.tag}.lock"
                        stack.enter_context(locked(lock, wait=False))
                except HeldError:  # another process fetches from it, and ends it
                    return 0
                if self.ledger.read(group.tag).ended != group.record.ended:
                    return 0
            self.tell(f"{group.tag} is ended: {why}")
            if record is not None and ids:
                self._fetch(record, _seconds_to_fetch(provider.clock.now(), queue))
            if ids:
                end(provider, ids)
            if record is not None:
                self.ledger.note(group.tag, ended=provider.clock.now(), why=why)
        return len(doomed)

    def _fetch(self, record: Record, seconds: float) -> None:
        if record.address is None or not record.copies:
            return
        if seconds < _LEAST_FETCH_S:
            self.tell(f"{record.tag}: nothing is fetched: its end, or that of others, can't wait")
            return
        self.fetch(record, seconds)

    def _judge(self, now: float, group: _Group) -> tuple[str, Sequence[Instance]]:
        """Return why machines of one name are to be ended, and which; an empty reason if none."""
        record, instances = group.record, group.instances
        if record is None:
            is_over = now >= group.due
            return ("its time is over (it is not in this ledger)" if is_over else ""), instances
        if not instances:
            # a list may lack what is there, so before its time nothing is taken to be gone
            is_gone = now >= group.due and (
                record.id is not None or now >= record.start + _UNSEEN_S
            )
            return ("the provider does not list it" if is_gone else ""), instances
        if now >= group.due:
            return "its time is over", instances
        if record.ended is not None:
            return "it was ended before, and is there", instances
        if why := self._why_unused(record, now):
            return why, instances
        if len(instances) > 1 and record.id is not None:
            kept = next((each for each in instances if each.id == record.id), instances[0])
            return "there are several of its name", [each for each in instances if each != kept]
        return "", []

    def _why_unused(self, record: Record, now: float) -> str:
        if record.id is None and record.owner.is_alive() is False:
            return "what ordered it died before it was there"
        beat = self.ledger.last_beat(record.tag)
        if record.address is None:
            late = now > max(record.start, beat) + 60 * self.boot_minutes
            return "it was never ready" if late else ""
        if now - beat < 60 * self.idle_minutes:
            return ""
        try:
            if self.reach.is_working(record):
                return ""
        except (TrimtabError, ValueError) as error:  # one that answers nonsense is no different
            return f"it gives no sign of life: {error}"[:300]
        return f"nobody used it for {(now - beat) / 60:.0f} minutes, and no workers are there"


def _seconds_to_fetch(now: float, queue: Sequence[_Group]) -> float:
    """Return how long may be fetched from the first of a queue so that no end comes too late.

    Args:
        now: The time.
        queue: What is there, the most urgent first; each may take its longest to end.
    """
    until = now + _MOST_FETCH_S + LONGEST_S
    soon = [queue[0], *(group for group in queue[1:] if group.due <= until)]
    left = [group.paid - now - place * LONGEST_S for place, group in enumerate(soon, 1)]
    return min(_MOST_FETCH_S, *left)


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise StoreError(" ".join(problems), hint="Give `trimtab cloud reap` again.")
