"""Text from elsewhere, written so that it does nothing: in terminals, spreadsheets and Markdown."""

from __future__ import annotations

import re
import unicodedata

# What turns the direction of the text that follows; a name could show as another one.
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LEADS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Signs, digits and what stands between them: a value with its interval, never a formula's words.
_FIGURES = re.compile(r"[+-](?:[\d.,%\s\[\]*\u2212\u2013\u2014+-]|(?<=\d)e(?=[+-]?\d))*")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_LINK = re.compile(r"\](?=[(\[:])")


def printable(text: str) -> str:
    """Return ``text`` for a terminal: control characters are shown, and none takes effect.

    Line feeds and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(c) for c in text)


def one_line(text: str) -> str:
    """Return ``text`` for one line of a terminal."""
    return printable(" ".join(text.split("\n")).replace("\t", " "))


def csv_field(text: str) -> str:
    """Return ``text`` for a CSV file: what a spreadsheet would compute is preceded by ``'``."""
    if text.startswith(_LEADS) and not _FIGURES.fullmatch(text):
        return f"'{text}"
    return text


def markdown(text: str) -> str:
    """Return ``text`` for a line of Markdown: no tag, link or picture of its own, no new line."""
    flat = " ".join(printable(text).split("\n"))
    return _LINK.sub(r"\\]", _TAG.sub("&lt;", flat))


def _shown(character: str) -> str:
    if character in "\n\t":
        return character
    if character in _TURNS or unicodedata.category(character) in ("Cc", "Cs"):
        code = ord(character)
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return character
