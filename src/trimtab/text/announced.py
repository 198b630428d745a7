r"""Where a solution says its answer: in ``\boxed``, announced, or as its last number."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from trimtab.text.decimals import MAX_DIGITS, decimal_mark
from trimtab.text.denials import is_contrast, is_denied
from trimtab.text.notation import OPAQUE, plain
from trimtab.text.number_words import number_in_words, numbers_in_words, words_at
from trimtab.text.numerals import Numeral, number
from trimtab.text.surroundings import CONTEXT, is_unclear, standing_numbers

# Bounds for texts that are no solutions, so that none takes long to read.
_MAX_BOXES, _MAX_BOX, _MAX_SENTENCE = 50, 2000, 400
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BARE_BOX = re.compile(r"\\boxed\s*(\d)")
_ANNOUNCED = re.compile(
    r"(?P<hash>####)|(?P<answer>\bANSWER\s*:)|(?P<stated>\b(?:final\s+)?answer\s+is\b)",
    re.IGNORECASE,
)
# What may stand between an announcement and its number: markup, currency, "x =", "about".
_GAP = re.compile(r"[^\n.?!]{0,24}|[\s:*$#\[\](>=]{0,16}")
_CIRCUMSTANCE = re.compile(
    r"\W*(?:in|after|by|at|on|for|over|with|since|from|if|when|before|starts?)\b", re.IGNORECASE
)
_SENTENCE = re.compile(r"[^\n?!]{0,400}?(?=\.(?:\s|$)|[\n?!]|$)")
_NO_ANNOUNCEMENT = re.compile(
    r"\b(?:not|n't|step|part|question|problem|example|case|section|solution|day|week|phase)\b",
    re.IGNORECASE,
)
_CALCULATION = re.compile(r"\s*[-+*/=\u00d7x\u00f7\u2212]\s*[$(\d]")
_EQUALS = re.compile(r"[=\u2248\u2192]")
_EQUATIONS = re.compile(r"=[^=]*(?:,|;|\bor\b|\band\b)\s*[^=,;]*[A-Za-z][^=,;]*=")
_OPERATORS = re.compile(rf"[{OPAQUE}\u03c0\u221a\u221e\u00b1<>\u2264\u2265\u2260|+*\u00d7\u00f7^]")
_VARIABLE = re.compile(r"(?<![A-Za-z])[xyzn](?![A-Za-z])")
# "twenty apples, 5 of which are red" says twenty, "five, 6 or 7" nothing
_CLAUSE = re.compile(
    r"(?:\s[^\W\d_]{1,20}){0,2}?(?:[;(]|,(?!\s*(?:and\s|or\s)?\W{0,2}\d)"
    r"|,\s\d+\sof\s(?:which|them|whom)\b|\s(?:because|since)\b)"
)
_NOT = re.compile(r"\s*not\b\s*(?=[a-z])", re.IGNORECASE)
_INSTEAD = re.compile(
    r"[\s*%]*(?:[^\W\d_]{1,20}\s*)?[,;.]?\s*(?:(?:but|rather|instead|no)\b[\s,]*)?"
    r"(?:\b(?:it|that|this|(?:the\s+)?answer)(?:\s+is|['\u2019]s)\b)?",
    re.IGNORECASE,
)
_ENUMERATOR = re.compile(r"[.)]\s+[A-Za-z*]")
# "apples - 5" may be minus five, or a label and five; "is - 5" is minus five
_LABEL_OR_MINUS = re.compile(r"(?<!\bis)(?<!\bbe)(?<!\bwas)(?<!equals)(?<=[A-Za-z)\]])\s?\Z")


@dataclass(frozen=True)
class Found:
    """Where an answer was found.

    Attributes:
        rule: The rule that fired.
        number: The answer as written; None where it can be read in two ways.
        end: Where it ends in the text that was read.
    """

    rule: str
    number: str | None
    end: int = 0


def boxed(text: str) -> Found | None:
    r"""Return the number in the last ``\boxed{}`` that says one and is not denied; else None."""
    boxes = list(_BOXED.finditer(text))[-_MAX_BOXES:]
    opened = [(match.end(), match.start(), _braced(text, match.end())) for match in boxes]
    opened += [(match.start(1), match.start(), match[1]) for match in _BARE_BOX.finditer(text)]
    for start, box, inside in sorted(opened, reverse=True)[:_MAX_BOXES]:
        if is_denied(text, box, start + len(inside)):
            continue
        found = _in_box(plain(inside))
        if found is not None and found.number and _is_list(found.number, inside):
            return Found("boxed", None)
        if found is not None:
            return replace(found, end=start + len(inside))
    return None


def _is_list(written: str, inside: str) -> bool:
    r"""Return whether a comma in a box may part two numbers: ``1,2``, but not ``1{,}2``."""
    return decimal_mark(written) == "," and not re.search(r"\{,\}|[. ]", inside.strip())


def _in_box(content: str) -> Found | None:
    if _EQUATIONS.search(content):
        return Found("boxed", None)
    sides = [(side, list(standing_numbers(side))) for side in _EQUALS.split(content)]
    said = [(side, some) for side, some in sides if some]
    if not said:
        in_words = words_at(content, 0)
        if in_words is not None and in_words.strip() == content.strip():
            value = number_in_words(in_words)
            return Found("boxed", None if value is None else str(value))
        constant = re.search(rf"[{OPAQUE}\u03c0\u221a\u221e]|\d", content)
        return Found("boxed", None) if constant else None
    side, some = said[-1]
    (numeral, *more) = some
    rest = side[: numeral.start] + " " + side[numeral.end :]
    unclear = (
        more or _OPERATORS.search(re.sub(r"[A-Za-z]\^-?\d", "", rest)) or _VARIABLE.search(rest)
    )
    denied = is_denied(side, numeral.start, numeral.end)
    if unclear or denied or side[numeral.end :].startswith("!") or is_unclear(side, numeral):
        return Found("boxed", None)
    # 12 = x says 12, and 18 = 6x nothing
    if side is not sides[-1][0] and _OPERATORS.search(sides[-1][0]):
        return Found("boxed", None)
    return Found("boxed", numeral.text.strip())


def announced(text: str) -> Found | None:
    """Return the number of the last announcement that is followed by one; None if none is.

    ``text`` is plain, see ``notation``.
    """
    for match in reversed(list(_ANNOUNCED.finditer(text))):
        found = _behind(text, match.end(), match.lastgroup or "")
        if found is not None:
            return found
    return None


def _behind(text: str, start: int, rule: str) -> Found | None:
    """Return the number that an announcement which ends at ``start`` is followed by."""
    denial = _NOT.match(text, start)
    start = denial.end() if denial else start
    in_words = words_at(text, start)
    end = start + len(in_words or "")
    if in_words is not None and is_denied(text, start, end):
        other = _INSTEAD.match(text, end)
        return _said_in_words(text, other.end(), rule) if other else None
    if in_words is not None and (_CLAUSE.match(text, end) or not _more_numbers(text, start)):
        return _said_in_words(text, start, rule)
    numeral = next(standing_numbers(text, start, _near(text, start)), None)
    gap = text[start : numeral.start] if numeral else ""
    if numeral is None or not _GAP.fullmatch(gap) or _NO_ANNOUNCEMENT.search(gap):
        return None
    if is_denied(text, numeral.start, numeral.end):
        return None
    if _CALCULATION.match(text, numeral.end):
        # "Check our answer: 70 + 40" announces a calculation, not an answer
        result = None if rule == "answer" else _result(text, numeral.end)
        if result is None:
            return None
        numeral = result
    elif _CIRCUMSTANCE.match(gap) and _more_numbers(text, numeral.end):
        # "Answer: in 10 years they will be 40" says the second
        return None
    return Found(rule, None if is_unclear(text, numeral) else numeral.text.strip(), numeral.end)


def _said_in_words(text: str, start: int, rule: str) -> Found | None:
    """Return the number whose words begin at ``start``; None if none do, or it is denied."""
    words = words_at(text, start)
    if words is None or is_denied(text, start, start + len(words)):
        return None
    value = number_in_words(words)
    return Found(rule, None if value is None else str(value), start + len(words))


def _near(text: str, start: int) -> int:
    """Return up to where the number of an announcement that ends at ``start`` may go."""
    if not any(char.isdigit() for char in text[start : start + CONTEXT]):
        return start
    return min(start + CONTEXT + MAX_DIGITS, len(text))


def _sentence_end(text: str, start: int) -> int:
    match = _SENTENCE.match(text, start)
    return match.end() if match else min(start + _MAX_SENTENCE, len(text))


def _more_numbers(text: str, start: int) -> bool:
    return any(True for _ in standing_numbers(text[: _sentence_end(text, start)], start))


def _result(text: str, start: int) -> Numeral | None:
    """Return the number behind the last ``=`` of the calculation that goes on at ``start``."""
    stop = _sentence_end(text, start)
    equals = [match.end() for match in _EQUALS.finditer(text, start, stop)]
    return next(standing_numbers(text[:stop], equals[-1]), None) if equals else None


def last_number(text: str) -> Found | None:
    """Return the last number of a plain text; None if it has none, or denies it.

    ``57, not 56`` says 57; a number that is denied by itself is no reason to take one before it.
    """
    stop = len(text)
    while stop > 0:
        # no number goes over the end of a line
        start = text.rfind("\n", 0, stop) + 1
        found = list(standing_numbers(text, start, stop))
        if found and not (len(found) == 1 and _is_enumerator(text, found[0], start)):
            return _undenied(text, found)
        stop = start - 1
    return None


def _undenied(text: str, numerals: list[Numeral]) -> Found | None:
    """Return the last number of a line, or the one that it is held against; None if denied."""
    last = numerals[-1]
    if is_denied(text, last.start, last.end):
        denied, last = last, numerals[-2] if len(numerals) > 1 else last
        against = is_contrast(text, (last.start, last.end), denied.start)
        if not against or is_denied(text, last.start, last.end):
            return None
    return Found("last_number", _last_value(text, last), last.end)


def is_taken_back(text: str, found: Found) -> bool:
    """Return whether a plain text denies, behind an answer, what the answer says.

    In digits or in words: ``42. The answer is not forty-two.``
    """
    value = None if found.number is None else number(found.number)
    if value is None:
        return False
    return any(
        said == value and is_denied(text, start, end)
        for said, start, end in (
            *((n.value, n.start, n.end) for n in standing_numbers(text, found.end)),
            *numbers_in_words(text, found.end),
        )
    )


def _is_enumerator(text: str, numeral: Numeral, line: int) -> bool:
    """Return whether a number only opens a line of a list: ``3. Add the rest``."""
    return (
        text[line : numeral.start].strip("*# ") == ""
        and numeral.text.isdigit()
        and len(numeral.text) < 3
        and _ENUMERATOR.match(text, numeral.end) is not None
    )


def _last_value(text: str, numeral: Numeral) -> str | None:
    written = numeral.text.strip()
    signed = written[0] in "-\u2212" and written[1:2].isspace()
    before = text[max(0, numeral.start - CONTEXT) : numeral.start]
    unclear = signed and _LABEL_OR_MINUS.search(before)
    return None if unclear or is_unclear(text, numeral) else written


def _braced(text: str, start: int) -> str:
    """Return ``text`` from ``start`` up to the brace that closes the one before it, or its end."""
    depth = 1
    for index in range(start, min(len(text), start + _MAX_BOX)):
        depth += (text[index] == "{") - (text[index] == "}")
        if depth == 0:
            return text[start:index]
    return text[start : start + _MAX_BOX]
