"""How a command ends that fails: one line on standard error, and an exit code.

What a user can cause or cure says so itself. Anything else is a bug of trimtab: its traceback goes
to a file, and the line says where that is.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from trimtab.cli.terminal import complain
from trimtab.core.errors import TrimtabError
from trimtab.core.home import home
from trimtab.core.secrets import redact

INTERRUPTED = 130


class Interrupted(Exception):
    """Ctrl-C, with what the command says of how to go on."""


class Commands(TyperGroup):
    """The commands; what interrupts one of them is told by ``main`` and not by typer."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise Interrupted(*getattr(stop, "__notes__", ())) from stop


def run(app: typer.Typer) -> int:
    """Run the command line; return its exit code."""
    try:
        code = app(standalone_mode=False)
        return code if isinstance(code, int) else 0
    except TrimtabError as error:
        complain(f"error: {error}")
        return error.exit_code
    except (Interrupted, KeyboardInterrupt) as stop:
        how = " ".join(map(str, stop.args)) or "The same command goes on."
        complain(f"interrupted; nothing finished is lost. {how}")
        return INTERRUPTED
    except Exception as error:
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
        # who read the output has gone; nothing more can be told there
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    kind = type(error).__name__
    said = f"{kind}: {error}" if str(error) else kind
    place = _write_log("".join(traceback.format_exception(error)))
    where = f"its traceback is in {place}" if place else "its traceback could not be written"
    complain(f"error: unforeseen {said[:300]} (a bug of trimtab: please report it; {where})")
    return 1


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
