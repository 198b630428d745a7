"""What a chat judge said: yes or no, one of some choices, or a number; else unparsed.

A verdict is never guessed. A reply that is empty, contradictory, hedged, off the scale or a
refusal is unparsed; the caller counts it as missing, not as "no" and not as 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum

from trimtab.text.health import is_empty, looks_refusal


class Verdict(StrEnum):
    """A judge's answer to a yes/no question."""

    YES = "yes"
    NO = "no"
    UNPARSED = "unparsed"


# Some chat templates open the block themselves, so only its end is in the reply.
_THOUGHT = re.compile(r"\A.*</think(?:ing)?>|<think(?:ing)?>.*\Z", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?[a-z_]+>|\\(?:boxed|text|textbf)\b", re.IGNORECASE)
_MARKUP = re.compile(r"[*_`#>~|\"\u201c\u201d(){}\[\]]|(?<!\w)'|'(?!\w)")

_LABEL = (
    r"\b(?:answer|verdict|judge?ment|grade|score|rating|decision|conclusion|result|choice|response)"
)
_SEPARATOR = r"\s*(?:(?:is|was|would\s+be)\s*:?|[:=]|\s[-\u2013\u2014]\s)\s*"
_STRONG = rf"{_LABEL}\s*(?:[:=]|\s[-\u2013\u2014]\s|\bis\s*:)\s*"
_STOP = r"(?=\s*(?:[.,;:!\n]|\s[-\u2013\u2014]|[\u2013\u2014]|$))"

# "yes or no", "yes/no": the question repeated, or a judge that will not choose.
_ALTERNATIVES = re.compile(r"\b(?:yes|no)\s*(?:,?\s*(?:or|and)\s+|[/&\\]\s*)(?:yes|no)\b")
_LABELLED = re.compile(_STRONG + r"(yes|no)\b(?!\s*\?|-\w)")
_STATED = re.compile(rf"{_LABEL}{_SEPARATOR}(yes|no){_STOP}")
_OPENING_YES = re.compile(r"\s*(yes)\b(?!\s*\?|-\w)")
# "no" is also a determiner ("No evidence ..."), so what follows it has to be a new clause.
_OPENING_NO = re.compile(
    rf"\s*(no)\b(?!\.[ \t]*\d)(?:{_STOP}|(?=\s+(?:because|since|as|it|the|this|that|they|he|she|i"
    r"|there|its|we|you)\b))"
)
_STANDALONE = re.compile(
    rf"(?:^|[.,;:!?\n]|\s[-\u2013\u2014]|[\u2013\u2014])\s*"
    rf"(?:(?:so|but|and|or|actually|wait|hmm|rather|maybe|perhaps|then|therefore)\b,?\s*)*"
    rf"(yes|no)\b(?!\.[ \t]*\d){_STOP}"
)
_MENTIONED = re.compile(rf"\b(yes|no)\b{_STOP}")

_NUMBER = r"(?<![\w.,/])[-+\u2212]?\d+(?:\.\d+)?(?!\w|[.,]\d|\s*(?:/|out\s+of)\s*\d)"
_NUMBER_LABELLED = re.compile(rf"{_LABEL}{_SEPARATOR}({_NUMBER})(?!\s*%)")
_NUMBER_FIRST = re.compile(rf"\s*({_NUMBER})\s*(?:\n|\.(?:\s|$)|$)")
_NUMBER_RANGE = re.compile(r"[\d.]*\d\s*(?:[-\u2013\u2014]|\bto\b|\bor\b|\band\b)\s*\d[\d.]*")
# What makes a lone number something other than the verdict.
_NO_LONE_NUMBER = re.compile(r"\d\s*(?:%|percent)|\d,\d|\d\s*(?:/|out\s+of)\s*\d|\brange\b")


def parse_yes_no(text: str) -> Verdict:
    """Return the verdict of a judge that was asked for "yes" or "no".

    A labelled verdict ("Answer: yes") counts most, unless a bare contrary one follows it; then a
    reply that opens with the word, has it as a clause of its own, or says "the answer is yes".
    Markdown, quotes, brackets, JSON and <think> blocks are looked through. Both words as verdicts,
    "yes or no", "yes?" and refusals are ``UNPARSED``.
    """
    cleaned = _ALTERNATIVES.sub("/", _clean(text))
    labelled = list(_LABELLED.finditer(cleaned))
    if labelled:
        found = {match[1] for match in labelled}
        found.update(_STANDALONE.findall(cleaned, labelled[-1].end()))
    elif looks_refusal(cleaned):
        return Verdict.UNPARSED
    else:
        found = {*_STATED.findall(cleaned), *_STANDALONE.findall(cleaned)}
        opening = _OPENING_YES.match(cleaned) or _OPENING_NO.match(cleaned)
        if opening:
            found.add(opening[1])
        if found:
            # A contrary word at the end of a clause is enough to doubt ("Yes and also no.").
            found.update(_MENTIONED.findall(cleaned))
    return Verdict(found.pop()) if len(found) == 1 else Verdict.UNPARSED


def unparsed_reason(text: str) -> str:
    """Return why a judge's reply could not be read: "empty", "refusal" or "no clear verdict"."""
    if is_empty(_clean(text)):
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
    cleaned = _clean(text.replace(")", " ; "))
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
    ("3-4"), percentages, decimal commas and numbers off the scale give None; nothing is clamped.

    Raises:
        ValueError: ``low`` is not below ``high``.
    """
    if not low < high:
        raise ValueError(f"parse_number: low={low} is not below high={high}")
    cleaned = _NUMBER_RANGE.sub(" range ", _without_scale(_clean(text), low, high))
    found = set(_NUMBER_LABELLED.findall(cleaned))
    if not found and (first := _NUMBER_FIRST.match(cleaned)):
        found = {first[1]}
    if not found and not _NO_LONE_NUMBER.search(cleaned):
        found = set(re.findall(_NUMBER, cleaned))
    values = {float(number.replace("\u2212", "-")) for number in found}
    value = values.pop() if len(values) == 1 else None
    return value if value is not None and low <= value <= high else None


def _clean(text: str) -> str:
    """Return ``text`` folded, without thoughts, tags, markup and quotes; lines stay lines."""
    folded = unicodedata.normalize("NFKC", text).replace("\u2019", "'")
    folded = _TAG.sub("\n", _THOUGHT.sub("\n", folded)).casefold()
    lines = (" ".join(line.split()) for line in _MARKUP.sub(" ", folded).splitlines())
    return "\n".join(line for line in lines if line)


def _without_scale(cleaned: str, low: float, high: float) -> str:
    """Remove the scale's own numbers: "out of 10", "/10", "from 0 to 10", "0-10"."""
    low_text, high_text = (re.escape(f"{bound:.10g}") + r"(?:\.0+)?" for bound in (low, high))
    scale = rf"(?<![\w.]){low_text}\s*(?:[-\u2013\u2014]|to|and)\s*{high_text}(?![\w.]\d|\w)"
    without_range = re.sub(scale, " ", cleaned)
    return re.sub(rf"\s*(?:/|\bout\s+of\b)\s*{high_text}(?!\d|\.\d)", "", without_range)
