"""What stops a program from outside: Ctrl-C, a scheduler's SIGTERM, a terminal that is closed.

Each raises ``Stopped`` once, wherever the program is, so that files are closed and what goes on is
said; the next one ends the process at once. A worker that a scheduler stops latches them instead:
the row in hand is finished first. Records need neither, as they survive SIGKILL.
"""

from __future__ import annotations

import atexit
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Those that ask a program to end."""

WARNINGS = (signal.SIGUSR2,)
"""Those with which a scheduler announces the end: SLURM's preemption and time limit."""

GRACE_S = 20.0
"""How long a latched signal waits for ``again``; SLURM kills 30 s after SIGTERM where it is not set
otherwise."""

LEFT = 75
"""Exit code of a worker that leaves work to others, as ``sysexits.h`` has it."""

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


def latch(grace_s: float = GRACE_S) -> None:
    """Have a signal, from now on, raise ``Stopped`` where ``again`` is next asked.

    If that takes longer than ``grace_s`` seconds, it is raised wherever the program is. The first
    signal counts, and those after it change nothing, as schedulers send several; but a second
    SIGINT ends the process at once. SIGCONT has no effect but to wake a program that sleeps.
    """

    def note(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
        if not _received:
            _received.append(signal.Signals(number))
            signal.setitimer(signal.ITIMER_REAL, grace_s)

    def overdue(_: int, __: FrameType | None) -> None:
        again()

    signal.signal(signal.SIGALRM, overdue)
    # an interpreter that ends gives back the handler first: an alarm would kill what has finished
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
    for number in (*SIGNALS, *WARNINGS):
        if number in WARNINGS or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, note)


def again() -> None:
    """Raise ``Stopped`` if a signal has come: it was latched, or a library swallowed the error."""
    if _received:
        signal.setitimer(signal.ITIMER_REAL, 0)  # what ends now is not to be hit once more
        raise Stopped(_received[0].name)


def ask(number: signal.Signals = signal.SIGTERM) -> None:
    """Have ``again`` raise ``Stopped`` as if a signal had come: another thread was told to end."""
    if not _received:
        _received.append(number)


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
