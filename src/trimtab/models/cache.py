"""Where converted weights, fetched packages and file hashes are kept between runs."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from trimtab.core.home import home
from trimtab.core.keys import content_key, file_sha256

try:
    import fcntl
except ImportError:  # Windows: two processes may do the same work; the first rename wins.
    fcntl = None  # type: ignore[assignment]


_SETTLED_S = 2.0
_SHA256 = re.compile(r"[0-9a-f]{64}")


OFF = "off"
"""In the place of a folder: activations are not kept; models are, where they usually are."""


def cache_dir() -> Path:
    """Return the cache folder: ``TRIMTAB_CACHE``, else ``~/.cache/trimtab``. It may not exist."""
    named = os.environ.get("TRIMTAB_CACHE")
    usual = named in (None, "", OFF)
    try:
        return Path("~/.cache/trimtab" if usual else str(named)).expanduser()
    except RuntimeError:  # there is no home folder
        return home() / "cache"


@contextlib.contextmanager
def building(target: Path) -> Iterator[Path | None]:
    """Yield an empty folder that becomes ``target`` at the end, or None if ``target`` exists.

    Processes that build the same target wait for one another; a build that raises leaves nothing.
    """
    if target.is_dir():
        yield None
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(target.name + ".lock")):
        if target.is_dir():
            yield None
            return
        prefix = f".building-{target.name}-"
        if fcntl is not None:  # the lock is ours, so whoever began these is dead
            for left in target.parent.glob(f"{prefix}*"):
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as temporary:
            folder = Path(temporary) / target.name
            folder.mkdir()
            yield folder
            # Where locks do not work another process may have been first; its folder is equal.
            if not target.is_dir():
                folder.rename(target)


def cached_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, remembered as long as nothing has written to it.

    Size and time of change alone would not tell: programs set that time. The time of the last
    change of the inode can't be set, and a file that another one replaces has another inode. A file
    that was written a moment ago is not remembered: its next change could bear the same time.
    """
    path = path.resolve()
    info = path.stat()
    state = [info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns]
    key = content_key([str(path), *state], 32)
    note = cache_dir() / "sha256" / key
    if note.is_file():
        known = note.read_text(encoding="ascii", errors="replace")
        if _SHA256.fullmatch(known):
            return known
    digest = file_sha256(path)
    if abs(time.time() - info.st_ctime) < _SETTLED_S:
        return digest
    # A cache that can't be written costs time, not correctness.
    with contextlib.suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False) as file:
            file.write(digest)
        Path(file.name).replace(note)
    return digest


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
