"""Small and read-only file systems, where the one who runs the campaign may mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def can_mount(folder: Path) -> bool:
    """Return whether a file system can be mounted."""
    if os.geteuid() != 0:
        return False
    try:
        with small(folder / "probe", 65536):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def mount(*arguments: str | Path) -> None:
    """Call mount; raise CalledProcessError if it fails."""
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@contextmanager
def small(folder: Path, num_bytes: int) -> Iterator[Path]:
    """Give a file system of so many bytes, rounded to pages."""
    folder.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def resize(folder: Path, num_bytes: int) -> None:
    """Give a file system of ``small`` another size."""
    mount("-o", f"remount,size={num_bytes}", folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nothing below ``folder`` be written."""
    mount("--bind", folder, folder)
    try:
        mount("-o", "remount,ro,bind", folder)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)
