"""Lines of segments with little in them, and files from a mapping of their texts."""

from collections.abc import Mapping
from pathlib import Path

from trimtab.core.checksums import with_checksum
from trimtab.core.files import dumps


def row(sample: str, said: str = "", attempt: int = 1) -> str:
    """Return the line of a row of the cell ``c``."""
    about = {"cell": "c", "sample_id": sample, "index": 0, "text": said, "attempt": attempt}
    return with_checksum(dumps({**about, "time": 0.5}, "", separators=(",", ":"))).decode()


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    """Write files below a folder, and return it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def read_files(root: Path) -> dict[str, str]:
    """Return what the files below a folder hold, but for those of ``ssh``."""
    files = [path for path in root.rglob("*") if path.is_file()]
    found = {path.relative_to(root).as_posix(): path.read_text() for path in files}
    return {name: text for name, text in found.items() if not name.startswith("ssh/")}
