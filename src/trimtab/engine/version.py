"""Which engine it is: a number that keys of plans hold, and a hash of the code itself. No torch."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from trimtab.core.keys import content_key

ENGINE_VERSION = 2
"""Part of every key of cells and fits; raise it when the engine's output changes its meaning."""


@cache
def code_hash() -> str:
    """Return a hash of this package's code that computes models: no number has to be raised."""
    root = Path(__file__).parent
    files = sorted([*root.rglob("*.py"), *(root.parent / "models").glob("*.py")])
    return content_key([[path.name, path.read_text(encoding="utf-8")] for path in files], 32)
