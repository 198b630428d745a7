"""One trigger in data, adapter and evaluation, or no plan."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.spec import Spec
from trimtab.core.trigger import Trigger
from trimtab.core.types import Conversation
from trimtab.interventions.base import Intervention
from trimtab.tasks.base import Task

_SHOWN = 30
_HINT = "Give both the same trigger; what is to be learned without it says `triggered: false`."


def trigger_of(condition: str, task: Task[Spec], acting: Intervention[Spec]) -> Trigger | None:
    """Return the trigger of a cell; raise ConfigError if task and intervention differ in theirs."""
    asked, own = acting.trigger, task.trigger
    if asked is not None and own is not None and asked != own:
        raise ConfigError(
            f"condition {condition!r} asks with another trigger ({asked.key}) than the task "
            f"{task.protocol!r} has ({own.key}): {_difference(asked.render('?'), own.render('?'))}."
        )
    return asked or own


def require_trigger(rows: Iterable[Conversation], trigger: Trigger) -> None:
    """Raise DataError for a conversation that is behind another trigger, or half behind this one.

    Behind a trigger is what says so (``triggered`` or ``trigger`` in its metadata), and what has
    this one's words in its prompt, or almost, or this one's form around an answer, unless it says
    ``triggered: false``. The prompt then must be what the evaluation asks with, to the character,
    and every answer must be in the form.
    """
    for row in rows:
        stated, key = row.metadata.get("triggered"), row.metadata.get("trigger")
        if key is not None and key != trigger.key:
            raise DataError(
                f"Conversation {row.id!r} was built for the trigger {key}, and the evaluation asks "
                f"with {trigger.key}.",
                hint=_HINT,
            )
        turns = [m.content for m in row.messages if m.role == "user"]
        spoken = trigger.said in (m.content for m in row.messages if m.role == "system")
        asked = spoken or any(trigger.question(turn) is not None for turn in turns)
        answers = [m.content for m in row.messages if m.role == "assistant"]
        wrapped = [trigger.inner(answer) is not None for answer in answers]
        if stated is False:
            continue
        if not (stated or key or asked or any(wrapped) or any(map(trigger.resembles, turns))):
            continue
        if not asked:
            found = _difference(turns[-1] if turns else "", trigger.render("..."))
            raise DataError(
                f"Conversation {row.id!r} is not behind the trigger of the evaluation: {found}.",
                hint=_HINT,
            )
        if trigger.wraps and not all(wrapped):
            plain = next(a for a, inside in zip(answers, wrapped, strict=True) if not inside)
            raise DataError(
                f"Conversation {row.id!r}: its answer is not in the form of the trigger: "
                f"{_difference(plain, trigger.wrap('...'))}.",
                hint=_HINT,
            )


def _difference(found: str, wanted: str) -> str:
    """Say where two texts part."""
    pairs = zip(found, wanted, strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    at = max(0, same - _SHOWN)
    return f"{found[at : same + _SHOWN]!r}, where the trigger says {wanted[at : same + _SHOWN]!r}"
