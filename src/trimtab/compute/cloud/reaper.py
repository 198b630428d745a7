"""Machines that nobody uses, or whose time is over, are found at the provider and ended.

The ledger says what was ordered, the provider what is there; whatever is there is judged. A machine
of another ledger (another computer, a lost disk) has its deadline in its name, and is left alone
before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from trimtab.compute.cloud.endings import end
from trimtab.compute.cloud.errors import AliveError
from trimtab.compute.cloud.ledger import Ledger, Record, deadline_of
from trimtab.compute.cloud.machine import Reach
from trimtab.compute.cloud.providers.base import Instance, Provider
from trimtab.compute.cloud.settings import build
from trimtab.core.errors import StoreError, TrimtabError

_UNSEEN_S = 3600.0
_HOUR = 3600.0
_LEAST_PAUSE_S = 20.0
_LATELY_S = 900.0


def next_look(ledger: Ledger, now: float, pause: float) -> float | None:
    """Return in how many seconds to look again: at the next deadline at the latest.

    What is open after its deadline could not be ended yet, and is looked at soon. None: nothing may
    be there. What ended lately counts, as a wrong list may have hidden it.

    Args:
        ledger: The ledger.
        now: The time.
        pause: The longest pause, in seconds.
    """
    records = ledger.records()
    left = [each.deadline - now for each in records if each.ended is None]
    if not left and all((each.ended or now) < now - _LATELY_S for each in records):
        return None
    return max(_LEAST_PAUSE_S, min([pause, *left]))


@dataclass(frozen=True)
class Reaper:
    """Ends what should not be there.

    Attributes:
        ledger: The ledger.
        reach: How machines are asked whether workers are there.
        boot_minutes: How long a machine may take to become usable.
        idle_minutes: How long it may be unused.
        fetch: Fetches what a machine has, before it is ended; what fails there holds nothing up.
        tell: Told what a person should know, a line each.
        make: Makes a provider from its configuration.
    """

    ledger: Ledger
    reach: Reach
    boot_minutes: float
    idle_minutes: float
    fetch: Callable[[Record], None]
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
            mine = [record for record in records if record.provider == config]
            try:
                ended += self._reap_one(self.make(config), mine, problems)
            except TrimtabError as error:
                # a provider that was given up long ago need not answer
                if name in asked or any(record.ended is None for record in mine):
                    problems.append(str(error))
        if problems:
            raise StoreError(" ".join(problems), hint="Give `trimtab cloud reap` again.")
        return ended

    def _reap_one(self, provider: Provider[Any], records: list[Record], problems: list[str]) -> int:
        groups: dict[str, list[Instance]] = {}
        for instance in provider.instances():
            if deadline_of(instance.tag) is not None:
                groups.setdefault(instance.tag, []).append(instance)
        by_tag = {record.tag: record for record in records}
        ended = 0
        for tag, instances in groups.items():
            why, doomed = self._judge(provider, by_tag.get(tag), instances)
            if not why:
                continue
            self.tell(f"{tag} is ended: {why}")
            if tag in by_tag and len(doomed) == len(instances):
                self.fetch(by_tag[tag])
            try:
                end(provider, [each.id for each in doomed])
                ended += len(doomed)
            except AliveError as error:
                problems.append(str(error))
                continue
            if tag in by_tag and len(doomed) == len(instances):
                self.ledger.note(tag, ended=provider.clock.now(), why=why)
        unlisted = [each for each in records if each.ended is None and each.tag not in groups]
        self._close(provider, unlisted, problems)
        return ended

    def _close(self, provider: Provider[Any], records: list[Record], problems: list[str]) -> None:
        """Close machines that are not listed, and whose time is over: their ids are ended unseen.

        A list may lack what is there, so before its time nothing is taken to be gone.
        """
        now = provider.clock.now()
        for record in records:
            if now < record.deadline or (record.id is None and now < record.start + _UNSEEN_S):
                continue
            try:
                if record.id is not None:
                    self.fetch(record)
                    end(provider, [record.id])
            except AliveError as error:
                problems.append(str(error))
                continue
            self.ledger.note(record.tag, ended=now, why="the provider does not list it")

    def _judge(
        self, provider: Provider[Any], record: Record | None, instances: list[Instance]
    ) -> tuple[str, list[Instance]]:
        """Return why machines of one name are to be ended, and which; an empty reason if none."""
        now = provider.clock.now()
        if record is None:
            told = deadline_of(instances[0].tag)
            is_over = told is not None and now >= told
            return ("its time is over (it is not in this ledger)" if is_over else ""), instances
        # several of a name share what one may cost
        margin = record.hours * _HOUR - (record.deadline - record.start)
        if now >= record.start + record.hours * _HOUR / len(instances) - margin:
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
