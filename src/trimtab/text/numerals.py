"""What a written number is worth: ``1.234,50``, ``2 1/2``, ``1.5 x 10^3``, ``$2.5 million``.

What can be read in two ways (``1,00,0``, ``2 3/2``) is worth nothing, not one of its parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from trimtab.text.decimals import MAX_DIGITS, SPACE, decimal, decimal_mark
from trimtab.text.notation import plain

_MAX_EXPONENT = 400

_CURRENCY = "[$\u00a3\u20ac\u00a5\u20b9]"
_MINUS = "[-\u2212]"
_SCALES = {
    "hundred": 2, "thousand": 3, "k": 3, "lakh": 5, "lakhs": 5, "million": 6, "millions": 6,
    "mio": 6, "mln": 6, "crore": 7, "crores": 7, "billion": 9, "billions": 9, "bn": 9, "mrd": 9,
    "trillion": 12, "trillions": 12, "tn": 12, "\u4e07": 4, "\u842c": 4, "\u4ebf": 8, "\u5104": 8,
}  # fmt: skip
# "5 m" are metres and "$5m" millions
_AFTER_CURRENCY = {"m": 6, "mm": 6, "b": 9, "t": 12}
_ATTACHED = ("M", "B")
_PARTS = {"half": Fraction(1, 2), "quarter": Fraction(1, 4), "third": Fraction(1, 3)}

_PLAIN = rf"(?:\d{{1,3}}(?:{SPACE}\d{{3}})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,'\u2019_]\d+)*|(?<!\w)\.\d+)"
NUMERAL = re.compile(
    rf"""
    (?=[-+\u2212$\u00a3\u20ac\u00a5\u20b9.\d])
    (?P<sign>[-+\u2212]{SPACE}?)?(?P<currency>{_CURRENCY}{SPACE}?)?(?P<inner>[-+\u2212])?
    (?:
      (?P<whole>\d{{1,3}}(?:,\d{{3}})+|\d+)(?:{SPACE}+|{SPACE}+and{SPACE}+)
      (?:(?P<top>\d{{1,4}}){SPACE}?/{SPACE}?(?P<bottom>\d{{1,4}})(?![\d/])
        |(?:a|one){SPACE}(?P<part>half|quarter|third)\b)
    | (?P<number>{_PLAIN})
      (?: {SPACE}?/{SPACE}?(?P<under>\d+(?:[.,]\d+)*)
        | [eE](?P<exponent>[-+\u2212]?\d+)(?!\w)
        | {SPACE}?[\u00d7x*\u22c5\u00b7]{SPACE}?10{SPACE}?(?:\^|\*\*)
          \(?(?P<ten>[-+\u2212]?\d+)\)?
        | {SPACE}?(?:\^|\*\*)\(?(?P<power>[-+\u2212]?\d+)\)?
      )?
    )
    (?:{SPACE}?(?P<scale>hundred|thousand|lakhs?|crores?|millions?|billions?|trillions?|mio|mln|mrd
        |bn|tn|k|mm|m|b|t)\b(?!\^)|(?P<myriad>[\u4e07\u842c\u4ebf\u5104]))?
    (?P<euro>{SPACE}?\u20ac)?
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Numeral:
    """One number in a text.

    Attributes:
        text: As it is written, with sign, currency and ``million``; a percent sign is left out.
        start: Where it begins, its sign included.
        end: Where it ends.
    """

    text: str
    start: int
    end: int

    @property
    def value(self) -> Fraction | None:
        """What it is worth; None where that can't be said."""
        return read(self.text)


def numerals(text: str, start: int = 0, stop: int | None = None) -> Iterator[Numeral]:
    """Yield what looks like a number in a plain text, from ``start`` to ``stop``, in order.

    A sign counts only where nothing in front of it can be subtracted from.
    """
    for match in NUMERAL.finditer(text, start, len(text) if stop is None else stop):
        begin, end = match.start(), match.end()
        if match["scale"] and not _is_scale(match):
            end = match.end("part") if match["part"] else _end_of_number(match)
        if match["sign"] and _is_operator(text, match):
            begin = match.end("sign")
        yield Numeral(text[begin:end], begin, end)


def _end_of_number(match: re.Match[str]) -> int:
    groups = ("number", "under", "exponent", "ten", "power", "whole", "bottom", "part")
    end = max(match.end(name) for name in groups)
    return end + (match.string[end : end + 1] == ")" and match.string[end - 1] != ")"
                  and "(" in match.string[match.start() : end])  # fmt: skip


def _is_scale(match: re.Match[str]) -> bool:
    word = match["scale"]
    spaced = match.string[match.start("scale") - 1].isspace()
    if word.casefold() in _AFTER_CURRENCY:
        return not spaced and (match["currency"] is not None or word in _ATTACHED)
    # "300 K" are kelvin, "300K" and "300 k" are thousands
    return word != "K" or not spaced


def _is_operator(text: str, match: re.Match[str]) -> bool:
    """Return whether a sign is that of a calculation, a range, a hyphen or a list."""
    before = text[max(0, match.start() - 24) : match.start()]
    if len(match["sign"]) == 1 and before[-1:].isalnum():
        return True
    spaced = before.rstrip(" \u00a0\u2009\u202f")
    if spaced == "" or spaced[-1] == "\n":
        return len(match["sign"]) > 1 and match.start() > 0
    return spaced[-1].isdigit() or spaced[-1] in ")%\u00b0\u25a1"


def read(written: str) -> Fraction | None:
    """Return what one written number is worth, exactly; None for anything else."""
    match = NUMERAL.fullmatch(written)
    if match is None or len(written) > MAX_DIGITS or (match["sign"] and match["inner"]):
        return None
    if match["scale"] and not _is_scale(match):
        return None
    value = _mixed(match) if match["whole"] else _number(match)
    if value is None:
        return None
    scale = (match["scale"] or match["myriad"] or "").casefold()
    value *= Fraction(10) ** (_SCALES.get(scale) or _AFTER_CURRENCY.get(scale, 0))
    sign = (match["sign"] or match["inner"] or "+").strip()
    return value if sign == "+" else -value


def _mixed(match: re.Match[str]) -> Fraction | None:
    whole = int(match["whole"].replace(",", ""))
    if match["part"]:
        return whole + _PARTS[match["part"].casefold()]
    top, bottom = int(match["top"]), int(match["bottom"])
    return whole + Fraction(top, bottom) if top < bottom else None


def _number(match: re.Match[str]) -> Fraction | None:
    value = decimal(match["number"])
    euros = (match["currency"] or "")[:1] == "\u20ac" or match["euro"]
    # 1.234 euros are hardly ever of three decimals
    if value is None or (euros and decimal_mark(match["number"]) == "?."):
        return None
    if match["under"]:
        under = decimal(match["under"])
        return value / under if under else None
    ten = match["exponent"] or match["ten"]
    if ten is not None:
        return (
            None
            if len(ten) > 5 or abs(_int(ten)) > _MAX_EXPONENT
            else value * Fraction(10) ** _int(ten)
        )
    if match["power"] is None:
        return value
    if len(match["power"]) > 4 or abs(_int(match["power"])) * len(match["number"]) > _MAX_EXPONENT:
        return None
    power = _int(match["power"])
    return None if value == 0 and power <= 0 else Fraction(value**power)


def _int(text: str) -> int:
    return int(text.replace("\u2212", "-"))


def number(text: str) -> Fraction | None:
    """Return the value of a text that is one number and nothing else but percent or a full stop."""
    if re.fullmatch(r"[-+]?\d{1,15}", text):
        return Fraction(int(text))
    if len(text) > 2 * MAX_DIGITS:
        return None
    bare = plain(text).strip().strip("$").strip() if "\\" in text else plain(text).strip()
    bare = re.sub(rf"{SPACE}?(?:%|[$\u00a3\u00a5\u20b9])?{SPACE}?\.*$", "", bare)
    return read(bare)
