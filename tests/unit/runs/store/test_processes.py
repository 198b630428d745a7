"""A process is alive, dead, or out of sight; one of its id that began later is another."""

import os
import subprocess
import sys
from typing import Any

import pytest

from trimtab.runs.store import processes
from trimtab.runs.store.processes import Process

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc to look into")


@pytest.fixture
def here() -> Process:
    return Process.current()


def test_this_process_lives_and_comes_back_from_json(here: Process) -> None:
    assert here.pid == os.getpid() and here.is_alive() is True
    assert Process.model_validate_json(here.model_dump_json()) == here == Process.current()


@linux
@pytest.mark.parametrize(
    ("changes", "alive"),
    [
        ({"start": 1}, False),  # its id was given to this one
        ({"boot": "another"}, None),  # a copy of this machine, or this one before it began again
        ({"boot": ""}, None),
        ({"host": "elsewhere"}, None),
        ({"machine": "of the same name"}, None),
        ({"namespace": "pid:[1]"}, None),  # a container on this machine
        ({"host": "elsewhere", "boot": "another"}, None),
        ({"start": None}, True),
    ],
)
def test_what_can_be_seen_of_another_one(
    here: Process, changes: dict[str, Any], alive: bool | None
) -> None:
    assert here.model_copy(update=changes).is_alive() is alive


@linux
def test_one_that_ended_is_dead_before_and_after_it_is_waited_for(here: Process) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    stat = f"/proc/{child.pid}/stat"
    with open(stat) as file:
        start = int(file.read().rpartition(")")[2].split()[19])
    other = here.model_copy(update={"pid": child.pid, "start": start})
    assert other.is_alive() is True
    assert other.model_copy(update={"start": start - 1}).is_alive() is False
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert other.is_alive() is False, "a zombie"
    child.wait()
    assert other.is_alive() is False


@linux
def test_a_name_with_spaces_and_parentheses_hides_nothing() -> None:
    code = (
        "from pathlib import Path; from trimtab.runs.store.processes import Process;"
        "plain = Process.current(); Path('/proc/self/comm').write_text('a) Z (b');"
        "odd = Process.current(); print(odd == plain, odd.is_alive())"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True"]


@linux
def test_a_process_of_another_user_lives(here: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)
    assert here.is_alive() is True


def test_where_no_boot_is_known_nothing_is_known_of_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "boot_id", lambda: None)
    assert Process.current().is_alive() is None
