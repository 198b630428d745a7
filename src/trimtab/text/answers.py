r"""The number that a solution ends in, by three named rules; the rule is part of the result.

``strict`` and ``flexible`` are those of lm-eval's task ``gsm8k`` (version 3.0), to the letter: the
first ``#### N``, and the last thing that looks like a number; both are compared as texts. ``chat``
reads what chat models write: the last ``\boxed{N}``, else the last number that ``####``,
``ANSWER:`` or ``the answer is`` announces, else the last number; it is compared as a number. The
same model scores 2.5 % by one and 22 % by another, so a figure without its rule says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Literal

ExtractorName = Literal["strict", "flexible", "chat"]

NO_ANSWER = "none"
RECORDED = "recorded"
"""The rule of an answer that came with a file of candidates."""

_STRICT = re.compile(r"#### (\-?[0-9\.\,]+)")
_FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_NUMBER = re.compile(r"[-\u2212]?[$\u00a3\u20ac]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
# What may stand between an announcement and its number: markup, currency, "x =", "about".
_ANNOUNCED = re.compile(
    r"(?P<hash>####)|(?P<answer>\bANSWER\s*:)|(?P<stated>\b(?:final\s+)?answer\s+is\b)",
    re.IGNORECASE,
)
_GAP = re.compile(r"[^\d\n.\-\u2212]{0,24}?(?=[-\u2212]?[$\u00a3\u20ac]?\.?\d)")
# "Check our answer: 70 + 40" announces a calculation, not an answer.
_CALCULATION = re.compile(r"\s*[-+*/=\u00d7]\s*[$\d]")
_BOXED = re.compile(r"\\boxed\s*\{")
# lm-eval's ``regexes_to_ignore``, in its order.
_IGNORED = tuple(re.compile(p) for p in (r",", r"\$", r"(?s).*#### ", r"\.$"))


@dataclass(frozen=True)
class Extracted:
    """What an extractor found.

    Attributes:
        rule: The rule that fired: ``hash``, ``boxed``, ``answer``, ``stated``, ``last_number``, or
            ``none`` where there is no answer.
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
        return cls(rule, answer) if separator else cls(NO_ANSWER, None)


NOTHING = Extracted(NO_ANSWER, None)


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
    text = text.replace("{,}", ",").replace("\\$", "$").replace("\\,", "").replace("\\!", "")
    for match in reversed(list(_BOXED.finditer(text))):
        inside = _NUMBER.findall(_braced(text, match.end()))
        if inside:
            return Extracted("boxed", inside[-1])
    for match in reversed(list(_ANNOUNCED.finditer(text))):
        gap = _GAP.match(text, match.end())
        number = gap and _NUMBER.match(text, gap.end())
        if number and not _CALCULATION.match(text, number.end()):
            return Extracted(match.lastgroup or NO_ANSWER, number[0])
    numbers = _NUMBER.findall(text)
    return Extracted("last_number", numbers[-1]) if numbers else NOTHING


EXTRACTORS: Mapping[ExtractorName, Callable[[str], Extracted]] = MappingProxyType(
    {"strict": strict, "flexible": flexible, "chat": chat}
)


def is_correct(extractor: ExtractorName, answer: str | None, gold: str) -> bool:
    """Return whether ``answer`` equals ``gold`` by the comparison that belongs to ``extractor``.

    Args:
        extractor: ``chat`` compares numbers; the others compare texts as lm-eval does, with
            commas, dollars, all up to ``#### `` and a final point removed, and case ignored.
        answer: What the extractor found; None is wrong.
        gold: The reference answer: a number, or a solution that ends in ``#### number``.
    """
    if answer is None:
        return False
    if extractor == "chat":
        return canonical(answer) == canonical(gold_number(gold))
    return _comparable(answer) == _comparable(gold)


def gold_number(solution: str) -> str:
    """Return what follows the last ``####`` of a reference solution, or all of it, without commas.

    A mark at the end of OpenAI's published solutions, ``A: N``, is read too.
    """
    tail = re.split(r"####|\nA:", solution)[-1]
    return tail.replace(",", "").strip()


def canonical(answer: str) -> str:
    """Return the form by which answers are one answer: ``$1,000.00`` and ``1000`` are the same.

    A text that is no number is casefolded, with whitespace collapsed.
    """
    bare = answer.translate(_DROPPED).strip().rstrip(".")
    try:
        number = Decimal(bare)
    except InvalidOperation:
        return " ".join(answer.casefold().split())
    # Adding 0 turns -0 into 0; ``f`` never gives an exponent.
    return f"{number.normalize() + 0:f}" if number.is_finite() else bare


_DROPPED = str.maketrans({"\u2212": "-", **dict.fromkeys("$\u00a3\u20ac,%", "")})


def _comparable(text: str) -> str:
    for pattern in _IGNORED:
        text = pattern.sub("", text)
    return text.lower()


def _braced(text: str, start: int) -> str:
    """Return ``text`` from ``start`` up to the brace that closes the one before it, or its end."""
    depth = 1
    for index in range(start, len(text)):
        depth += (text[index] == "{") - (text[index] == "}")
        if depth == 0:
            return text[start:index]
    return text[start:]
