"""What stops a program from outside: Ctrl-C, a scheduler's SIGTERM, a terminal that is closed.

Each raises ``Stopped`` once, wherever the program is, so that files are closed and what goes on is
said; the next one ends the process at once. Records need neither, as they survive SIGKILL.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Those that ask a program to end."""

_NOTE = "Go on with: "
_received: list[signal.Signals] = []


class Stopped(KeyboardInterrupt):
    """A signal asked the program to end."""


def catch() -> None:
    """Raise ``Stopped`` at the first signal; one that is ignored (``nohup``) stays so."""
    tell = sys.unraisablehook

    def tell_others(about: sys.UnraisableHookArgs) -> None:
        if not isinstance(about.exc_value, Stopped):  # see ``again``
            tell(about)

    sys.unraisablehook = tell_others
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def again() -> None:
    """Raise ``Stopped`` if a signal has come: a library may have swallowed what it raised."""
    if _received:
        raise Stopped(_received[0].name)


def received() -> signal.Signals | None:
    """Return the signal that asked this program to end; None if there was none."""
    return _received[0] if _received else None


@contextmanager
def going_on_with(command: str) -> Iterator[None]:
    """Have what stops the block say which command goes on, unless something within has said so."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if not how_to_go_on(stop):
            stop.add_note(f"{_NOTE}{command}")
        raise


def how_to_go_on(stop: BaseException | None) -> str | None:
    """Return what was said of how to go on, by the error or by one that it came of."""
    while stop is not None:
        notes: list[str] = getattr(stop, "__notes__", [])
        for note in notes:
            if note.startswith(_NOTE):
                return note
        stop = stop.__cause__ or stop.__context__
    return None


def _raise(number: int, _: FrameType | None) -> None:
    for each in SIGNALS:
        if signal.getsignal(each) is _raise:
            signal.signal(each, signal.SIG_DFL)
    _received.append(signal.Signals(number))
    raise Stopped(signal.Signals(number).name)
