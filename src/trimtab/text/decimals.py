"""Marks of thousands and decimal marks: what ``1.234,50``, ``1 234`` and ``12,34,567`` are worth.

A comma or a point in front of exactly three digits is a mark of thousands and a decimal point, as
in English; everywhere else the writing itself says which it is (``12,5``, ``1.234.567``).
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal

MAX_DIGITS = 1000
"""Longer numbers are no answers; Python itself refuses integers of more than 4,300 digits."""
SPACE = "[ \u00a0\u2002-\u200a\u202f]"
"""What may stand between groups of digits."""

DecimalMark = Literal[".", ",", "?.", "?,", ""]


def decimal_mark(digits: str) -> DecimalMark | None:
    """Return the decimal mark of a number without sign; None where its groups make no sense.

    ``?.`` and ``?,`` are a single mark in front of three digits: it may be one of thousands.
    """
    bare = re.sub(SPACE, " ", digits).replace("\u2019", "'")
    if re.fullmatch(r"\d+", bare) or re.fullmatch(r"\d{1,3}(?:([ '_])\d{3})(?:\1\d{3})*", bare):
        return ""
    if re.fullmatch(r"[1-9]\d{0,2},\d{3}", bare):
        return "?,"
    if re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", bare):
        return "?."
    for mark, group in ((".", ","), (",", ".")):
        grouped = rf"\d{{1,3}}(?:([ '_{group}])\d{{3}})(?:\1\d{{3}})*{re.escape(mark)}\d+"
        if re.fullmatch(grouped, bare) or re.fullmatch(rf"\d*{re.escape(mark)}\d+", bare):
            return mark  # type: ignore[return-value]
        if re.fullmatch(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}}){{2,}}", bare):
            return ""
    # 12,34,567 as in India
    return "" if re.fullmatch(r"\d{1,2}(?:,\d{2})+,\d{3}", bare) else None


def decimal(digits: str) -> Fraction | None:
    """Return the value of digits with marks of thousands and a decimal mark; None if it has none.

    A single comma in front of three digits is read as thousands, a point as a decimal point.
    """
    mark = decimal_mark(digits) if len(digits) <= MAX_DIGITS else None
    if mark is None:
        return None
    sign = {"?.": ".", "?,": ""}.get(mark, mark)
    whole, _, part = digits.rpartition(sign) if sign else (digits, "", "")
    return Fraction(int("".join(filter(str.isdigit, whole + part)) or "0"), 10 ** len(part))


def written(value: Fraction) -> str:
    """Return the one form of a value: decimals without an exponent, or a fraction like ``1/3``."""
    top, bottom = value.numerator, value.denominator
    places = 0
    while bottom % 10 == 0:
        bottom, places = bottom // 10, places + 1
    while bottom % 2 == 0:
        bottom, top, places = bottom // 2, top * 5, places + 1
    while bottom % 5 == 0:
        bottom, top, places = bottom // 5, top * 2, places + 1
    if bottom != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = f"{abs(top):0{places + 1}d}"
    sign = "-" if top < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"
