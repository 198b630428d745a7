"""The end of a machine: asked for, and then looked for, since a provider that says yes may do no.

What counts is the provider's list alone. A machine is over when it is not listed twice in a row: a
list may lack something for a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trimtab.compute.cloud.errors import (
    AliveError,
    RefusedError,
    UnansweredError,
    UncertainError,
)
from trimtab.compute.cloud.ledger import Record
from trimtab.compute.cloud.providers.base import Instance, Provider

_LOOK_S = 2.0
_MOST_LOOK_S = 15.0
_TRIES = 12
_ASK_AGAIN = 4
LONGEST_S = sum(min(_LOOK_S * (1 + attempt), _MOST_LOOK_S) for attempt in range(_TRIES))
"""The longest that ``end`` pauses in all, in seconds; the provider's answers come on top."""


def end(provider: Provider[Any], ids: Sequence[str]) -> None:
    """End machines, and return when the provider lists none of them any more.

    Args:
        provider: Whose they are.
        ids: The provider's ids.

    Raises:
        AliveError: Some are listed still, or nobody can say, after two minutes of asking.
        ConfigError: The key is refused.
    """
    left, reason, absent = list(ids), "", 0
    for attempt in range(_TRIES):
        if attempt % _ASK_AGAIN == 0:
            reason = _ask(provider, left) or reason
        try:
            listed = {each.id for each in provider.instances()}
            present = [each for each in left if each in listed]
            absent = 0 if present else absent + 1
            left = present or left
            if absent == 2:
                return
        except UnansweredError as error:
            reason = error.message
        provider.clock.sleep(min(_LOOK_S * (1 + attempt), _MOST_LOOK_S))
    raise AliveError(
        f"{', '.join(left)} did not end, and may be charged{f': {reason}' if reason else '.'}",
        hint=f"`trimtab cloud reap` tries again; by hand: {provider.console}.",
    )


def with_tag(provider: Provider[Any], tag: str) -> list[Instance]:
    """Return the machines of a name; raise as ``Provider.instances`` does."""
    return [each for each in provider.instances() if each.tag == tag]


def end_record(provider: Provider[Any], record: Record) -> None:
    """End whatever has a record's name or id; errors as ``end``, and UnansweredError."""
    found = [each.id for each in with_tag(provider, record.tag)]
    known = [] if record.id is None or record.id in found else [record.id]
    if found or known:  # what is known is ended, be it listed or not
        end(provider, [*found, *known])


def end_unusable(provider: Provider[Any], record: Record, tell: Callable[[str], None]) -> bool:
    """End a machine where another error is under way; return whether that is certain, else tell."""
    try:
        end_record(provider, record)
    except (AliveError, UnansweredError) as error:
        tell(f"{error.message} `trimtab cloud reap` tries again.")
        return False
    return True


def _ask(provider: Provider[Any], ids: Sequence[str]) -> str:
    """Ask for the end of each; return what was said against it, empty if nothing."""
    reason = ""
    for each in ids:  # alone: one that is gone must not have the others refused
        try:
            provider.terminate([each])
        except (RefusedError, UncertainError) as error:  # the list tells what came of it
            reason = error.message
    return reason
