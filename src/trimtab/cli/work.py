"""``work``: one worker of several at a run, with limits, ended softly by the signals of schedulers.

Its exit code is 75, as ``sysexits.h`` has it for what may be tried again, unless all is done.
"""

from __future__ import annotations

import re
from datetime import timedelta

from trimtab.cli.phases import show_report, work_on
from trimtab.cli.progress import Notes
from trimtab.cli.report_turn import report_turn
from trimtab.cli.terminal import complain, say
from trimtab.core import stopping
from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.runs.store import finished
from trimtab.runs.store.attempts import require_same_code
from trimtab.runs.store.run import Run
from trimtab.runs.work import checks
from trimtab.runs.work.stay import Stay, left
from trimtab.runs.work.units import KINDS, Kind

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")
_SHARE = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")
_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])")


def parse_kinds(text: str | None) -> tuple[Kind, ...]:
    """Return the kinds of units in a list such as ``fit,generate``; None is all.

    Raises:
        ConfigError: One of them is none.
    """
    if text is None:
        return KINDS
    named = [word.strip() for word in text.split(",") if word.strip()]
    for word in named:
        if word not in KINDS:
            raise ConfigError(
                f"--kinds: {word!r} is no kind of unit.", hint=did_you_mean(word, KINDS)
            )
    if not named:
        raise ConfigError("--kinds names no kind of unit.", hint=did_you_mean("", KINDS))
    return tuple(kind for kind in KINDS if kind in named)


def parse_duration(text: str | None, option: str = "--deadline") -> float | None:
    """Return seconds of a duration such as ``90m`` or ``1h30m``; None is None.

    Args:
        text: The duration.
        option: What it was given as, for the error.

    Raises:
        ConfigError: It is no duration, or takes no time.
    """
    if text is None:
        return None
    parts = _PART.findall(text) if _DURATION.fullmatch(text) else []
    seconds = sum(
        timedelta(**{_UNITS[unit]: float(number)}).total_seconds() for number, unit in parts
    )
    if seconds <= 0:
        raise ConfigError(
            f"{option}: {text!r} is no time from now.",
            hint="Write a number and d, h, m or s, such as 90m or 1h30m.",
        )
    return seconds


def parse_share(text: str | None) -> tuple[int, int]:
    """Return which of how many shares of the units ``1/3`` means, from 0 on; None is all.

    Raises:
        ConfigError: It is no share.
    """
    found = _SHARE.fullmatch(text or "0/1")
    if found is None or not int(found[1]) < int(found[2]):
        raise ConfigError(f"--share: {text!r} is no share.", hint="Write 0/2 and 1/2, for example.")
    return int(found[1]), int(found[2])


def join(run: Run, kinds: tuple[Kind, ...], stay: Stay, *, other_code: bool = False) -> int:
    """Work beside other workers; whoever finds that nothing is owed writes the report.

    Args:
        run: The run.
        kinds: The units to take.
        stay: The limits.
        other_code: Work though the code differs from the run's.

    Returns:
        The exit code: 0 if all is done, else 75.

    Raises:
        ConfigError: The code differs from the run's.
    """
    if not other_code:
        require_same_code(run.dir)
    again = f"trimtab work {run.dir}"
    try:
        reason = work_on(run, kinds, again, stay, other_code=other_code)
        if reason is None:
            reason = _finish(run, stay)
    except Exception:
        if stopping.received() is None:  # else it is what a library made of the signal
            raise
        return _stopped(run, again)
    except KeyboardInterrupt:
        return _stopped(run, again)
    if reason is not None:
        return _told(run, f"stopped: {reason}", again)
    checks.require(run)
    return 0


def join_pool(run: Run, kinds: tuple[Kind, ...], stay: Stay) -> int:
    """Work as one of a pool: whoever started it shows the progress, and writes the report.

    Returns:
        The exit code: 0 if all is done, else 75.
    """
    try:
        reason = work_on(run, kinds, f"trimtab resume {run.dir}", stay, progress=Notes())
    except Exception:
        if stopping.received() is None:
            raise
        return stopping.LEFT
    except KeyboardInterrupt:
        return stopping.LEFT
    return 0 if reason is None else stopping.LEFT


def _finish(run: Run, stay: Stay) -> str | None:
    """Write the report, if no other does; return why this worker leaves before it is there."""
    with report_turn(run, stay) as mine:
        if not mine:
            return stay.end
        if finished.is_finished(run.dir):
            say(f"Nothing is left to do, and the report is there: {run.dir}/report/index.html")
        else:
            show_report(run)
            finished.mark(run.dir)
    return None


def _stopped(run: Run, again: str) -> int:
    signal = stopping.received()
    name = "a signal" if signal is None else signal.name
    return _told(run, f"stopped by {name}; nothing finished is lost", again)


def _told(run: Run, what: str, again: str) -> int:
    complain(f"{what}. Left: {left(run)}. Go on with: {again}")
    return stopping.LEFT
