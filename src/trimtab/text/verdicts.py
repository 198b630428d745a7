"""What a chat judge said: yes or no, one of some choices, or a number; else unparsed.

A verdict is never guessed. A reply that is empty, contradictory, hedged, off the scale or a
refusal is unparsed; the caller counts it as missing, not as "no" and not as 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from trimtab.text._plain_reply import plain_reply
from trimtab.text.denials import is_word_denied
from trimtab.text.health import is_empty, looks_refusal

GRAMMAR = 4
"""Raised whenever a reply may be read otherwise than before; part of the keys of judges."""


class Verdict(StrEnum):
    """A judge's answer to a yes/no question."""

    YES = "yes"
    NO = "no"
    UNPARSED = "unparsed"


_LABEL = r"\b(?:answer|verdict|judge?ment|grade|score|rating|decision|conclusion|result|choice)"
_SEPARATOR = r"\s*(?:(?:is|was|would\s+be)\s*:?|[:=]|\s[-\u2013\u2014]\s)\s*"
_STOP = r"(?=\s*(?:[.,;:!\n]|\s[-\u2013\u2014]|[\u2013\u2014]|$))"

# "yes or no", "yes/no": the question repeated, or a judge that will not choose.
_ALTERNATIVES = re.compile(r"\b(?:yes|no)\s*(?:,?\s*(?:or|and)\s+|[/&\\]\s*)(?:yes|no)\b")

_CLAUSE = (
    r"(?:^|[.!?;\n]|\s[-\u2013\u2014]|[\u2013\u2014]|,(?=\s*(?:so|thus|therefore|hence)\b))\s*"
)
_THEN = (
    r"(?:(?:so|thus|therefore|hence|overall|finally|in\s+(?:conclusion|summary|short)|then|and|but"
    r"|or|well|ok|okay|hmm|actually|wait|rather|maybe|perhaps"
    r"|i\s+(?:think|believe|conclude|judge|would\s+say)(?:\s+that)?)\b(?:\s*[,:])?\s*){0,4}"
)
# Whose answer it is matters: "the given answer", "reference answer" and "response" are echoes.
_OWN_LABEL = (
    r"(?:(?:the|my|our|this|final|overall|short)\s+)*"
    r"(?:answer|verdict|judge?ment|grade|score|rating|decision|conclusion|evaluation|assessment"
    r"|result|truthful|correct|accurate|informative|true|honest|factual|supported|consistent"
    r"|acceptable)"
)
_YES = (
    r"(yes)\b(?!\s*\?|-\w|\s+(?:(?:is|was|would\s+be|can|could)\s+(?:\w+ly\s+)?"
    r"(?:not\b|wrong|incorrect|false)|isn't|wasn't|can't|cannot))"
)
# "no" is also a determiner ("No evidence ..."), so what follows it has to be a new clause.
_NO = (
    rf"(no)\b(?!\.[ \t]*\d)(?:{_STOP}|(?=\s+(?:because|since|as|it|the|this|that|they|he|she|i"
    r"|there|its|we|you)\b))"
)
_WORD = rf"(?:{_YES}|{_NO})"
_LABELLED = re.compile(
    rf"{_CLAUSE}{_THEN}(?:{_OWN_LABEL}\s*(?:/\s*)?(?:[:=]|\s[-\u2013\u2014]\s|\bis\s*:)"
    rf"|[^\n:]{{0,40}}/\s*:"
    rf"|[^\n:.!]{{0,60}}\b(?:truthful|informative|accurate)\s*\??\s*:)\s*{_WORD}",
    re.MULTILINE,
)
_STATED = re.compile(
    rf"(?:{_CLAUSE}|,\s*){_THEN}{_OWN_LABEL}\s+(?:is|would\s+be)\s+(yes|no)\b{_STOP}", re.MULTILINE
)
_OPENING = re.compile(rf"\s*{_WORD}")
_STANDALONE = re.compile(
    rf"{_CLAUSE}{_THEN}(?<!\?)(?<!\?\s)(yes|no)\b(?!\.[ \t]*\d){_STOP}", re.MULTILINE
)
# A judge may ask itself; a question without these words is an echo of the one that was answered.
_ASKED = re.compile(
    r"^(?!q\b|question\b)[^.!?\n]{0,200}\b(?:answer|response|reply|claim|statement|truthful"
    rf"|informative|correct|accurate)\b[^.!?\n]{{0,200}}\?\s*(yes|no)\b{_STOP}",
    re.MULTILINE,
)
# Labels that are an echo beside other words, and a judge's own where there is nothing else.
_ALONE = re.compile(
    r"(?:(?:response|reply|output|assistant|judge|label|choice)\s*[:=]"
    r"|(?!q\b|question\b)[^.!?:\n]*\?)\s*(yes|no)[\s.!]*"
)
_MENTIONED = re.compile(rf"\b(yes|no)\b{_STOP}")

_NUMBER = r"(?<![\w.,/])[-+\u2212]?\d+(?:\.\d+)?(?!\w|[.,]\d|\s*(?:/|out\s+of)\s*\d)"
_NUMBER_LABELLED = re.compile(rf"{_LABEL}{_SEPARATOR}({_NUMBER})(?!\s*%)")
_NUMBER_FIRST = re.compile(rf"\s*({_NUMBER})\s*(?:\n|\.(?:\s|$)|$)")
_NUMBER_RANGE = re.compile(r"[\d.]*\d\s*(?:[-\u2013\u2014]|\bto\b|\bor\b|\band\b)\s*\d[\d.]*")
# What makes a lone number something other than the verdict.
_NO_LONE_NUMBER = re.compile(r"\d\s*(?:%|percent)|\d,\d|\d\s*(?:/|out\s+of)\s*\d|\brange\b")

# "I would not give it a 7" names no grade.
_DENIED_IN_PROSE = re.compile(r"(?:\b(?:not|never|hardly|cannot)\b|n't\b)\s+(?:[\w']+\s+){0,3}\Z")


def parse_yes_no(text: str) -> Verdict:
    """Return the verdict of a judge that was asked for "yes" or "no".

    A labelled verdict ("Answer: yes") counts most, unless a bare contrary one follows it; then a
    reply that opens with the word, has it as a sentence or line of its own, or says "the answer is
    yes". Markdown, brackets, bullets, JSON and <think> blocks are looked through. A word that the
    judge quotes, or repeats with whose it is ("Given answer: No.", "Response: ..."), is not its
    verdict. Both words as verdicts, "yes or no", "yes?" and refusals are ``UNPARSED``.
    """
    cleaned = _ALTERNATIVES.sub("/", plain_reply(text))
    if (alone := _ALONE.fullmatch(cleaned)) is not None:
        return Verdict(alone[1])
    labelled = list(_LABELLED.finditer(cleaned))
    if labelled:
        found = {match[1] or match[2] for match in labelled}
        found.update(_STANDALONE.findall(cleaned, labelled[-1].end()))
    elif looks_refusal(cleaned):
        return Verdict.UNPARSED
    else:
        found = {word for form in (_STATED, _STANDALONE, _ASKED) for word in form.findall(cleaned)}
        opening = _OPENING.match(cleaned)
        if opening:
            found.add(opening[1] or opening[2])
        if found:
            # A contrary word at the end of a clause is enough to doubt ("Yes and also no.").
            found.update(_MENTIONED.findall(cleaned))
    return Verdict(found.pop()) if len(found) == 1 else Verdict.UNPARSED


def unparsed_reason(text: str) -> str:
    """Return why a judge's reply could not be read: "empty", "refusal" or "no clear verdict"."""
    if is_empty(plain_reply(text)):
        return "empty"
    return "refusal" if looks_refusal(text) else "no clear verdict"


def parse_choice(text: str, choices: Sequence[str]) -> str | None:
    """Return which of ``choices`` (letters or words) a judge named, or None.

    Either the whole reply, or one of its lines, is the choice; or it is labelled ("GRADE: C").
    Matching ignores case and takes whole words only: "GRADE: CI" is no "C". Two different choices,
    and a choice that runs on into other words, give None.

    Raises:
        ValueError: ``choices`` is empty, or two of them differ only in case.
    """
    by_folded = {choice.casefold(): choice for choice in choices}
    if not choices or len(by_folded) != len(choices):
        raise ValueError(f"parse_choice: choices {list(choices)} must differ, ignoring case")
    # A closing bracket ends a choice ("Answer: (A) Paris"); the cleaning would drop it.
    cleaned = plain_reply(text.replace(")", " ; "))
    anyone = "|".join(re.escape(c) for c in sorted(by_folded, key=len, reverse=True))
    another = rf"(?:[\s,;]*(?:(?:or|and)\b|[/&])|\s*[,;]\s*(?:{anyone})(?!\w))"
    end = rf"(?!\w){_STOP}(?!{another})"
    labelled = re.findall(rf"{_LABEL}{_SEPARATOR}({anyone}){end}", cleaned)
    alone = re.findall(rf"^[ \t]*({anyone})[ \t]*[.;!]?[ \t]*$", cleaned, re.MULTILINE)
    found = {*labelled, *alone}
    return by_folded[found.pop()] if len(found) == 1 else None


def parse_number(text: str, low: float, high: float) -> float | None:
    """Return the number from ``low`` to ``high`` (inclusive) that a judge gave, or None.

    In this order: a labelled number ("Score: 7"), a first line that is a number, the only number in
    the reply. "7/10" and "7 out of 10" are 7 where ``high`` is 10. Two different numbers, ranges
    ("3-4"), percentages, decimal commas, numbers off the scale and denied ones ("not 7") give None;
    nothing is clamped.

    Raises:
        ValueError: ``low`` is not below ``high``.
    """
    if not low < high:
        raise ValueError(f"parse_number: low={low} is not below high={high}")
    cleaned = _NUMBER_RANGE.sub(" range ", _without_scale(plain_reply(text), low, high))
    said = list(_NUMBER_LABELLED.finditer(cleaned))
    if not said and (first := _NUMBER_FIRST.match(cleaned)):
        said = [first]
    if not said and not _NO_LONE_NUMBER.search(cleaned):
        said = list(re.finditer(f"({_NUMBER})", cleaned))
        if any(_DENIED_IN_PROSE.search(cleaned[: match.start()]) for match in said):
            return None
    if any(is_word_denied(cleaned, *match.span(1)) for match in said):
        return None
    found = {match[1] for match in said}
    values = {float(number.replace("\u2212", "-")) for number in found}
    value = values.pop() if len(values) == 1 else None
    return value if value is not None and low <= value <= high else None


def _without_scale(cleaned: str, low: float, high: float) -> str:
    """Remove the scale's own numbers: "out of 10", "/10", "from 0 to 10", "0-10"."""
    low_text, high_text = (re.escape(f"{bound:.10g}") + r"(?:\.0+)?" for bound in (low, high))
    scale = rf"(?<![\w.]){low_text}\s*(?:[-\u2013\u2014]|to|and)\s*{high_text}(?![\w.]\d|\w)"
    without_range = re.sub(scale, " ", cleaned)
    return re.sub(rf"\s*(?:/|\bout\s+of\b)\s*{high_text}(?!\d|\.\d)", "", without_range)
