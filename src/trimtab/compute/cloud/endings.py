"""The end of a machine: asked for, and then looked for, since a provider that says yes may do no.

What counts is the provider's list alone. A machine is over when it is not listed any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from trimtab.compute.cloud.errors import (
    AliveError,
    RefusedError,
    UnansweredError,
    UncertainError,
)
from trimtab.compute.cloud.providers.base import Instance, Provider

_LOOK_S = 5.0
_TRIES = 12
_ASK_AGAIN = 4


def end(provider: Provider[Any], ids: Sequence[str]) -> None:
    """End machines, and return when the provider lists none of them any more.

    Args:
        provider: Whose they are.
        ids: The provider's ids.

    Raises:
        AliveError: Some are listed still, or nobody can say, after a minute and a half of asking.
        ConfigError: The key is refused.
    """
    left, reason = list(ids), ""
    for attempt in range(_TRIES):
        if attempt % _ASK_AGAIN == 0:
            try:
                provider.terminate(left)
            except (RefusedError, UncertainError) as error:  # the list tells what came of it
                reason = error.message
        try:
            listed = {each.id for each in provider.instances()}
            left = [each for each in left if each in listed]
            if not left:
                return
        except UnansweredError as error:
            reason = error.message
        provider.clock.sleep(_LOOK_S * min(1 + attempt // 2, 3))
    raise AliveError(
        f"{', '.join(left)} did not end, and may be charged{f': {reason}' if reason else '.'}",
        hint=f"`trimtab cloud reap` tries again; by hand: {provider.console}.",
    )


def with_tag(provider: Provider[Any], tag: str) -> list[Instance]:
    """Return the machines of a name; raise as ``Provider.instances`` does."""
    return [each for each in provider.instances() if each.tag == tag]


def end_all(provider: Provider[Any], tag: str, tell: Callable[[str], None]) -> bool:
    """End whatever has a name; return whether it is certain that nothing is left, and tell if not.

    For use where another error is already under way.
    """
    with suppress(UnansweredError):
        try:
            found = with_tag(provider, tag)
            if found:
                end(provider, [each.id for each in found])
            return True
        except AliveError as error:
            tell(str(error))
            return False
    tell(f"Nobody can say whether {tag} is there: `trimtab cloud reap` ends it later.")
    return False
