"""The folder of kept captures: bounded in size, least recently used go first. No torch here.

Each capture is a folder, ``<key>-<hash of its layers>``, with the activations, ``about.json`` and
the checksums of both; it appears whole, by one rename. Whoever reads one holds a shared lock on its
``about.json``, so that nobody removes it meanwhile. The time of that file's last change is when the
capture was last used.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.core.errors import ConfigError, HeldError, StoreError
from trimtab.core.files import make_dir, sync_dir
from trimtab.core.keys import content_key
from trimtab.core.locks import locked
from trimtab.core.records import read_json
from trimtab.core.seals import check_files, known_sums, seal_files
from trimtab.core.temporary import sweep, temporary
from trimtab.models.cache import OFF, cache_dir

ACTIVATIONS, ABOUT = "activations.safetensors", "about.json"
KEY_LENGTH = 24
_LOCKS = ".locks"
GB = 10**9
_USUAL_GB = 20.0
_SPARE = GB
"""Bytes of the disk that are left to what can't be had again."""


class DamagedError(StoreError):
    """A capture is not what was written: it must not be used, and may be removed."""


@dataclass(frozen=True)
class Kept:
    """A capture in the folder.

    Attributes:
        folder: Where it is; its name is that of the capture.
        about: What ``about.json`` says: ``hashed``, ``layers``, ``rows``, ``model``; empty if it
            can't be read.
        size: Bytes.
        made: When, in seconds since 1970.
        used: When it was last used.
    """

    folder: Path
    about: dict[str, Any]
    size: int
    made: float
    used: float

    @property
    def layers(self) -> tuple[int, ...]:
        """The 0-based blocks that were read."""
        return tuple(self.about.get("layers", ()))


def name_of(key: str, layers: Sequence[int]) -> str:
    """Return the name of the capture of ``layers`` that is determined by what ``key`` hashes."""
    return f"{key}-{content_key(list(layers), 8)}"


def most_bytes() -> int:
    """Return how much captures may take, from ``TRIMTAB_CACHE_GB``; raise ConfigError."""
    said = os.environ.get("TRIMTAB_CACHE_GB", "").strip() or str(_USUAL_GB)
    try:
        number = float(said)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ConfigError(
            f"TRIMTAB_CACHE_GB = {said!r} is no number of gigabytes.",
            hint="Give a number such as 20, or 0 to keep no activations.",
        )
    return int(number * GB)


class Store:
    """The captures of a folder."""

    def __init__(self, folder: Path, most: int) -> None:
        """Take the folder, which may not exist, and the bytes that it may hold."""
        self.folder = folder
        self.most = most

    @classmethod
    def here(cls) -> Store:
        """Return that of this machine, below ``TRIMTAB_CACHE``; raise ConfigError."""
        return cls(cache_dir() / "activations", most_bytes())

    @property
    def is_on(self) -> bool:
        """Whether captures are to be kept at all."""
        return self.most > 0 and os.environ.get("TRIMTAB_CACHE") != OFF

    def kept(self) -> list[Kept]:
        """Return all captures, the least recently used first; raise StoreError."""
        with _reading(self.folder):
            named = sorted(os.listdir(self.folder)) if self.folder.is_dir() else []
            found = [_look(self.folder / name) for name in named if not name.startswith(".")]
        return sorted((one for one in found if one is not None), key=lambda one: one.used)

    def with_key(self, key: str, layers: Sequence[int]) -> list[Kept]:
        """Return the captures of ``key`` that hold ``layers``: of these alone, then the smallest.

        What is damaged is among them, if its name is that of a capture of ``layers``.
        """
        with _reading(self.folder):
            found = [_look(path) for path in sorted(self.folder.glob(f"{key}-*"))]
        name = name_of(key, layers)
        fitting = [
            one
            for one in found
            if one is not None and (one.folder.name == name or set(layers) <= set(one.layers))
        ]
        return sorted(fitting, key=lambda one: (one.folder.name != name, len(one.layers)))

    @contextlib.contextmanager
    def holding(self, kept: Kept) -> Iterator[bool]:
        """Keep a capture from being removed, and note that it is used; yield whether it is there.

        Raises:
            DamagedError: It is not what was written there.
            StoreError: It can't be read, or the file system knows no locks.
        """
        path = kept.folder / ABOUT
        with contextlib.ExitStack() as held:
            with _reading(path), contextlib.suppress(FileNotFoundError):
                fd = os.open(path, os.O_RDONLY)
                held.callback(os.close, fd)
                fcntl.flock(fd, fcntl.LOCK_SH)
                # a process that is forked meanwhile has it open, and would go on holding it
                held.callback(fcntl.flock, fd, fcntl.LOCK_UN)
            is_there = kept.folder.is_dir()
            if is_there:
                _check(kept.folder)
                with contextlib.suppress(OSError):  # somebody else's, to be read alone
                    os.utime(path)
            yield is_there

    @contextlib.contextmanager
    def capturing(self, key: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Let no other process make a capture of ``key`` meanwhile; raise StoreError.

        ``waiting`` is called if one does so now, before it is waited for.
        """
        path = self.folder / _LOCKS / key
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(locked(path, wait=False))
            except HeldError:
                waiting()
                held.enter_context(locked(path))
            yield

    @contextlib.contextmanager
    def adding(self, name: str) -> Iterator[Path]:
        """Yield an empty folder that becomes the capture ``name`` at the end, unless that raises.

        Raises:
            OSError, StoreError: It can't be written.
        """
        target = self.folder / name
        half = temporary(target)
        make_dir(half)
        try:
            yield half
            seal_files(half)
            sync_dir(half)
            try:
                half.rename(target)
            except OSError:
                if not target.is_dir():  # else another process has made the same one
                    raise
            sync_dir(self.folder)
        finally:
            shutil.rmtree(half, ignore_errors=True)

    def make_room(self, size: int) -> str | None:
        """Remove the least recently used until ``size`` bytes more are within the bound.

        What dead processes left half written goes first. Return why there is no room, None if there
        is; raise StoreError.
        """
        bound = f"TRIMTAB_CACHE_GB allows {self.most / GB:g} in all"
        if size > self.most:
            return bound
        sweep(self.folder)
        if self.prune_to(self.most - size) > self.most - size:
            return f"{bound}, and what is there is in use"
        with _reading(self.folder):
            free = shutil.disk_usage(self.folder).free
        return None if free >= size + _SPARE else f"the disk has {free / GB:.2f} left"

    def prune_to(self, most: int) -> int:
        """Remove the least recently used until at most ``most`` bytes are left; return how many."""
        kept = self.kept()
        left = self.size()
        for one in kept:
            if left <= most:
                break
            left -= one.size if self.remove(one) else 0
        return left

    def remove(self, kept: Kept) -> bool:
        """Remove a capture; return False for one that is in use. Raises StoreError."""
        with _writing(kept.folder), contextlib.ExitStack() as opened:
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(kept.folder / ABOUT, os.O_RDONLY)
                opened.callback(os.close, fd)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
            self.discard(kept.folder)
        key = kept.folder.name.rpartition("-")[0]
        if key and not list(self.folder.glob(f"{key}-*")):
            self._remove_lock(key)
        return True

    def discard(self, folder: Path) -> None:
        """Remove a capture, whoever reads it: what is open stays readable. Raises StoreError."""
        gone = temporary(folder)
        with _writing(folder), contextlib.suppress(FileNotFoundError):
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def size(self) -> int:
        """Return the bytes of all captures, with those that are being made."""
        with _reading(self.folder):
            return _size(self.folder)

    def _remove_lock(self, key: str) -> None:
        path = self.folder / _LOCKS / key
        # two that capture the same at one time do no harm: they write the same
        with contextlib.suppress(OSError, HeldError, StoreError), locked(path, wait=False):
            path.unlink()


def _look(folder: Path) -> Kept | None:
    """Return the capture in ``folder``; None for what is none, or is gone by now."""
    try:
        made, size = folder.stat().st_mtime, _size(folder)
        used = (folder / ABOUT).stat().st_mtime
        about = read_json(folder / ABOUT)
    except FileNotFoundError:
        return Kept(folder, {}, _size(folder), 0.0, 0.0) if folder.is_dir() else None
    except (StoreError, NotADirectoryError):
        return Kept(folder, {}, size, made, used) if folder.is_dir() else None
    shaped = isinstance(about, dict) and isinstance(about.get("layers"), list)
    return Kept(folder, about if shaped else {}, size, made, used)


def _size(folder: Path) -> int:
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def _check(folder: Path) -> None:
    """Raise DamagedError if a capture is not what was written, StoreError if it can't be read."""
    for name in (ACTIVATIONS, ABOUT):
        with _reading(folder / name), contextlib.suppress(FileNotFoundError):
            (folder / name).open("rb").close()
        if name not in known_sums(folder):
            raise DamagedError(f"{folder} lacks the checksum of {name}.")
    try:
        check_files(folder)
    except StoreError as error:
        raise DamagedError(error.message) from error


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror or error}.") from error


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} can't be removed: {error.strerror or error}.",
            hint="Change its permissions, or those of the folder that it is in.",
        ) from error
