"""What a command started is found and ended wherever it has gone; nothing else is touched."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.compute.chaos.commands import MARK, Commands, limited, mishaps

# leaves a process in a session of its own behind, as a launcher of workers may
_LEAVES = "import subprocess as s; s.Popen(['sleep', '60'], start_new_session=True)"


def _start(argv, environment, logs, limit):
    for path in logs:
        path.touch()
    return subprocess.Popen(
        [sys.executable, "-c", *argv], env={**os.environ, **environment}, start_new_session=True
    )


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    some = Commands(tmp_path, {MARK: f"test-{os.getpid()}"}, _start)
    yield some
    some.close()


@pytest.mark.skipif(not Path("/proc/self/environ").is_file(), reason="there is no /proc here")
def test_what_has_left_its_group_is_found_and_ended(commands: Commands) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        assert commands.run([_LEAVES]) == []
        left = commands.left()
        assert left is not None and len(left) == 1 and other.pid not in left
        commands.close()
        end = time.monotonic() + 10
        while commands.left() and time.monotonic() < end:
            time.sleep(0.01)
        assert commands.left() == []
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_command_that_hangs_is_ended_and_told(commands: Commands) -> None:
    command = commands.start(["import time; time.sleep(60)"])
    assert command.send(signal.SIGCONT)
    assert "no end within 0 seconds" in command.wait((0,), 0.1)[0]
    assert command.code == -signal.SIGKILL
    assert not command.send(signal.SIGKILL)


def test_limited_processes_write_no_larger_file(tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[1], 'wb', 0).write(bytes(9000))"
    path = tmp_path / "file"
    subprocess.run([sys.executable, "-c", code, str(path)], preexec_fn=limited(4096), check=True)
    assert path.stat().st_size == 4096


def test_mishaps_are_codes_that_were_not_expected_and_tracebacks() -> None:
    assert mishaps(75, "", "", (0, 75)) == []
    assert mishaps(6, "", "error: the disk is full", (0,)) == [
        "exit code 6: error: the disk is full"
    ]
    assert mishaps(0, "", "Traceback (most recent call last)\nX", (0,)) == ["a traceback: X"]
