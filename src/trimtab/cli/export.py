"""``export``: what a run holds, written for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.cli.phases import open_to_read
from trimtab.cli.terminal import wide_console
from trimtab.core.lazy import lazy
from trimtab.search.sampling import require_optuna

if TYPE_CHECKING:
    from trimtab.search import mirror
else:
    mirror = lazy("trimtab.search.mirror")


def study(run_dir: Path, to: str, *, trusted: bool = False) -> None:
    """Write the search of a run as a study of Optuna's.

    Args:
        run_dir: The run, in whatever state it is.
        to: A file, or the address of a database.
        trusted: Whether the user trusts the run.

    Raises:
        ConfigError: Optuna is not installed, or the address is none.
        StoreError: The study can't be written, or the run searches nothing.
    """
    require_optuna("tpe")
    opened = mirror.export(open_to_read(run_dir, trusted=trusted), to)
    wide_console().print(f"Open it with: optuna-dashboard {opened}", soft_wrap=True)
