"""Run the command line in processes that can be killed, without paying for imports each time.

A fork server imports torch and transformers once; each command is a fork of it, in a process of its
own, so that SIGKILL hits what a user's kill -9 would hit.
"""

import contextlib
import multiprocessing as mp
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trimtab.compute.chaos.commands import limited

_PRELOAD = [
    "torch",
    "transformers",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
    "trimtab.engine.engine",
    "trimtab.engine.chat",
    "trimtab.models.load",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "trimtab.reports.sections.effects.figures",
    "trimtab.cli.phases",
]
_context = mp.get_context("forkserver")
_context.set_forkserver_preload(_PRELOAD)


@dataclass(frozen=True)
class Finished:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


def _child(
    argv: list[str], out: str, err: str, threads: int, prepare: Callable[[], None] | None
) -> None:
    import torch

    if prepare is not None:
        prepare()
    torch.set_num_threads(threads)
    # tests that run in the background of a shell inherit that it is ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from trimtab.cli.main import main

    sys.argv = ["trimtab", *argv]
    with (
        open(out, "w", buffering=1) as o,
        open(err, "w", buffering=1) as e,
        contextlib.redirect_stdout(o),
        contextlib.redirect_stderr(e),
    ):
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


class Command:
    """A running command."""

    def __init__(
        self,
        argv: list[str],
        log_dir: Path,
        threads: int = 1,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Start it; ``prepare`` is called in its process first (limits, variables)."""
        log_dir.mkdir(parents=True, exist_ok=True)
        stamp = f"{time.time_ns()}"
        self._out, self._err = log_dir / f"{stamp}.out", log_dir / f"{stamp}.err"
        self.process = _context.Process(
            target=_child, args=(argv, str(self._out), str(self._err), threads, prepare)
        )
        self.process.start()

    def wait(self, timeout: float = 240) -> Finished:
        """Wait for the end."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, f"still running after {timeout} s"
        return self._finished()

    def kill_when(self, condition: Callable[[], bool]) -> bool:
        """SIGKILL as soon as ``condition`` holds; return whether it still ran then."""
        while self.process.exitcode is None:
            if condition():
                self.process.kill()
                self.process.join()
                return self.process.exitcode == -9
            # what looks takes the time of what it looks at
            time.sleep(0.005)
        return False

    def _finished(self) -> Finished:
        read = [p.read_text() if p.exists() else "" for p in (self._out, self._err)]
        assert self.process.exitcode is not None
        return Finished(self.process.exitcode, *read)


def trimtab(argv: list[str], log_dir: Path, threads: int = 1) -> Finished:
    """Run a command to its end."""
    return Command(argv, log_dir, threads).wait()


def with_variables(values: dict[str, str]) -> None:
    """Set environment variables; to be what is prepared for a command."""
    os.environ.update(values)


class Forked:
    """A command as ``trimtab.compute.chaos.commands.launch`` starts it, without its imports."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        logs: tuple[Path, Path],
        limit: int | None,
    ) -> None:
        """Start it in a process group of its own."""
        prepare = partial(_prepare, dict(environment), limit)
        self._command = Command(list(argv), logs[0].parent / "forked", prepare=prepare)
        for link, path in zip(logs, (self._command._out, self._command._err), strict=True):
            path.touch()
            link.symlink_to(path)
        assert self._command.process.pid is not None
        self.pid: int = self._command.process.pid

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        return self._command.process.exitcode


def _prepare(environment: dict[str, str], limit: int | None) -> None:
    os.setsid()
    os.environ.update(environment)
    if limit is not None:
        limited(limit)()
