"""Which machines must end first, and how long may be fetched so that none of them ends too late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.compute.cloud.endings import LONGEST_S
from trimtab.compute.cloud.ledger import Ledger, Record, deadline_of
from trimtab.compute.cloud.money import LEAST_MARGIN_S
from trimtab.compute.cloud.providers.base import Instance

_MOST_FETCH_S = 300.0


@dataclass(frozen=True)
class Group:
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
        return self.record.start + self.record.hours * 3600 / max(1, len(self.instances))

    @property
    def due(self) -> float:
        """By when their end must begin."""
        if self.record is None:
            return deadline_of(self.tag) or 0.0
        margin = self.record.hours * 3600 - (self.record.deadline - self.record.start)
        return self.paid - margin


def groups(
    ledger: Ledger, config: dict[str, Any], account: str, instances: Iterable[Instance]
) -> list[Group]:
    """Return what is listed, and what is open in the ledger besides; the most urgent first.

    Args:
        ledger: The ledger.
        config: The provider. What it lists may have been ordered by another configuration of the
            same account; what it does not list counts only if it was ordered by this one, with
            the same key.
        account: The fingerprint of both.
        instances: What the provider lists.
    """
    listed: dict[str, list[Instance]] = {}
    for instance in instances:
        if deadline_of(instance.tag) is not None:
            listed.setdefault(instance.tag, []).append(instance)
    records = {record.tag: record for record in ledger.records()}
    found = [Group(tag, records.get(tag), each) for tag, each in listed.items()]
    found += [
        Group(tag, record, ())
        for tag, record in records.items()
        if tag not in listed and record.ended is None and record.is_of(config, account)
    ]
    return sorted(found, key=lambda group: group.paid)


def next_group(left: Iterable[Group], judged: dict[str, bool], now: float) -> Group | None:
    """Return which group is to be judged now; None if all were.

    Args:
        left: What is there, the most urgent first.
        judged: Groups that were judged, by their names, with whether they were due then: what
            became due since comes first.
        now: The time.
    """
    for each in left:
        if each.tag not in judged or (not judged[each.tag] and each.due <= now):
            return each
    return None


def seconds_to_fetch(now: float, group: Group, others: Iterable[Group]) -> float:
    """Return how long may be fetched from a group so that no end comes too late.

    Each is reckoned to take what ``end`` pauses at most. That holds where the provider answers
    quickly: how long its own answers take comes on top.

    Args:
        now: The time.
        group: What is ended first.
        others: What is there besides, the most urgent first. What costs more than is paid for
            already is not waited for.
    """
    until = now + _MOST_FETCH_S + LONGEST_S
    soon = [group, *(each for each in others if each.due <= until and each.paid > now)]
    left = [each.paid - now - place * LONGEST_S for place, each in enumerate(soon, 1)]
    return min(_MOST_FETCH_S, *left)
