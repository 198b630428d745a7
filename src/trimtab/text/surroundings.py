"""Whether a number in a text stands for itself, or is a part of something else.

Of ``3-5``, ``3:30``, ``2x``, ``5 feet 6 inches`` or an unfinished ``18 - 3`` no part is an answer;
``H2O`` and ``cm^2`` hold no number at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from trimtab.text.decimals import decimal_mark
from trimtab.text.notation import OPAQUE
from trimtab.text.numerals import Numeral, numerals

_NUMBER_AHEAD = r"[$\u00a3\u20ac(]?[-\u2212]?[$\u00a3\u20ac]?\.?\d"
_AFTER = re.compile(
    rf"[:/]\d|%?\s?[-\u2013\u2014\u2212~]\s?{_NUMBER_AHEAD}"
    rf"|\s?[+*\u00d7\u00f7\u22c5\u00b7^]\s?{_NUMBER_AHEAD}"
    rf"|\s?x\s?{_NUMBER_AHEAD}|%?,?\s(?:to|or|through|and|of|out of)\s{_NUMBER_AHEAD}"
    rf"|\s?(?:%|percent)\s(?:of|out of)\s{_NUMBER_AHEAD}"
    rf"|\s[:/]\s\d|\s?\u00b1"
    rf"|,\s\d[\d.]*\s*(?:,|and\b|or\b)|\s?[<>\u2264\u2265\u2260]\s?\d|\^|_\w"
    rf"|\s?(?:[{OPAQUE}\u03c0\u221a\u221e]|pi\b|(?:tenth|hundredth|thousandth|third|fifth|sixth"
    rf"|seventh|eighth|ninth)s?\b)|[xyzn](?![A-Za-z])|x[0-9A-Fa-f]"
)
_BEFORE = re.compile(
    rf"(?:[{OPAQUE}\u221a\u00b1<>\u2264\u2265\u2260]\s?|\d%?\s?[-\u2013\u2014\u2212~]\s?|\d[:/]"
    r"|\d\s[:/]\s"
    rf"|[\w)%]\s?[+\u00d7\u00f7]\s?|[\d)%]\s?\*\s?|[\d)]\s?x\s?|\d,?\s(?:or|through|of|out of|in)\s"
    rf"|[-+\u2212*/^\u00d7]\s?\(\s?"
    # "10 % of 50", "half of 10", "twice 5": the number is none of them
    r"|\d\s?(?:%|percent)\s(?:of|out of)\s|\b(?i:percent|half|thirds?|quarters?|fifths?|tenths?)"
    r"\sof\s|\b(?i:twice|thrice|double|triple)\s)\Z"
)
# "is more than 42" is a bound, "4 more than 42" a calculation, "at least 42" often an answer
_BOUND = re.compile(
    r"(?:\b(?:is|was|are|were|be)|['\u2019]s)\s(?:much\s|far\s)?(?:(?:less|more|greater|fewer|smaller"
    r"|bigger|larger|higher|lower)\sthan|under|over|above|below)\s[$*\u00a3\u20ac]{0,3}\Z",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\bbetween\s+(?:\S*\d\S*\s+and\s+)?\S{0,2}\Z", re.IGNORECASE)
_LABELLED = re.compile(
    r"\b(?:day|step|week|month|year|room|page|case|question|problem|item|no\.|#)\s*\Z",
    re.IGNORECASE,
)
_ROUNDED_OFF = re.compile(r"\.\d{3,}(?:\.\.|\u2026)")
_COMPOUND = re.compile(
    r"\d\s?(?:dollars?|bucks|pounds?|lbs?|euros?|feet|foot|ft|yards?|hours?|hrs?|h|minutes?|mins?"
    r"|days?|weeks?|years?|months?|kg|kilograms?|km|kilomet(?:er|re)s?|met(?:er|re)s?|m|gallons?)"
    r"\.?,?\s?(?:and\s)?[$]?\d[\d.,]*\s?(?:cents?|pence|ounces?|oz|inch(?:es)?|in\b|minutes?"
    r"|mins?|m\b|seconds?|secs?|s\b|feet|ft|hours?|hrs?|days?|weeks?|months?|g\b|grams?|cm|mm"
    r"|met(?:er|re)s?|quarts?)|\d\s?['\u2032]\s?\d+\s?[\"\u2033]",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z^_]\Z")
_CURRENCY_CODE = re.compile(r"(?:^|[^A-Za-z])(?:Rs|USD|EUR|GBP|US)\Z")
_GROUPED_BY_SPACE = re.compile(r"\d+ \d")
_OPEN, _CLOSED = tuple("([{"), tuple(")]}")
CONTEXT = 40
"""Characters around a number that are looked at."""


def standing_numbers(text: str, start: int = 0, stop: int | None = None) -> Iterator[Numeral]:
    """Yield the numbers that are no part of a name, an index or the power of a unit."""
    for numeral in numerals(text, start, stop):
        before = text[max(0, numeral.start - 5) : numeral.start]
        bare = numeral.text[0].isdigit() or numeral.text[0] == "."
        if not (bare and _NAME.search(before)) or _CURRENCY_CODE.search(before):
            yield numeral


def is_unclear(text: str, numeral: Numeral) -> bool:
    """Return whether a number is worth nothing, or only a part of what is written there."""
    before = text[max(0, numeral.start - CONTEXT) : numeral.start]
    if numeral.value is None or _AFTER.match(text, numeral.end) or _BEFORE.search(before):
        return True
    if (
        _BETWEEN.search(before)
        or _BOUND.search(before)
        or _ROUNDED_OFF.match(text, numeral.start + numeral.text.find("."))
    ):
        return True
    # (1,2) is a pair, 1,2 a decimal number
    bracketed = before[-1:] in _OPEN and text[numeral.end : numeral.end + 1] in _CLOSED
    if bracketed and decimal_mark(numeral.text) == ",":
        return True
    # "day 1 200 apples"
    if _GROUPED_BY_SPACE.match(numeral.text) and _LABELLED.search(before):
        return True
    start, end = max(0, numeral.start - CONTEXT), numeral.end + CONTEXT
    parts = [match.span() for match in _COMPOUND.finditer(text, start, end)]
    return any(
        first <= numeral.start < last or first < numeral.end <= last for first, last in parts
    )
