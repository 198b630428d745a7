"""Where messages go: to the terminal for people, to a file for the attempt.

Modules log through ``logging.getLogger(__name__)``; nothing is set up until a program asks for it.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trimtab.core.errors import StoreError
from trimtab.core.secrets import redact
from trimtab.text.escapes import printable

_ROOT = "trimtab"


def setup(level: int = logging.INFO) -> None:
    """Show messages of ``level`` and above on stderr: in colour on a terminal, else plain lines.

    Calling it again replaces what the last call set up.
    """
    logger = logging.getLogger(_ROOT)
    for handler in [h for h in logger.handlers if h.get_name() == "console"]:
        logger.removeHandler(handler)
    handler = _console()
    handler.set_name("console")
    handler.setLevel(level)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append everything from DEBUG on, with times in UTC, to ``path`` while the block runs.

    Raises:
        StoreError: The file can't be opened.
    """
    try:
        handler = _AttemptLog(path, encoding="utf-8", errors="replace")
    except OSError as error:
        raise StoreError(f"The log {path} can't be opened: {error.strerror or error}.") from error
    handler.setFormatter(_utc_lines())
    logger = logging.getLogger(_ROOT)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


class _WithoutSecrets(logging.Formatter):
    """Messages and tracebacks in which known secrets are hidden."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _AttemptLog(logging.FileHandler):
    """A log file that a full disk silences: the rows' own error is the one to show."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def _console() -> logging.Handler:
    if not sys.stderr.isatty():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_WithoutSecrets("%(levelname)s %(message)s"))
        return handler
    from rich.console import Console
    from rich.logging import RichHandler

    # Markup is off: messages may hold square brackets, and model output must stay as it is.
    coloured = RichHandler(
        console=Console(stderr=True), show_path=False, markup=False, log_time_format="%H:%M:%S"
    )
    coloured.setFormatter(_WithoutSecrets("%(message)s"))
    return coloured


class _Lines(_WithoutSecrets):
    """Lines of a file that may be shown in a terminal: what they quote does nothing there."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _utc_lines() -> logging.Formatter:
    formatter = _Lines("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    return formatter
