"""Where this machine remembers what belongs to no run: ``TRIMTAB_HOME``, else ``~/.trimtab``."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Return the folder; it may not exist, and may not be writable."""
    named = os.environ.get("TRIMTAB_HOME")
    try:
        return Path(named or "~/.trimtab").expanduser()
    except RuntimeError:  # there is no home folder
        return Path(".trimtab")
