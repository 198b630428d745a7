"""Problems whose answer is a number: read from files or the hub, and kept apart between splits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.keys import content_key
from trimtab.core.spec import Split
from trimtab.core.types import Record
from trimtab.datasets.files import ROWS, read_rows
from trimtab.datasets.hub import hub_tables, is_hub_id
from trimtab.datasets.splits import Fractions, in_split, spread
from trimtab.text.answers import gold_number
from trimtab.text.decimals import decimal_mark
from trimtab.text.leaks import HeldOut
from trimtab.text.overlap import normalise_question
from trimtab.text.tolerance import needs_tolerance

# Columns by the names that published files use; of several the first counts.
_QUESTION = ("question_concat", "question", "Question", "problem", "sQuestion")
_ANSWER = ("answer", "Answer", "final_ans", "final", "ground_truth", "target", "lSolutions")
_CONTEXT = ("Body",)
_ID = ("id", "ID", "iIndex")
_KEYS = (*_QUESTION, *_CONTEXT, *_ANSWER, *_ID)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?|-?\d+/\d+")


class Problem(Record):
    """One problem.

    Attributes:
        id: The source's own id, else a hash of the question.
        question: The question.
        solution: The reference answer as the source has it, a number or worked steps.
        final: The number it ends in.
        kind: The group over which splits are balanced.
    """

    id: str
    question: str
    solution: str
    final: str
    kind: str = "all"

    @property
    def split_text(self) -> str:
        """The text that splits are made by."""
        return self.question

    @property
    def stratum(self) -> str:
        """The group over which splits are balanced."""
        return self.kind


class Pool(Record):
    """The problems of one source.

    Attributes:
        train: Those that fit and select are made of.
        test: The source's own test set; None where it has none and ``train`` is shared out.
        repeats: Rows left out because an earlier one holds the same problem and answer.
    """

    train: tuple[Problem, ...]
    test: tuple[Problem, ...] | None = None
    repeats: int = 0
    _splits: dict[tuple[Split, Fractions], list[Problem]] = PrivateAttr(default_factory=dict)

    def split(self, split: Split, fractions: Fractions) -> list[Problem]:
        """Return the problems of ``split``, ordered by id.

        With a test set of its own, fit and select share out the rest in the proportion of their
        fractions. Then whatever shares 13 words in a row with a question of test, or of select in
        the case of fit, is left out of select and fit.

        Raises:
            ConfigError: The split is empty.
        """
        if (split, fractions) not in self._splits:
            self._splits[split, fractions] = _named(self._apart(split, fractions), split, fractions)
        return list(self._splits[split, fractions])

    def _apart(self, split: Split, fractions: Fractions) -> list[Problem]:
        """Return the problems of ``split`` that overlap none of the splits measured on."""
        tested = self._raw("test", fractions)
        if split == "test":
            return tested
        chosen = without_overlap(self._raw("select", fractions), tested)
        if split == "fit":
            chosen = without_overlap(self._raw("fit", fractions), [*tested, *chosen])
        return chosen

    def questions(self, split: Split, fractions: Fractions) -> dict[str, Problem]:
        """Return the problems of ``split`` by normalised question, before any is left out."""
        raw = self._raw(split, fractions)
        return {normalise_question(problem.question): problem for problem in raw}

    def shots(self, fractions: Fractions, number: int) -> list[Problem]:
        """Return ``number`` problems of the fit split to show as worked examples, by a hash."""
        return spread(self.split("fit", fractions), number) if number else []

    def _raw(self, split: Split, fractions: Fractions) -> list[Problem]:
        if self.test is None:
            return in_split(self.train, split, fractions)
        if split == "test":
            return list(self.test)
        shared = fractions.fit + fractions.select
        if not shared:
            return []
        fit = round(fractions.fit / shared, 9)
        return in_split(self.train, split, Fractions(fit=fit, select=1 - fit, test=0))


def without_overlap(items: Iterable[Problem], others: Iterable[Problem]) -> list[Problem]:
    """Return the items that share no 13 words in a row with any of ``others``."""
    held_out = HeldOut(other.question for other in others)
    return [item for item in items if not held_out.overlaps(item.question)]


def _named(problems: Sequence[Problem], split: Split, fractions: Fractions) -> list[Problem]:
    if not problems:
        raise ConfigError(
            f"The split {split!r} is empty (`task.fractions.{split}` is {fractions.of(split):g}).",
            hint="Give it a larger fraction, or do not ask for it.",
        )
    return sorted(problems, key=lambda problem: problem.id)


def read_pool(source: str, *, rounded: bool = False) -> Pool:
    """Return the problems of ``source``.

    Args:
        source: A ``.jsonl`` or ``.csv`` file, a directory that holds ``train`` and ``test`` of
            either kind, or a hub id whose splits are ``train`` and ``test`` (or only one of them).
        rounded: Whether answers may have more than two decimals: a tolerance was stated.

    Raises:
        DataError: It can't be found or read, lacks a column, or an answer is no number.
    """
    path = Path(source).expanduser()
    files = [_in_folder(path, name) for name in ("train", "test")] if path.is_dir() else [path]
    return _read_pool(source, rounded, tuple(_state(file) for file in files))


def _state(file: Path) -> tuple[int, int, int] | None:
    """Return what tells a file from an edited one; None where there is no such file."""
    if not file.is_file():
        return None
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=8)
def _read_pool(
    source: str, rounded: bool, _states: tuple[tuple[int, int, int] | None, ...]
) -> Pool:
    """Read a source once per process: a plan that grows asks again for every fragment."""
    path = Path(source).expanduser()
    if path.is_dir():
        files = [_in_folder(path, name) for name in ("train", "test")]
        (train, first), (test, second) = (_read_file(file, rounded) for file in files)
        return Pool(train=_unlike(train, test), test=test, repeats=first + second)
    if path.suffix.lower() in ROWS:
        train, repeats = _read_file(path, rounded)
        return Pool(train=train, repeats=repeats)
    if is_hub_id(source):
        return _read_hub(source, rounded)
    raise DataError(
        f"The source {source!r} (given as `task.source`) is neither a directory, a hub id, nor a "
        f"file that ends in {' or '.join(ROWS)} (looked in {str(path.absolute())!r})."
    )


def _in_folder(folder: Path, name: str) -> Path:
    there = (folder / f"{name}{suffix}" for suffix in ROWS)
    return next((path for path in there if path.is_file()), folder / f"{name}{ROWS[0]}")


def _read_file(path: Path, rounded: bool) -> tuple[tuple[Problem, ...], int]:
    rows = [(w, make_problem(row, w, rounded)) for w, row in read_rows(path, accepted=_KEYS)]
    return _checked(rows, str(path.absolute()))


def _checked(rows: Sequence[tuple[str, Problem]], source: str) -> tuple[tuple[Problem, ...], int]:
    """Return the problems, each once, and how many rows repeat one; raise DataError."""
    by_id: dict[str, Problem] = {}
    by_text: dict[str, Problem] = {}
    for where, problem in rows:
        text = normalise_question(problem.question)
        first = by_text.setdefault(text, problem)
        if first.final != problem.final:
            raise DataError(
                f"{where}: the problem {problem.question[:50]!r} again, with another answer: "
                f"{problem.final}, before {first.final}.",
                hint="Keep one of them.",
            )
        if by_id.setdefault(problem.id, first) is not first:
            other = by_id[problem.id]
            raise DataError(
                f"{where}: two problems share the id {problem.id!r} and differ: "
                f"{other.question[:50]!r}, {problem.question[:50]!r}.",
                hint="Every problem must appear once, under an id of its own.",
            )
    if not by_text:
        raise DataError(f"{source} holds no problems.")
    _same_marks(rows)
    return tuple(by_text.values()), len(rows) - len(by_text)


def _same_marks(rows: Sequence[tuple[str, Problem]]) -> None:
    """Refuse 1.234 and 1,234 in a source that writes decimals with a comma: they may be 1234."""
    tails = [(where, _tail(problem.solution)) for where, problem in rows]
    marks = [(where, tail, decimal_mark(tail)) for where, tail in tails]
    comma = next((where for where, _, mark in marks if mark == ","), None)
    unclear = next(((w, tail) for w, tail, mark in marks if mark in ("?.", "?,")), None)
    if comma is not None and unclear is not None:
        raise DataError(
            f"{unclear[0]}: the answer {unclear[1]!r} may mean two numbers, as decimals have a "
            f"comma in {comma}.",
            hint="Write answers without marks of thousands and with a decimal point.",
        )


def _tail(solution: str) -> str:
    return solution.rpartition("####")[2].strip().lstrip("$\u20ac\u00a3-\u2212 ")


def _unlike(train: Sequence[Problem], test: Sequence[Problem]) -> tuple[Problem, ...]:
    tested = {problem.id for problem in test}
    return tuple(problem for problem in train if problem.id not in tested)


def make_problem(row: dict[str, Any], where: str, rounded: bool = False) -> Problem:
    """Return the problem of one row, whose columns may have any of the published names.

    Raises:
        DataError: A column is missing, the answer is no number, or it has more than two decimals
            and no tolerance was stated (``rounded``).
    """
    question = _column(row, _QUESTION, where)
    context = next((str(row[key]) for key in _CONTEXT if row.get(key)), "")
    if context and not question.startswith(context):
        question = f"{context.rstrip()} {question}"
    solution = _column(row, _ANSWER, where)
    final = gold_number(solution)
    if not _NUMBER.fullmatch(final):
        raise DataError(
            f"{where}: the answer {solution[-60:]!r} does not end in a number.",
            hint="Accepted: a number alone, or a solution that ends in `#### number`; what can be "
            "read in two ways (1,00,0, 3-5) is none.",
        )
    if needs_tolerance(final) and not rounded:
        raise DataError(
            f"{where}: the answer {solution[-60:]!r} has more than two decimals, so equality would "
            f"measure the rounding.",
            hint="State `task.tolerance`, e.g. {rule: relative, value: 0.001}, or {rule: exact}.",
        )
    given = next((str(row[key]) for key in _ID if row.get(key) is not None), None)
    return Problem(
        id=given or f"p-{content_key(question, 12)}",
        question=question.strip(),
        solution=solution.strip(),
        final=final,
    )


def _column(row: dict[str, Any], names: Sequence[str], where: str) -> str:
    for name in names:
        value = row.get(name)
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(value, (str, int, float)) and str(value).strip():
            return str(value)
    raise DataError(
        f"{where}: none of {', '.join(map(repr, names))} is there (found: {', '.join(row)}; "
        f"accepted: {', '.join(_KEYS)})."
    )


def _read_hub(hub_id: str, rounded: bool) -> Pool:
    tables = hub_tables(hub_id, None)
    sets = {
        name: _checked(
            [
                (f"{hub_id} {name} row {i}", make_problem(row, f"{hub_id} {name} row {i}", rounded))
                for i, row in enumerate(rows)
            ],
            hub_id,
        )
        for name, rows in tables.items()
        if name in ("train", "test")
    }
    if not sets:
        raise DataError(f"The hub data set {hub_id!r} has neither a split train nor test.")
    repeats = sum(count for _, count in sets.values())
    if len(sets) == 1:
        return Pool(train=next(iter(sets.values()))[0], repeats=repeats)
    train, test = sets["train"][0], sets["test"][0]
    return Pool(train=_unlike(train, test), test=test, repeats=repeats)
