"""The grade that a model gives an answer: a value, nothing that can be read, or a refusal.

A grade is read by a grammar that has to match a whole line, in one of a few named forms, and every
other line has to be free of digits. So no digit that merely stands somewhere is ever a grade, and
what can be read in two ways (``1 or 0``, ``0/1``, ``~1``, ``-1``, ``1. Wrong``) is unparsed. The
text as it was written stays beside what was read.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from trimtab.text.health import is_empty, looks_refusal

GRAMMAR = 1
"""Raised whenever a text may be read otherwise than before; part of the keys of what is trained."""


class GradeState(StrEnum):
    """What became of a grade that was asked for."""

    VALUE = "value"
    UNPARSED = "unparsed"
    REFUSED = "refused"


@dataclass(frozen=True)
class GradeScale:
    """The scale that a model was asked for: from ``bottom`` to ``top``.

    Attributes:
        top: The best grade.
        whole: Only whole numbers are on it.
        bottom: The worst grade: 0 or 1.
    """

    top: int = 1
    whole: bool = True
    bottom: int = 0


ScaleName = Literal["binary", "unit", "0-10", "1-5"]
SCALES: dict[ScaleName, GradeScale] = {
    "binary": GradeScale(),
    "unit": GradeScale(whole=False),
    "0-10": GradeScale(top=10),
    "1-5": GradeScale(bottom=1, top=5),
}
"""Scales that can be asked for."""
REQUESTS: dict[ScaleName, str] = {
    "binary": "Grade your answer: 1 if it is correct, 0 if it is not. Reply with the number alone.",
    "unit": "Grade your answer from 0.0 (worthless) to 1.0 (perfect). Reply with the number alone.",
    "0-10": "Grade your answer from 0 (worthless) to 10 (perfect). Reply with the number alone.",
    "1-5": "Grade your answer from 1 (worst) to 5 (best). Reply with the number alone.",
}
"""What asks for a grade on each of them."""


@dataclass(frozen=True)
class Grade:
    """A grade as it was read.

    Attributes:
        state: Whether there is a value.
        value: Where it lies between the worst grade, 0, and the best, 1; None without a value.
        form: Which form the line had; without a value why not: ``empty``, ``refusal``, ``off
            scale``, ``several``, ``no grade``.
        text: What was written.
    """

    state: GradeState
    value: float | None
    form: str
    text: str


_THOUGHT = re.compile(r"\A.*</think(?:ing)?>|<think(?:ing)?>.*\Z", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<\|?/?[a-z_]+\|?>|\\(?:boxed|text|mathrm)\b|^[ \t]*#+(?=[ \t])", re.I | re.M)
_MARKS = re.compile("[*`\"\u201c\u201d\u00ab\u00bb\\[\\](){}]|(?<!\\w)'|'(?!\\w)|\\b_+|_+\\b")
# Superscripts, fractions and circled digits become plain digits when they are folded.
_NO_DIGIT = "No"

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = r"(?:0|[1-9]\d{0,3})(?:\.\d{1,9})?|\.\d{1,9}"
_NUMBER = rf"(?P<number>{_DIGITS}|{'|'.join(_WORDS)})"
_SPELT = rf"(?P<number>{_DIGITS}|(?<=\ba )(?:{'|'.join(_WORDS)})|(?<=\bof )(?:{'|'.join(_WORDS)}))"
_OUT_OF = r"(?:\s*(?:/|out\s+of)\s*(?P<top>\d{1,4}(?:\.0{1,3})?))?"
_LABEL = (
    r"(?:(?:so|and|thus|therefore|hence|overall|ok(?:ay)?|sure)\s*,?\s+)?"
    r"(?:(?:the|my|your|a|our|own|final|overall|honest|self|numeric(?:al)?)[\s-]+)*"
    r"(?:grade|score|rating|mark|self-?\s?(?:grade|assessment|score|evaluation)|evaluation"
    r"|assessment|reward)"
    r"(?:\s+(?:for|of|to)\s+(?:(?:the|my|this|that|above|previous|given)\s+)*"
    r"(?:answer|response|reply|solution|it|myself|summary))?"
)
_ECHO = r"(?:\s+(?:from\s+)?{bottom}(?:\.0)?\s*(?:or|to|/|-|\u2013)\s*(?P<echo>\d{{1,4}}(?:\.0)?))?"
_OBJECT = (
    r"(?:(?:it|this|that|myself)|(?:(?:the|my|this|that|above|previous|own)\s+)+"
    r"(?:answer|response|reply|solution|summary|work|one))"
)
# A word that says the same as the number, and why the grade is what it is.
_GLOSS = r"(?:\s*[-\u2013\u2014:=,;]?\s*(?P<gloss>correct|right|true|incorrect|wrong|false))?"
_REASON = r"(?P<reason>,?\s+(?:because|since|as)\b\D*)?"
_END = rf"{_OUT_OF}{_GLOSS}{_REASON}\s*[.!]*"


def _forms(bottom: int) -> dict[str, re.Pattern[str]]:
    """Return the forms of a line on a scale that begins there."""
    echo = _ECHO.format(bottom=bottom)
    return {
        "bare": re.compile(rf"{_NUMBER}{_END}"),
        "labelled": re.compile(
            rf"{_LABEL}{echo}\s*(?::|=|\bis\b\s*:?|\bwould\s+be\b|\s[-\u2013\u2014]\s|(?<=\w)\s)\s*"
            rf"(?:a\s+)?{_NUMBER}{_END}"
        ),
        "sentence": re.compile(
            r"(?:i\s*(?:'d|'ll|\s+would|\s+will|\s+have\s+to|\s+must)?\s+(?:\w+ly\s+)?)"
            r"(?:give|rate|grade|score|assign|award|evaluate|mark)\s+"
            rf"(?:{_OBJECT}\s+)?(?:(?:as|at|with)\s+)?(?:a\s+|an\s+|the\s+)?"
            rf"(?:(?:full|perfect|final)\s+)?(?:(?:grade|score|rating|mark)\s+(?:of\s+)?)?"
            rf"{_SPELT}{_END}"
        ),
        "it is": re.compile(
            rf"(?:it|this|that)(?:'s|\s+is|\s+gets|\s+deserves)\s+an?\s+{_NUMBER}{_END}"
        ),
    }


_FORMS = {bottom: _forms(bottom) for bottom in (0, 1)}
_RIGHT = ("correct", "right", "true")
_DECLINES = re.compile(
    r"(?:i\s*(?:'d|\s+would)?\s*(?:rather|prefer)\s+not\b|no\s+comment\b"
    r"|i\s+(?:\w+ly\s+)?(?:refuse|decline)\b"
    r"|i\s*(?:'m|\s+am)\s+(?:not\s+(?:able|going|in\s+a\s+position)|unable)\s+to\s+\w+"
    r"|i\s+(?:can't|cannot|can\s+not|won't|will\s+not|don't|do\s+not|shouldn't|should\s+not)\s+"
    r"(?:\w+ly\s+)?(?:grade|score|rate|assess|evaluate|judge|mark|give|assign|provide)\b)"
)


def parse_grade(text: str, scale: GradeScale | None = None) -> Grade:
    """Return the grade that ``text`` gives on ``scale`` (0 or 1, if none is given)."""
    scale = scale or GradeScale()
    if is_empty(text):
        return Grade(GradeState.UNPARSED, None, "empty", text)
    lines = _lines(text)
    if looks_refusal(text) or any(_DECLINES.match(line) for line in lines):
        return Grade(GradeState.REFUSED, None, "refusal", text)
    read: list[tuple[str, float | None]] = []
    others = []
    for line in lines:
        found = _read(line, scale)
        if found is None:
            others.append(line)
        else:
            read.append(found)
    if not read or any(re.search(r"\d", line) for line in others) or _has_odd_digits(text):
        return Grade(GradeState.UNPARSED, None, "no grade", text)
    if len({value for _, value in read}) > 1:
        return Grade(GradeState.UNPARSED, None, "several", text)
    form, value = read[0]
    if value is None:
        return Grade(GradeState.UNPARSED, None, "off scale", text)
    return Grade(GradeState.VALUE, value, form, text)


def _lines(text: str) -> list[str]:
    """Return the lines of a text, folded, without thoughts, tags, quotation marks and brackets."""
    folded = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'")
    folded = _TAG.sub(" ", _THOUGHT.sub("\n", folded)).casefold()
    folded = "".join(
        str(unicodedata.decimal(c)) if not c.isascii() and c.isdecimal() else c
        for c in folded.replace("\u066b", ".")
        if unicodedata.category(c) != "Cf"
    )
    lines = (" ".join(_MARKS.sub(" ", line).split()) for line in folded.splitlines())
    return [line for line in lines if line]


def _has_odd_digits(text: str) -> bool:
    return any(unicodedata.category(c) == _NO_DIGIT for c in text)


def _read(line: str, scale: GradeScale) -> tuple[str, float | None] | None:
    """Return the form of a line and its value, None where it is off the scale; None for others."""
    for form, pattern in _FORMS[scale.bottom].items():
        match = pattern.fullmatch(line)
        if match is not None:
            return form, _value(match, scale)
    return None


def _value(match: re.Match[str], scale: GradeScale) -> float | None:
    """Return what a matched line is worth; None where it is off the scale or contradicts itself."""
    written = match["number"]
    number = float(_WORDS.index(written) if written in _WORDS else written)
    tops = [match["top"], match.groupdict().get("echo")]
    if any(top is not None and float(top) != scale.top for top in tops):
        return None
    # the two ends of the scale itself, asked for as "0/1"; "0/10" is a grade
    if match["top"] is not None and written == "0" and scale.top == 1:
        return None
    if not scale.bottom <= number <= scale.top or (scale.whole and not number.is_integer()):
        return None
    gloss = match["gloss"]
    if gloss is not None and number != (scale.top if gloss in _RIGHT else scale.bottom):
        return None
    return (number - scale.bottom) / (scale.top - scale.bottom)
