"""What a judge said that was asked for a grade, a label, or to name a refusal: all, or unparsed.

The whole reply has to fit a grammar: the grade alone, or in a first or last line of its own with
the reasons beside it. A number somewhere in a sentence is no grade, and nothing is rounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trimtab.text._plain_reply import plain_reply

GRADE_GRAMMAR = 1
"""Raised whenever a reply may be read otherwise than before; part of the keys of judges."""

_OWN = r"(?:(?:the|my|our|final|overall)\s+)*"
_NOUNS = (
    "answer|verdict|judge?ment|grade|score|rating|label|category|class|result|decision|choice"
    "|identity"
)
_NUMBER = r"[-+\u2212]?\d+(?:\.\d+)?"
_REASON = r"(?P<reason>\s+[-\u2013\u2014]\s.*|\s*[:;,].*)"


@dataclass(frozen=True)
class Scale:
    """Grades from ``low`` to ``high``, both included; ``whole`` allows whole numbers alone."""

    low: float
    high: float
    whole: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError for a scale without a length."""
        if not self.low < self.high:
            raise ValueError(f"a scale must rise: {self.low:g} is not below {self.high:g}")

    def holds(self, value: float) -> bool:
        """Whether a number is a grade of this scale."""
        return self.low <= value <= self.high and not (self.whole and value % 1)


@dataclass(frozen=True)
class Grade:
    """What a reply says; nothing of it where it could not be read.

    Attributes:
        value: The grade.
        label: The label, spelled as it was offered.
        refused: Whether the judge says that the answer is a refusal.
    """

    value: float | None = None
    label: str | None = None
    refused: bool = False

    @property
    def parsed(self) -> bool:
        """Whether the reply could be read."""
        return self.refused or self.value is not None or self.label is not None


def parse_grade(text: str, scale: Scale, refusal: str | None = None, name: str = "") -> Grade:
    """Return the grade that a judge gave.

    Args:
        text: The reply. ``4``, ``Score: 4``, ``4/5``, ``{"score": 4, "reason": "..."}``, and a line
            of those with reasons below it, or above where the line is labelled.
        scale: What may be given; a number off it is unparsed.
        refusal: The word by which the judge calls an answer a refusal.
        name: What else the judge may label its grade with: the name of the metric.
    """
    high = re.escape(f"{scale.high:g}")
    outof = rf"(?:(?:\.0+)?\s*(?:/|\bout\s+of\b)\s*{high}(?:\.0+)?)?"
    verdict = rf"({_NUMBER}){outof}"
    found = _found(text, verdict, refusal, name)
    if found is None:
        return Grade()
    if refusal is not None and found == _plain(refusal):
        return Grade(refused=True)
    value = float(found.replace("\u2212", "-"))
    return Grade(value=value) if scale.holds(value) else Grade()


def parse_label(
    text: str, labels: Sequence[str], refusal: str | None = None, name: str = ""
) -> Grade:
    """Return which of ``labels`` a judge gave; as ``parse_grade``.

    Raises:
        ValueError: There is none, or two are alike but for case and marks.
    """
    known = {_plain(label): label for label in labels}
    if not known or len(known) != len(labels):
        raise ValueError(f"parse_label: labels {list(labels)} must differ, ignoring case")
    words = "|".join(re.escape(word) for word in sorted(known, key=len, reverse=True))
    found = _found(text, rf"({words})", refusal, name)
    if found is None:
        return Grade()
    if refusal is not None and found == _plain(refusal):
        return Grade(refused=True)
    return Grade(label=known[found])


def _found(text: str, verdict: str, refusal: str | None, name: str) -> str | None:
    """Return the one verdict of a reply that fits the grammar; None for any other reply."""
    either = verdict if refusal is None else rf"(?:{verdict}|({re.escape(_plain(refusal))}))"
    nouns = f"{_NOUNS}|{re.escape(_plain(name))}" if name else _NOUNS
    fields = _json_fields(text, nouns)
    if fields is not None:
        matches = [re.fullmatch(either, field) for field in fields]
    else:
        matches = list(_lines(plain_reply(text).splitlines(), either, nouns))
    found = {_group(match) for match in matches if match is not None}
    return found.pop() if len(found) == 1 and None not in matches else None


def _lines(lines: Sequence[str], either: str, nouns: str) -> Iterator[re.Match[str]]:
    """Yield what lines say that are a verdict, labelled or, first and last, by themselves."""
    label = rf"{_OWN}(?:{nouns})\s*(?:is\s*:?|[:=])\s*"
    for line in lines:
        if match := re.fullmatch(rf"{label}{either}[.!]?", line):
            yield match
    for line in dict.fromkeys((*lines[:1], *lines[-1:])):
        if match := re.fullmatch(rf"{either}[.!]?", line):
            yield match
            return
    # a second verdict behind the first is doubt, whatever stands between them
    match = re.fullmatch(rf"(?:{label})?{either}{_REASON}", lines[0]) if len(lines) == 1 else None
    if match and not re.search(rf"(?<!\w)(?:{either})(?!\w)", match["reason"]):
        yield match


def _json_fields(text: str, nouns: str) -> list[str] | None:
    """Return the fields of a reply that is one JSON object which verdicts are given in."""
    body = re.sub(r"\A\s*```(?:json)?\s*|\s*```\s*\Z", "", text.strip())
    if not body.startswith("{"):
        return None
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = [
        value for key, value in given.items() if re.fullmatch(rf"{_OWN}(?:{nouns})", _plain(key))
    ]
    return ["" if isinstance(v, bool | dict | list) else _plain(str(v)) for v in found]


def _group(match: re.Match[str]) -> str:
    named = match.groupdict().values()
    return next(group for group in match.groups() if group is not None and group not in named)


def _plain(word: str) -> str:
    return plain_reply(word).strip()
