r"""The number that a solution ends in, by three named rules; the rule is part of the result.

``strict`` and ``flexible`` are those of lm-eval's task ``gsm8k`` (version 3.0), to the letter: the
first ``#### N``, and the last thing that looks like a number; both are compared as texts. ``chat``
reads what chat models write: the last ``\boxed{N}``, else the last number that ``####``,
``ANSWER:`` or ``the answer is`` announces, else the last number; it is compared as a number. What
can be read in two ways (a range, a time, a list, ``5x``) is ``ambiguous``, which is no answer: it
is never one of its parts. A number that the text denies, there or later, in digits or in words
(``not 42``, ``42 is wrong``, ``42. It is not forty-two.``), is none either. A point before three
digits is a decimal mark, as in ``1.234``. The same model scores 2.5 % by one rule and 22 % by
another, so a figure without its rule says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from trimtab.text.announced import announced, boxed, is_taken_back, last_number
from trimtab.text.decimals import written
from trimtab.text.notation import plain
from trimtab.text.numerals import number
from trimtab.text.tolerance import Tolerance

ExtractorName = Literal["strict", "flexible", "chat"]

NO_ANSWER = "none"
AMBIGUOUS = "ambiguous"
"""The rule of an answer that can be read in two ways, and so is none."""
RECORDED = "recorded"
"""The rule of an answer that came with a file of candidates."""

_STRICT = re.compile(r"#### (\-?[0-9\.\,]+)")
_FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
# lm-eval's ``regexes_to_ignore``, in its order.
_IGNORED = tuple(re.compile(p) for p in (r",", r"\$", r"(?s).*#### ", r"\.$"))


@dataclass(frozen=True)
class Extracted:
    """What an extractor found.

    Attributes:
        rule: The rule that fired: ``hash``, ``boxed``, ``answer``, ``stated``, ``last_number``;
            ``none`` where there is no answer, and ``ambiguous`` where there is no single one.
        answer: The answer as written; None where there is none.
    """

    rule: str
    answer: str | None

    def __str__(self) -> str:
        """Return ``rule: answer``, the form kept in records; ``parse`` reads it."""
        return self.rule if self.answer is None else f"{self.rule}: {self.answer}"

    @classmethod
    def parse(cls, text: str | None) -> Extracted:
        """Return what ``str`` wrote; a text that it did not write is no answer."""
        rule, separator, answer = (text or NO_ANSWER).partition(": ")
        if not separator:
            return UNCLEAR if rule == AMBIGUOUS else NOTHING
        return cls(rule, answer)


NOTHING = Extracted(NO_ANSWER, None)
UNCLEAR = Extracted(AMBIGUOUS, None)


def strict(text: str) -> Extracted:
    """Return the first number after ``#### ``, as lm-eval's ``strict-match`` does."""
    found = _STRICT.search(text)
    return NOTHING if found is None else Extracted("hash", found[1].strip())


def flexible(text: str) -> Extracted:
    """Return the last run of digits, points and commas, as lm-eval's ``flexible-extract`` does."""
    found = list(_FLEXIBLE.finditer(text))
    return Extracted("last_number", found[-1][0].strip()) if found else NOTHING


def chat(text: str) -> Extracted:
    """Return the boxed number, else the announced one, else the last; see the module."""
    found = boxed(text)
    if found is None:
        text = plain(text)
        found = announced(text) or last_number(text)
    if found is None or is_taken_back(text, found):
        return NOTHING
    return UNCLEAR if found.number is None else Extracted(found.rule, found.number)


EXTRACTORS: Mapping[ExtractorName, Callable[[str], Extracted]] = MappingProxyType(
    {"strict": strict, "flexible": flexible, "chat": chat}
)


def is_correct(
    extractor: ExtractorName, answer: str | None, gold: str, tolerance: Tolerance | None = None
) -> bool:
    """Return whether ``answer`` equals ``gold`` by the comparison that belongs to ``extractor``.

    Args:
        extractor: ``chat`` compares numbers; the others compare texts as lm-eval does, with
            commas, dollars, all up to ``#### `` and a final point removed, and case ignored.
        answer: What the extractor found; None is wrong.
        gold: The reference answer: a number, or a solution that ends in ``#### number``.
        tolerance: How far ``chat`` lets a number be off; None is not at all.
    """
    if answer is None:
        return False
    if extractor != "chat":
        return _comparable(answer) == _comparable(gold)
    if tolerance is None:
        return canonical(answer) == gold_number(gold)
    return tolerance.holds(number(answer), number(gold_number(gold)))


def gold_number(solution: str) -> str:
    """Return the canonical form of what follows the last ``####`` of a solution, or of all of it.

    A mark at the end of OpenAI's published solutions, ``A: N``, is read too.
    """
    return canonical(re.split(r"####|\nA:", solution)[-1])


def canonical(answer: str) -> str:
    """Return the form by which answers are one answer: ``$1,000.00`` and ``1000`` are the same.

    A text that is no number is casefolded, with whitespace collapsed.
    """
    value = number(answer)
    return " ".join(answer.casefold().split()) if value is None else written(value)


def _comparable(text: str) -> str:
    for pattern in _IGNORED:
        text = pattern.sub("", text)
    return text.lower()
