"""A/B questions: options that begin lines with ``(A)``, ``(B)``, ..., and two of their letters.

Read are the two forms of the CAA repository: rows of ``question``, ``answer_matching_behavior``
and ``answer_not_matching_behavior``; and, for what must not change, rows of ``prompt``,
``correct``, ``incorrect`` and ``category``. Some published questions show more than two options;
the two that a row names count. Rows whose answers are Yes and No, as in the published persona
files, are asked with the options (A) Yes and (B) No. An option may be empty, as in five rows of
the published ``truthful_qa.json``: letters are scored, not texts.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.core.errors import DataError
from trimtab.core.keys import content_key
from trimtab.core.types import Record
from trimtab.datasets.ab_options import (
    is_yes_no,
    letter_of,
    option_spans,
    stem_of,
    with_yes_no,
)
from trimtab.datasets.fields import text_field
from trimtab.datasets.files import ROWS, read_json, read_rows
from trimtab.text.overlap import normalise_question

_LETTER = re.compile(r"\(([A-Z])\)")
_BEHAVIOUR = ("question", "answer_matching_behavior", "answer_not_matching_behavior")
_SIDE_EFFECT = ("prompt", "correct", "incorrect")
_KEYS = (*_BEHAVIOUR, *_SIDE_EFFECT, "category")


class Asked(Record):
    """One question as it is asked.

    Attributes:
        id: A hash of the text.
        text: What is asked, with the options if it has them.
        stem: The question without options; what splits are made by.
        category: Topic; ``all`` where the source has none.
    """

    id: str
    text: str
    stem: str
    category: str = "all"

    @property
    def split_text(self) -> str:
        """The text that splits are made by."""
        return self.stem

    @property
    def stratum(self) -> str:
        """The group over which splits are balanced."""
        return self.category

    @property
    def question_id(self) -> str:
        """A hash of the stem: rows that ask it with other options are not independent."""
        return f"b-{content_key(normalise_question(self.stem), 12)}"


class ABQuestion(Asked):
    """One A/B question.

    Attributes:
        matching: Letter of the option that shows the behaviour, or of the right one.
        other: Letter of the option that it is compared with.
        side_effect: Whether the row says what is right, and not what shows a behaviour.
    """

    matching: str
    other: str
    side_effect: bool

    def swapped(self) -> ABQuestion:
        """Return the question with the texts of its two options exchanged, letters following."""
        spans = option_spans(self.text)
        texts = {letter: self.text[slice(*spans[letter])] for letter in (self.matching, self.other)}
        exchanged = {self.matching: texts[self.other], self.other: texts[self.matching]}
        text = self.text
        # the later option first, so that the earlier one's place stays what it was
        for letter in sorted(exchanged, reverse=True):
            start, stop = spans[letter]
            text = text[:start] + exchanged[letter] + text[stop:]
        return self.model_copy(
            update={"text": text, "matching": self.other, "other": self.matching}
        )


def read_ab(path: Path) -> list[ABQuestion]:
    """Return the A/B questions of a file, each once, in the file's order.

    Args:
        path: A ``.json`` list, ``.jsonl`` or ``.csv`` file.

    Raises:
        DataError: It can't be read, or a row is malformed, contradicts another, or is of another
            form than the first; the message names file and row.
    """
    found: dict[str, tuple[str, ABQuestion]] = {}
    for where, row in _rows(path):
        item = _question(row, where)
        # spellings of one text are one question
        before, first = found.setdefault(normalise_question(item.text), (where, item))
        if (first.matching, first.other) != (item.matching, item.other):
            raise DataError(f"{where}: the question of {before} again, with another answer.")
    questions = [item for _, item in found.values()]
    if len({item.side_effect for item in questions}) > 1:
        raise DataError(f"{path.absolute()} mixes rows of a behaviour with rows of right answers.")
    return questions


def read_asked(path: Path) -> list[Asked]:
    """Return the open questions of a file of ``question`` rows, each once; raise DataError."""
    asked = (text_field(row, "question", where, ("question",)) for where, row in _rows(path))
    texts = dict.fromkeys(text.strip() for text in asked)
    return [Asked(id=_id(text), text=text, stem=text) for text in texts]


def _rows(path: Path) -> Sequence[tuple[str, dict[str, Any]]]:
    """Return ("file row n", row), n from 1."""
    path = path.absolute()
    if path.suffix.lower() in ROWS:
        rows: Sequence[tuple[str, Any]] = read_rows(path, accepted=_KEYS)
    else:
        listed = read_json(path)
        if not isinstance(listed, list):
            raise DataError(f"{path} must hold a list of rows, it holds {str(listed)[:40]!r}.")
        rows = [(f"{path} row {n}", row) for n, row in enumerate(listed, start=1)]
    if not rows:
        raise DataError(f"{path} holds no rows.")
    for where, row in rows:
        if not isinstance(row, dict):
            raise DataError(f"{where}: must be an object, it is {str(row)[:40]!r}.")
    return rows


def _question(row: dict[str, Any], where: str) -> ABQuestion:
    side_effect = "correct" in row and "answer_matching_behavior" not in row
    asked, right, wrong = _SIDE_EFFECT if side_effect else _BEHAVIOUR
    text = text_field(row, asked, where, _KEYS).strip()
    if is_yes_no(row.get(right), row.get(wrong)) and not option_spans(text):
        text, row = with_yes_no(text), {**row, **{k: letter_of(row[k]) for k in (right, wrong)}}
    spans = option_spans(text)
    letters = "".join(spans)
    if len(spans) < 2 or letters != string.ascii_uppercase[: len(spans)]:
        raise DataError(
            f"{where}: {asked!r} must show options (A), (B), ..., each at the beginning of a line; "
            f"found: {', '.join(f'({letter})' for letter in letters) or 'none'}."
        )
    matching, other = (_letter(row, key, spans, where) for key in (right, wrong))
    if matching == other:
        raise DataError(f"{where}: {right!r} and {wrong!r} are both ({other}).")
    if text[slice(*spans[matching])] == text[slice(*spans[other])]:
        raise DataError(f"{where}: the options ({matching}) and ({other}) are the same.")
    category = row.get("category")
    return ABQuestion(
        id=_id(text),
        text=text,
        stem=stem_of(text),
        category=category if isinstance(category, str) and category else "all",
        matching=matching,
        other=other,
        side_effect=side_effect,
    )


def _letter(row: dict[str, Any], key: str, spans: dict[str, tuple[int, int]], where: str) -> str:
    given = text_field(row, key, where, _KEYS).strip()
    found = _LETTER.fullmatch(given)
    if found is None or found[1] not in spans:
        raise DataError(
            f"{where}: {key!r} must be one of the options "
            f"{', '.join(f'({letter})' for letter in spans)} (or Yes or No, where the text shows "
            f"no options), it is {given[:40]!r}."
        )
    return found[1]


def _id(text: str) -> str:
    return f"b-{content_key(text, 12)}"
