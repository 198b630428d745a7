"""Bytes to files, so that a crash or a full disk leaves nothing half done."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import stat
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from trimtab.core.errors import NonFiniteError, StoreError
from trimtab.core.temporary import temporary

# Bytes that are looked at in one go: fewer than a processor's cache holds.
_PART = 1 << 18
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_all(fd: int, data: bytes) -> None:
    """Write every byte of ``data``: one ``os.write`` may take less than it is given."""
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written == 0:
            raise OSError(errno.EIO, "no byte was written")
        view = view[written:]


def append_synced(path: Path, data: bytes) -> None:
    """Append ``data`` to ``path``, made if need be, and sync it; raise StoreError if that fails."""
    try:
        fd = create_or_append(path)
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise write_error(path, error, len(data)) from error


def replace_file(path: Path, data: bytes) -> None:
    """Give ``path`` the content ``data``, whole or not at all; raise StoreError if that fails."""
    written = temporary(path)
    try:
        fd = create_file(written)
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.replace(written, path)
        sync_dir(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            written.unlink()
        raise write_error(path, error, len(data)) from error


def create_whole(path: Path, data: bytes) -> bool:
    """Make ``path`` with the content ``data``, whole or not at all; return False if it exists.

    Of several processes that try, one succeeds, on network file systems too: the file appears under
    its name by a hard link, which is made once. Raise StoreError if that fails.
    """
    written = temporary(path)
    try:
        fd = create_file(written)
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.link(written, path)
        sync_dir(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise write_error(path, error, len(data)) from error
    finally:
        with contextlib.suppress(OSError):
            written.unlink()
    return True


def remove_half_written(folder: Path) -> None:
    """Remove what a killed ``replace_file`` left in ``folder``, where nobody may be writing."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def create_file(path: Path) -> int:
    """Make ``path``, which must not exist, and return its descriptor; its folders are made too."""
    make_dir(path.parent)
    fd = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
    try:
        sync_dir(path.parent)
    except OSError:
        os.close(fd)
        raise
    return fd


def create_or_append(path: Path, mode: int = 0o666) -> int:
    """Return the descriptor of a file that is appended to, and may be read; it is made if need be.

    What a folder from elsewhere may hold in its place is neither followed (a link) nor waited for
    (a pipe). A file that has further names (hard links) gets a copy of its own first: what is added
    concerns this name alone.

    Raises:
        OSError: It can't be opened, or is no regular file.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
    fd = os.open(path, flags, mode)
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if info.st_nlink < 2:
            return fd
        data = read_bytes(path)
    except (OSError, StoreError):
        os.close(fd)
        raise
    os.close(fd)
    replace_file(path, data)
    return os.open(path, flags, mode)


def make_dir(folder: Path) -> None:
    """Make ``folder`` and what lies above it, and put the new names on the disk."""
    if not folder.is_dir():
        make_dir(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_dir(folder.parent)


def sync_dir(folder: Path) -> None:
    """Put a folder's entries on the disk; a synced file whose name is lost is lost."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some network file systems can't sync a folder; they write its entries through.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def write_error(path: Path, error: OSError, missing: int) -> StoreError:
    """Return the error to raise when ``missing`` bytes of ``path`` could not be written."""
    if error.errno == errno.EEXIST and error.filename == str(path):
        return StoreError(
            f"{path} exists already, and a segment has one writer only.",
            hint="Resume the run: each attempt writes to new files.",
        )
    if error.errno == errno.ELOOP and path.is_symlink():
        return StoreError(
            f"{path} is a link, and nothing is written through one.",
            hint="Put a file of its own in its place.",
        )
    cure = "Free space (or raise the quota)" if error.errno in _FULL else "Repair that"
    needed = f"; {missing} more bytes were needed" if missing else ""
    return StoreError(
        f"{path} can't be written: {error.strerror or error}{needed}.",
        hint=f"{cure}, then resume the run: nothing written before is lost.",
    )


def read_bytes(path: Path, start: int = 0) -> bytes:
    """Return what a regular file holds from a byte on; raise StoreError if it can't be read."""
    with _opened(path) as file:
        file.seek(start)
        return file.read()


def count_lines(path: Path) -> int:
    """Return how many whole lines a regular file holds; raise StoreError if it can't be read."""
    with _opened(path) as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(_PART), b""))


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file to read; a pipe, device or socket is refused and never waited for.

    Raises:
        OSError: It can't be opened, or is no regular file.
    """
    kind = _KINDS.get(stat.S_IFMT(os.stat(path).st_mode))
    if kind is not None:
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        is_folder = Path(path).is_dir()
        code, what = (
            (errno.EISDIR, "Is a directory") if is_folder else (errno.EINVAL, "it is no file")
        )
        raise OSError(code, what, str(path))
    return open(fd, "rb")


_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_whole(path: Path) -> bytes:
    """Return what a file that somebody named holds; errors as ``open_regular``."""
    with open_regular(path) as file:
        return file.read()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Give a regular file to read; raise StoreError if it can't be read.

    A pipe or a device, which a folder from elsewhere may hold, is refused and never waited for.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise StoreError(f"{path} is no regular file.", hint="Remove it from the run.")
        with open(fd, "rb") as file:
            yield file
    except FileNotFoundError:
        if path.is_symlink():
            raise StoreError(
                f"{path} is a link to nothing ({os.readlink(path)}).",
                hint="Put back what it points to, or remove it.",
            ) from None
        raise StoreError(f"{path} does not exist.", hint="Is this the right folder?") from None
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror or error}.") from error


def dumps(value: Any, where: str, **style: Any) -> bytes:
    """Return ``value`` as JSON and a line feed; floats in their shortest round-trip form.

    Raises:
        NonFiniteError: The value holds NaN or infinity; the message begins with ``where``.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, **style) + "\n"
    except ValueError:
        place = _non_finite(value, "")
        if place is None:
            raise
        raise NonFiniteError(
            f"{where} would hold a non-finite number at {place!r}.",
            hint="Nothing of it was written; a value that is missing must be None, with an error.",
        ) from None
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half a UTF-16 pair, as a broken endpoint may send: the text is kept, with U+FFFD there.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _non_finite(value: Any, place: str) -> str | None:
    if isinstance(value, float):
        return None if math.isfinite(value) else place
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    found = (_non_finite(item, f"{place}.{key}".lstrip(".")) for key, item in items)
    return next((name for name in found if name is not None), None)
