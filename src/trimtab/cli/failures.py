"""How a command ends that fails: one line on standard error, and an exit code.

What a user can cause or cure says so itself, and what stops a command from outside says which one
goes on. What the system refuses (a full disk, a missing permission) is told with the name of the
file. Anything else is a bug of trimtab: its traceback goes to a file, and the line says where.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import typer
from typer.core import TyperGroup

from trimtab.cli.terminal import complain
from trimtab.core import stopping
from trimtab.core.errors import MemoryShortError, StoreError, TrimtabError, is_out_of_memory
from trimtab.core.home import home
from trimtab.core.secrets import redact

_OF_A_SIGNAL = 128  # what shells add to its number
_OF_THE_SYSTEM = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.ENODEV, errno.ESTALE, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE,
    errno.ELOOP,
)  # fmt: skip


class Interrupted(Exception):
    """Something stopped the command from outside."""


class Commands(TyperGroup):
    """The commands; what interrupts one of them is told by ``main`` and not by typer."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise Interrupted from stop
        except BrokenPipeError as error:  # typer takes any for a reader of the output that left
            if any(map(_is_gone, (sys.stdout, sys.stderr))):
                raise
            raise RuntimeError("a pipe to another process broke") from error


def run(app: typer.Typer) -> int:
    """Run the command line; return its exit code."""
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (Interrupted, KeyboardInterrupt) as stop:
        return _interrupted(stop)
    except Exception as error:
        if stopping.received() is not None:  # whatever a library made of it
            return _interrupted(error)
        return _failed(error)


def _interrupted(stop: BaseException) -> int:
    number = stopping.received() or signal.SIGINT
    by = "" if number == signal.SIGINT else f" by {number.name}"
    how = stopping.how_to_go_on(stop) or "The same command goes on."
    complain(f"interrupted{by}; nothing finished is lost. {how}")
    return _OF_A_SIGNAL + number


def _failed(error: Exception) -> int:
    if isinstance(error, TrimtabError):
        complain(f"error: {error}")
        return error.exit_code
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
        what = error.filename if isinstance(error.filename, str) else "what a command writes to"
        complain(
            f"error: {what} can't be used: {error.strerror}. Repair that, then give the command "
            "again: nothing written before is lost."
        )
        _drop_output()
        return StoreError.exit_code
    if is_out_of_memory(error):
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        complain(
            f"error: memory is short: {said[:200]}. Use a smaller model, `dtype: bfloat16` or "
            "fewer workers; nothing written before is lost."
        )
        return MemoryShortError.exit_code
    return _of_command_line(error) or _unforeseen(error)


def _of_command_line(error: Exception) -> int | None:
    """Tell a mistake in the command line; return None if it is none.

    Typer brings the classes of such errors along, or takes click's: only what they offer is known.
    """
    code, message = getattr(error, "exit_code", None), getattr(error, "format_message", None)
    if not isinstance(code, int) or message is None:
        return None
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]
        return code
    context = getattr(error, "ctx", None)
    asked = f" `{context.command_path} --help` shows what there is." if context else ""
    complain(f"error: {message()}{asked}")
    return code


def _unforeseen(error: Exception) -> int:
    if isinstance(error, BrokenPipeError):
        _drop_output()
        return 1
    kind = type(error).__name__
    said = f"{kind}: {error}" if str(error) else kind
    place = _write_log("".join(traceback.format_exception(error)))
    where = f"its traceback is in {place}" if place else "its traceback could not be written"
    complain(f"error: unforeseen {said[:300]} (a bug of trimtab: please report it; {where})")
    return 1


def _is_gone(stream: IO[str]) -> bool:
    """Return whether nobody reads a stream any more; other pipes of the process may break, too."""
    try:
        state = select.poll()
        state.register(stream.fileno(), 0)
        return bool(state.poll(0))
    except (OSError, ValueError, AttributeError):  # it is no file, or the system can't say
        return True


def _drop_output() -> None:
    """Write nothing more to standard output: who read it has gone, or its disk is full."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # it is no file
        return


def _write_log(text: str) -> Path | None:
    """Write a traceback where this machine remembers things, or where temporary files go."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    for folder in (home() / "crashes", Path(tempfile.gettempdir())):
        path = folder / f"trimtab-{stamp}-{os.getpid()}.txt"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", errors="replace") as file:
                file.write(redact(text))
        except OSError:
            continue
        return path
    return None
