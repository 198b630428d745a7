"""What stops a program: it says so once, ends at the second time, and hears nothing that is off."""

import signal
import subprocess
import sys

import pytest

from trimtab.core import stopping

_PROGRAM = """
import os, signal, sys, time
number = getattr(signal, sys.argv[1])
if "ignored" in sys.argv:
    signal.signal(number, signal.SIG_IGN)
else:  # whatever this program was started under
    signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
from trimtab.core import stopping
stopping.catch()
def send():
    os.kill(os.getpid(), number)
    time.sleep(0.05)
try:
    with stopping.going_on_with("trimtab work x"), stopping.going_on_with("trimtab resume x"):
        try:
            send()
        except KeyboardInterrupt:
            if "twice" in sys.argv:
                send()
            raise
    print("went on")
except KeyboardInterrupt as stop:
    print(stop, stopping.received().name, stopping.how_to_go_on(stop))
    try:
        stopping.again()
    except stopping.Stopped:
        print("still stopped")
"""

_WORKER = """
import os, signal, sys, time
from trimtab.core import stopping
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
stopping.latch(float(sys.argv[1]))
rows = 0
try:
    for name in sys.argv[2:]:
        os.kill(os.getpid(), getattr(signal, name))
        rows += 1
    time.sleep(0.3)
    print("slept")
    stopping.again()
    print("went on")
except stopping.Stopped as stop:
    print(rows, stop, stopping.received().name, signal.getitimer(signal.ITIMER_REAL)[0] == 0)
"""

_ENDS_SLOWLY = """
import os, signal, sys, time
from trimtab.core import stopping
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.6)
kept = Slow()  # goes when the interpreter has given back its handlers
stopping.latch(0.3)
os.kill(os.getpid(), signal.SIGTERM)
print("done")
"""


def ends(*argv: str, program: str = _PROGRAM) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *argv], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_each_signal_stops_once_and_ends_the_second_time(name: str) -> None:
    said = f"{name} {name} Go on with: trimtab resume x\nstill stopped\n"
    assert ends(name) == (0, said)
    assert ends(name, "twice") == (-getattr(signal, name), "")
    assert ends(name, "ignored") == (0, "went on\n")


def test_how_to_go_on_is_found_behind_what_became_of_the_signal() -> None:
    stop = KeyboardInterrupt()
    stop.add_note("Go on with: trimtab score x")
    error = OSError("the terminal is gone")
    error.__context__ = stop
    assert stopping.how_to_go_on(error) == "Go on with: trimtab score x"
    assert stopping.how_to_go_on(ValueError()) is None and stopping.received() is None


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR2"])
def test_a_latched_signal_waits_for_the_end_of_the_row_and_the_first_one_counts(name: str) -> None:
    sent = ("SIGCONT", name, "SIGTERM", "SIGUSR2", "SIGCONT")
    assert ends("60", *sent, program=_WORKER) == (0, f"slept\n5 {name} {name} True\n")


def test_a_row_that_takes_longer_than_the_grace_is_abandoned() -> None:
    assert ends("0.05", "SIGUSR2", program=_WORKER) == (0, "1 SIGUSR2 SIGUSR2 True\n")


def test_a_second_interrupt_of_a_worker_ends_it_and_what_is_ignored_stays_so() -> None:
    assert ends("60", "SIGINT", "SIGINT", program=_WORKER) == (-signal.SIGINT, "")
    assert ends("60", "SIGHUP", "SIGCONT", program=_WORKER) == (0, "slept\nwent on\n")


def test_no_alarm_hits_what_has_finished() -> None:
    assert ends(program=_ENDS_SLOWLY) == (0, "done\n")
