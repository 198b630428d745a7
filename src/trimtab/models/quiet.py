"""Keep the progress bars of transformers off the terminal; trimtab shows its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trimtab.core.lazy import lazy

if TYPE_CHECKING:
    from transformers.utils import logging
else:
    logging = lazy("transformers.utils.logging")


@contextmanager
def quiet() -> Iterator[None]:
    """Turn progress bars off inside the block, and back on if they were on."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
