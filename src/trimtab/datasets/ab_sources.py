"""Where A/B questions of a behaviour are: one file, several, a folder of files, or CAA's layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trimtab.core.errors import DataError, did_you_mean
from trimtab.datasets.files import ROWS

_SUFFIXES = (".json", *ROWS)
# As the files are called in the shortened layout, in the CAA repository, and for side effects.
FIT = ("generate/{0}.json", "generate/{0}/generate_dataset.json")
TEST = (
    "test/{0}_ab.json", "test/{0}/test_dataset_ab.json", "test/{0}.json", "test/{0}/{0}.json",
)  # fmt: skip
OPEN = ("test/{0}_open_ended.json", "test/{0}/test_dataset_open_ended.json")


def is_layout(source: Path) -> bool:
    """Return whether a folder has its own test set, as the CAA repository's ``datasets``."""
    return (source / "test").is_dir() or (source / "generate").is_dir()


def behaviours_of(sources: Sequence[Path]) -> dict[str, Path]:
    """Return the file of each behaviour by its name, for files and folders of files."""
    files = [file for source in sources for file in _files(source)]
    return {file.stem: file for file in files}


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    return sorted(p for p in source.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file())


def file_of(sources: Sequence[Path], behaviour: str | None) -> Path:
    """Return the file of a behaviour.

    A single file is that of any behaviour: the name is then only that of the table.

    Raises:
        DataError: Several files are there and none, or more than one, is called so.
    """
    if len(sources) == 1 and not sources[0].is_dir():
        return sources[0]
    known = behaviours_of(sources)
    if behaviour in known:
        return known[behaviour]
    if behaviour is None and len(known) == 1:
        return next(iter(known.values()))
    where = ", ".join(str(source.absolute()) for source in sources)
    if not known:
        raise DataError(f"{where} (given as `task.source`) holds no file of A/B questions.")
    if behaviour is None:
        raise DataError(
            f"{where} (given as `task.source`) holds several behaviours.",
            hint=f"Choose one with `task.behaviour`: {', '.join(known)}.",
        )
    raise DataError(
        f"{where} (given as `task.source`) has no file for the behaviour {behaviour!r}. "
        f"{did_you_mean(behaviour, known)}"
    )


def in_layout(source: Path, names: Sequence[str], behaviour: str) -> Path:
    """Return the file of a behaviour in CAA's layout; raise DataError if there is none."""
    tried = [source / name.format(behaviour) for name in names]
    found = next((path for path in tried if path.is_file()), None)
    if found is None:
        known = sorted(path.stem for path in (source / "generate").glob("*"))
        raise DataError(
            f"{str(source.absolute())!r} (given as `task.source`) has no "
            f"{names[0].format(behaviour)!r} for the behaviour {behaviour!r}.",
            hint=f"Behaviours there: {', '.join(known) or 'none'} (`task.behaviour`).",
        )
    return found
