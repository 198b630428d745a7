"""Files of a report, written aside and moved into place when all of them are there.

A full disk or a kill leaves the old report as it was. Links in a run directory are never followed:
who made the run could have pointed them anywhere.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trimtab.core.errors import StoreError
from trimtab.core.files import make_dir, write_error
from trimtab.core.seals import forget_earlier, seal_together
from trimtab.core.temporary import temporary


class Stage:
    """Where the files of a report are until all are written.

    Attributes:
        target: The folder that they are moved to.
        aside: The folder that they are in.
    """

    def __init__(self, target: Path, aside: Path) -> None:
        """Take the folders; ``aside`` exists and is empty."""
        self.target, self.aside = target, aside

    def folder(self, name: str) -> Path:
        """Return a folder, below which anything may be written."""
        path = self.aside / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name: str, text: str) -> Path:
        """Write a file; return where it will be."""
        path = self.aside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace", newline="\n")
        return self.target / name

    def finish(self) -> tuple[Path, ...]:
        """Move every file into place and return them; what they hold is noted."""
        files = sorted(path for path in self.aside.rglob("*") if path.is_file())
        names = [path.relative_to(self.aside) for path in files]
        for folder in sorted({parent for name in names for parent in name.parents}):
            self._make(self.target / folder)
        folders = {name.parent for name in names}
        for folder in folders:
            moved = {n.name: p for p, n in zip(files, names, strict=True) if n.parent == folder}
            seal_together(self.target / folder, moved)
        for path, name in zip(files, names, strict=True):
            os.replace(path, self.target / name)
        for folder in folders - {Path()}:  # that of the run holds more than the report
            forget_earlier(self.target / folder)
        return tuple(self.target / name for name in names)

    def _make(self, folder: Path) -> None:
        if folder != self.target and folder.is_symlink():
            raise StoreError(
                f"{folder} is a link, and a report is written into no other folder than the run.",
                hint="Remove the link, then write the report again.",
            )
        folder.mkdir(exist_ok=True)


@contextmanager
def staged(target: Path) -> Iterator[Stage]:
    """Give a stage for files of ``target``; raise StoreError if they can't be written."""
    aside = temporary(target / "report")
    try:
        make_dir(target)
        aside.mkdir()
        yield Stage(target, aside)
    except OSError as error:
        path = Path(error.filename) if isinstance(error.filename, str) else target / "report"
        known = target / path.relative_to(aside) if path.is_relative_to(aside) else path
        raise write_error(known, OSError(error.errno, error.strerror), 0) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
