"""Import heavy libraries on first use, so that planning and reporting never load torch.

The idiom, in files that planning touches::

    if TYPE_CHECKING:
        import torch
    else:
        torch = lazy("torch")
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    """A module that imports itself at the first attribute access."""

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self.__name__), attribute)


def lazy(name: str) -> Any:
    """Return a stand-in for module ``name`` that imports it on first attribute access."""
    return _LazyModule(name)
