"""Machines that nobody uses, or whose time is over, are found at the provider and ended.

The ledger says what was ordered, the provider what is there; whatever is there is judged. A machine
of another ledger (another computer, a lost disk) has its deadline in its name, and is left alone
before it. The most urgent one comes first, and what it has is fetched only for so long that every
other one can be ended before it costs more than is paid for; what is not over yet waits for others
that must end first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from trimtab.compute.cloud import urgency
from trimtab.compute.cloud.endings import end
from trimtab.compute.cloud.ledger import Ledger, Record
from trimtab.compute.cloud.machine import Reach
from trimtab.compute.cloud.providers.base import Instance, Provider
from trimtab.compute.cloud.settings import build, fingerprint
from trimtab.compute.cloud.urgency import Group
from trimtab.core.errors import ConfigError, HeldError, StoreError, TrimtabError
from trimtab.core.locks import locked

_UNSEEN_S = 3600.0
_LEAST_FETCH_S = 5.0
# As long as a keeper may pause: what is looked at next is looked at in time.
_LEAST_OF_ANOTHER_S = 30.0
_MOST_ANSWER_S = 120.0


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
                ended += self._reap_one(config, problems, lambda _: None)
            except TrimtabError as error:
                # a provider that was given up long ago need not answer
                mine = [record for record in records if record.provider == config]
                if name in asked or any(record.ended is None for record in mine):
                    problems.append(str(error))
        _raise(problems)
        return ended

    def reap_one(self, config: dict[str, Any], listed: Callable[[Iterable[str]], None]) -> None:
        """End what should not be there at one provider.

        Args:
            config: The provider.
            listed: Told the names of its machines when it has listed them.

        Raises:
            ConfigError: The key is refused, or the provider's program is not here.
            StoreError: The provider gave no answer, or a machine did not end; the rest was done.
        """
        problems: list[str] = []
        self._reap_one(config, problems, listed)
        _raise(problems)

    def _reap_one(
        self,
        config: dict[str, Any],
        problems: list[str],
        listed: Callable[[Iterable[str]], None],
    ) -> int:
        provider = self.make(config)
        instances = provider.instances()
        listed(each.tag for each in instances)
        account = fingerprint(config, provider)
        left = urgency.groups(self.ledger, config, account, instances)
        judged: dict[str, bool] = {}
        ended = 0
        while group := urgency.next_group(left, judged, provider.clock.now()):
            now = provider.clock.now()
            judged[group.tag] = now >= group.due
            try:
                why, doomed = self._judge(now, group)
                others = [each for each in left if each is not group]
                if why and not self._waits(provider.clock.now(), why, group, others):
                    ended += self._end(provider, why, doomed, group, others)
                    left = others
            except ConfigError:  # the key is refused: no other machine would fare better
                raise
            except Exception as error:  # whatever it is: it keeps no other machine alive
                problems.append(str(error) if isinstance(error, TrimtabError) else repr(error))
        return ended

    def _end(
        self,
        provider: Provider[Any],
        why: str,
        doomed: Sequence[Instance],
        group: Group,
        others: Sequence[Group],
    ) -> int:
        """End machines of a group; return how many were listed.

        Raises:
            AliveError: Some did not end.
        """
        is_ours = True
        record = group.record if len(doomed) == len(group.instances) else None
        ids = [each.id for each in doomed]
        if record is not None and not ids and record.id is not None:
            ids = [record.id]
        with ExitStack() as stack:
            if group.record is not None:
                try:
                    with suppress(StoreError):  # a full disk here keeps no machine alive
                        stack.enter_context(locked(self.ledger.end_lock(group.tag), wait=False))
                except HeldError:  # another process fetches from it, and ends it: in time?
                    own = urgency.seconds_to_fetch(provider.clock.now(), group, ())
                    if own >= _LEAST_OF_ANOTHER_S:
                        return 0
                    is_ours = False
                if self.ledger.read(group.tag).ended != group.record.ended:
                    return 0
            self.tell(f"{group.tag} is ended: {why}")
            if record is not None and ids and is_ours:
                now = provider.clock.now()
                self._fetch(record, urgency.seconds_to_fetch(now, group, others))
            if ids:
                end(provider, ids)
            if record is not None:
                self.ledger.note(group.tag, ended=provider.clock.now(), why=why)
        return len(doomed)

    def _waits(self, now: float, why: str, group: Group, others: Sequence[Group]) -> bool:
        """Return whether what may live on has results that there is no time for before others."""
        if now >= group.due or group.record is None or not _has_results(group.record):
            return False
        waits = urgency.seconds_to_fetch(now, group, others) < _LEAST_FETCH_S
        if waits:
            self.tell(f"{group.tag} is ended after others that are more urgent: {why}")
        return waits

    def _fetch(self, record: Record, seconds: float) -> None:
        if not _has_results(record):
            return
        if seconds < _LEAST_FETCH_S:
            self.tell(f"{record.tag}: nothing is fetched: its end, or that of others, can't wait")
            return
        self.fetch(record, seconds)

    def _judge(self, now: float, group: Group) -> tuple[str, Sequence[Instance]]:
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
            if _answer(partial(self.reach.is_working, record)):
                return ""
        except (TrimtabError, ValueError) as error:  # one that answers nonsense is no different
            return f"it gives no sign of life: {error}"[:300]
        return f"nobody used it for {(now - beat) / 60:.0f} minutes, and no workers are there"


def _has_results(record: Record) -> bool:
    return record.address is not None and bool(record.copies)


def _answer(ask: Callable[[], bool]) -> bool:
    """Return what a call returns, and raise what it raises; one that hangs is left behind.

    Raises:
        StoreError: It takes too long: other machines can't wait for it.
    """
    answers: SimpleQueue[bool | Exception] = SimpleQueue()

    def call() -> None:
        try:
            answers.put(ask())
        except Exception as error:
            answers.put(error)

    Thread(target=call, daemon=True).start()
    try:
        answer = answers.get(timeout=_MOST_ANSWER_S)
    except Empty:
        raise StoreError(f"it did not answer in {_MOST_ANSWER_S:g} s.") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise StoreError(" ".join(problems), hint="Give `trimtab cloud reap` again.")
