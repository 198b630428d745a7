"""Texts with what should be said of them: read from files, folders or the hub, kept apart by split.

Reviews with their label, articles with their summary. A source may have sets of its own: ``train``,
``validation`` and ``test``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.spec import Split
from trimtab.core.types import Record
from trimtab.datasets.files import ROWS, read_rows
from trimtab.datasets.hub import hub_tables, is_hub_id
from trimtab.datasets.splits import Fractions, in_split
from trimtab.text.overlap import normalise_question

SETS = ("train", "validation", "test")
"""Sets that a source may have, by the names of files and of the hub's splits."""


class Document(Record):
    """A text, and what should be said of it.

    Attributes:
        id: A hash of the whole text.
        text: As it is shown.
        target: A label, a summary.
        group: The group over which splits are balanced.
    """

    id: str
    text: str
    target: str
    group: str = "all"

    @property
    def split_text(self) -> str:
        """The text that splits are made by."""
        return self.text

    @property
    def stratum(self) -> str:
        """The group over which splits are balanced."""
        return self.group


Make = Callable[[Mapping[str, Any], str], Document]
"""Makes a document of a row; the second argument names its place."""


class Documents(Record):
    """The documents of one source, by set; ``train`` where it has one set only.

    Attributes:
        sets: Each text stands in one of them: in ``test`` rather than ``validation``, and there
            rather than in ``train``.
        repeats: Rows left out because their text is there already.
    """

    sets: dict[str, tuple[Document, ...]]
    repeats: int = 0

    def split(self, split: Split, fractions: Fractions) -> list[Document]:
        """Return the documents of ``split``, ordered by id.

        A test set of the source's own is the test split. Then its validation set is the select
        split, if it has one, and else fit and select share the train set.

        Raises:
            ConfigError: The split is empty.
        """
        found = sorted(self._raw(split, fractions), key=lambda document: document.id)
        if not found:
            raise ConfigError(
                f"The split {split!r} is empty (`task.fractions.{split}` is "
                f"{fractions.of(split):g}).",
                hint="Give it a larger fraction, or do not ask for it.",
            )
        return found

    def _raw(self, split: Split, fractions: Fractions) -> Sequence[Document]:
        train = self.sets.get("train", ())
        if "test" not in self.sets:
            return in_split([*train, *self.sets.get("validation", ())], split, fractions)
        if split == "test":
            return self.sets["test"]
        if "validation" in self.sets:
            return self.sets["validation"] if split == "select" else train
        shared = fractions.fit + fractions.select
        fit = round(fractions.fit / shared, 9) if shared else 1.0
        return in_split(train, split, Fractions(fit=fit, select=1 - fit, test=0))


def read_documents(
    source: str, make: Make, *, accepted: Sequence[str], config: str | None = None
) -> Documents:
    """Return the documents of ``source``.

    Args:
        source: A ``.jsonl`` or ``.csv`` file, a folder with files whose names begin with the names
            of sets (``train.jsonl``, ``test_500.jsonl``), or a hub id.
        make: Makes a document of a row.
        accepted: Keys that a row may have.
        config: Of the hub's data set.

    Raises:
        DataError: It can't be found or read, or a row can't be made a document.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        found = {name: _in_folder(path, name) for name in SETS}
        files = {name: file for name, file in found.items() if file is not None}
        if not files:
            raise DataError(
                f"The folder {str(path.absolute())!r} (given as `task.source`) holds no file of "
                f"documents.",
                hint="Its files' names must begin with train, validation or test, and end in "
                f"{' or '.join(ROWS)}.",
            )
        rows = {name: _rows(file, tuple(accepted)) for name, file in files.items()}
    elif path.suffix.lower() in ROWS:
        rows = {"train": _rows(path, tuple(accepted))}
    elif is_hub_id(source):
        rows = _hub_rows(source, config)
    else:
        raise DataError(
            f"The source {source!r} (given as `task.source`) is neither a folder, a hub id, nor a "
            f"file that ends in {' or '.join(ROWS)} (looked in {str(path.absolute())!r})."
        )
    return documents_of(rows, make)


Rows = Iterable[tuple[str, Mapping[str, Any]]]


def documents_of(rows: Mapping[str, Rows], make: Make) -> Documents:
    """Return the documents of the rows of sets."""
    seen: dict[str, Document] = {}
    sets: dict[str, tuple[Document, ...]] = {}
    repeats = 0
    for name in (name for name in reversed(SETS) if name in rows):
        kept = []
        for where, row in rows[name]:
            document = make(row, where)
            text = normalise_question(document.text)
            before = seen.setdefault(text, document)
            if before is not document:
                repeats += 1
                continue
            kept.append(document)
        sets[name] = tuple(kept)
    return Documents(sets=sets, repeats=repeats)


def column(row: Mapping[str, Any], names: Sequence[str], where: str) -> str:
    """Return the first of some columns that is a text with something in it; raise DataError."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return value
    raise DataError(
        f"{where}: none of {', '.join(map(repr, names))} is a text (found: {', '.join(row)})."
    )


def first_characters(text: str, count: int | None) -> str:
    """Return the beginning of a text, with space collapsed; None is the whole of it."""
    text = " ".join(text.split())
    return text if count is None else text[:count].rstrip()


def _in_folder(folder: Path, name: str) -> Path | None:
    """Return the file of a set; raise DataError where several may be it."""
    exact = [path for suffix in ROWS if (path := folder / f"{name}{suffix}").is_file()]
    pattern = re.compile(rf"{name}[-_.][\w.-]*")
    found = exact or sorted(
        path for path in folder.iterdir() if path.suffix in ROWS and pattern.fullmatch(path.stem)
    )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(
            f"The folder {str(folder.absolute())!r} holds several files of the set {name!r}: "
            f"{names}.",
            hint=f"Leave one, or name it {name}{ROWS[0]}.",
        )
    return found[0] if found else None


def _rows(path: Path, accepted: tuple[str, ...]) -> Rows:
    stated = path.stat() if path.is_file() else None
    state = (stated.st_ino, stated.st_size, stated.st_mtime_ns) if stated else None
    return _read(path, accepted, state)


@lru_cache(maxsize=8)
def _read(path: Path, accepted: tuple[str, ...], _state: tuple[int, int, int] | None) -> Rows:
    """Read a file once per process, as long as it stays as it is."""
    return tuple(read_rows(path, accepted=accepted))


@lru_cache(maxsize=4)
def _hub_rows(hub_id: str, config: str | None) -> dict[str, Rows]:
    tables = hub_tables(hub_id, config)
    found: dict[str, Rows] = {
        name: tuple((f"{hub_id} {name} row {i}", row) for i, row in enumerate(rows))
        for name, rows in tables.items()
        if name in SETS
    }
    if not found:
        raise DataError(f"The hub data set {hub_id!r} has none of the splits {', '.join(SETS)}.")
    return found
