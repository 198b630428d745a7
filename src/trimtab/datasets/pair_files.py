"""Contrast pairs of a file of one's own: which split each belongs to, and what is left out.

A question that the task asks too is in the task's split of it; all others are shared out by the
same hash. Nothing that is fitted on is a question of select or test, or shares 13 words with one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from trimtab.core.counted import counted
from trimtab.core.errors import DataError, did_you_mean
from trimtab.core.keys import content_key
from trimtab.core.spec import Split
from trimtab.core.types import Record
from trimtab.datasets.corruption import is_right
from trimtab.datasets.fields import Row, text_field
from trimtab.datasets.files import ROWS, read_rows
from trimtab.datasets.problems import Pool, Problem
from trimtab.datasets.splits import Fractions
from trimtab.text.leaks import NGRAM_WORDS, HeldOut
from trimtab.text.overlap import normalise_question
from trimtab.text.tolerance import Tolerance

GIVEN_AS = "task.pairs.source"
"""Where the path of a file of pairs is given."""

CORRUPTED = "corrupted"
"""The source that is no file: reference solutions against the same with a wrong number."""

_QUESTION = ("question", "problem", "prompt")
_POSITIVE = ("positive", "correct", "chosen")
_NEGATIVE = ("negative", "incorrect", "rejected")
_KEYS = (*_QUESTION, *_POSITIVE, *_NEGATIVE)
_SPLITS: tuple[Split, ...] = ("fit", "select", "test")


class GivenPair(Record):
    """One row of the file.

    Attributes:
        question: The question alone.
        positive: The solution that shows what the vector is to add.
        negative: The solution that does not.
    """

    question: str
    positive: str
    negative: str

    @property
    def unit(self) -> str:
        """The normalised question, by which splits are made."""
        return normalise_question(self.question)


class PairFile:
    """The pairs of a file, shared out beside the problems of a pool."""

    def __init__(self, source: str, pool: Pool, fractions: Fractions) -> None:
        """Read the file.

        Args:
            source: A ``.jsonl`` or ``.csv`` file.
            pool: The problems that the task asks.
            fractions: How they, and questions that are none of them, are shared out.

        Raises:
            DataError: It can't be read, lacks a column, or a row has an empty text or the same text
                twice.
        """
        self.source = source
        rows = _read(source)
        self._pairs = list(dict.fromkeys(rows))
        self._repeats = len(rows) - len(self._pairs)
        known = {split: pool.questions(split, fractions) for split in _SPLITS}
        asked = {unit for some in known.values() for unit in some}
        others = {pair.unit: pair.question for pair in self._pairs if pair.unit not in asked}
        strange = Pool(
            train=tuple(_problem(question) for _, question in sorted(others.items())),
            test=None if pool.test is None else (),
        )
        self.problems: Mapping[str, Problem] = {
            unit: problem for some in known.values() for unit, problem in some.items()
        }
        self._of: dict[Split, dict[str, Problem]] = {
            split: {**known[split], **strange.questions(split, fractions)} for split in _SPLITS
        }

    def of(self, split: Split) -> list[tuple[Problem, list[GivenPair]]]:
        """Return the questions of ``split`` with their pairs, in the order of a hash.

        What shares 13 words in a row with a question that is evaluated on is left out.
        """
        later = _SPLITS[_SPLITS.index(split) + 1 :]
        held = HeldOut(problem.question for name in later for problem in self._of[name].values())
        found: dict[str, tuple[Problem, list[GivenPair]]] = {}
        for pair in sorted(self._pairs, key=content_key):
            problem = self._of[split].get(pair.unit)
            if problem is not None and not held.overlaps(pair.question):
                found.setdefault(problem.id, (problem, []))[1].append(pair)
        return list(found.values())

    def note(self, tolerance: Tolerance | None = None) -> str:
        """Say how many rows each split has, and how many are used by none.

        Args:
            tolerance: How far an answer to a problem of the task may be off.
        """
        sizes = {split: sum(len(pairs) for _, pairs in self.of(split)) for split in _SPLITS}
        shared = len(self._pairs) - sum(sizes.values())
        said = [f"{sizes[split]} of {split}" for split in _SPLITS]
        left = {
            f"in no split, for {NGRAM_WORDS} words in a row of a question of a later one or for "
            "want of a share": shared,
            "left out as repeats": self._repeats,
        }
        said += [f"{count} {what}" for what, count in left.items() if count]
        for label, what in ((True, "wrong solution"), (False, "right solution")):
            if count := self._mislabelled(label, tolerance):
                said.append(f"{counted(count, what)} called {'positive' if label else 'negative'}")
        rows = counted(len(self._pairs), "row")
        return f"contrast pairs of {self.source!r}: {rows}, {', '.join(said)}"

    def _mislabelled(self, positive: bool, tolerance: Tolerance | None) -> int:
        """Return the solutions to problems of the task whose answer is not as they are called."""
        counts: Counter[bool] = Counter()
        for pair in self._pairs:
            problem = self.problems.get(pair.unit)
            if problem is not None:
                text = pair.positive if positive else pair.negative
                counts[is_right(text, problem.final, tolerance)] += 1
        return counts[not positive]


def _read(source: str) -> Sequence[GivenPair]:
    path = Path(source).expanduser()
    if path.suffix.lower() not in ROWS:
        raise DataError(
            f"The source of contrast pairs {source!r} (given as `{GIVEN_AS}`) is neither "
            f"{CORRUPTED!r} nor a file that ends in {' or '.join(ROWS)}.",
            hint=did_you_mean(source, (CORRUPTED,)),
        )
    rows = read_rows(path, GIVEN_AS, _KEYS)
    if not rows:
        raise DataError(f"{path.absolute()} (given as `{GIVEN_AS}`) holds no contrast pairs.")
    return [_pair(row, where) for where, row in rows]


def _pair(row: Row, where: str) -> GivenPair:
    texts = [_text(row, names, where) for names in (_QUESTION, _POSITIVE, _NEGATIVE)]
    question, positive, negative = (text.strip() for text in texts)
    if positive == negative:
        raise DataError(
            f"{where}: both solutions of the pair are {positive[:40]!r}.",
            hint="A pair needs two different ones; remove the row.",
        )
    return GivenPair(question=question, positive=positive, negative=negative)


def _text(row: Row, names: Sequence[str], where: str) -> str:
    name = next((name for name in names if row.get(name) is not None), names[0])
    return text_field(row, name, where, _KEYS)


def _problem(question: str) -> Problem:
    return Problem(id=f"p-{content_key(question, 12)}", question=question, solution="", final="")
