"""Workers of a pool as forks of the pool's process: what a new Python would import is there."""

import contextlib
import os
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import IO, Any


class _Fork:
    """What ``subprocess.Popen`` is to a pool."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: dict[str, str],
        stdout: IO[bytes],
        pass_fds: Sequence[int],
        **_: Any,
    ) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _become(command, env, stdout.fileno(), pass_fds)


def _become(command: Sequence[str], env: dict[str, str], out: int, keep: Sequence[int]) -> None:
    code: object = 1
    try:
        os.setsid()
        for fd in map(int, os.listdir("/proc/self/fd")):
            if fd not in {0, 1, 2, out, *keep}:
                with contextlib.suppress(OSError):
                    os.close(fd)
        os.environ.update(env)
        from trimtab.cli.main import main

        sys.argv = ["trimtab", *command[command.index("trimtab") + 1 :]]
        with (
            open(out, "w", buffering=1, closefd=False) as said,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            main()
    except SystemExit as stop:
        code = stop.code
    finally:
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def fork_workers() -> None:
    """Have a pool of this process fork its workers."""
    from trimtab.compute.local import process

    subprocess = SimpleNamespace(Popen=_Fork, DEVNULL=None, STDOUT=None)
    process.subprocess = subprocess  # type: ignore[assignment]
