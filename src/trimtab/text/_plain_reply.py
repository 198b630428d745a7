"""A judge's reply as plain lines: what it quotes, thinks or marks up is no word of its own."""

from __future__ import annotations

import re
import unicodedata

QUOTATION = "quotation"
"""Stands for what a judge quotes: the word inside is somebody else's."""

# Some chat templates open the block themselves, so only its end is in the reply.
_THOUGHT = re.compile(r"\A.*</think(?:ing)?>|<think(?:ing)?>.*\Z", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?[a-z_]+>|\\(?:boxed|text|textbf)\b", re.IGNORECASE)
_BLOCK_QUOTE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_EMPHASIS = re.compile(r"[*_#>~|$]")
_MARKUP = re.compile(r"[`\"\u201c\u201d\u00ab\u00bb(){}\[\]]|(?<!\w)'|'(?!\w)")

# A JSON object's keys and short values are the judge's own words.
_PAIR = re.compile(
    r"(?<=[{,\n])\s{0,9}\"([a-z][a-z_ -]{0,40})\"\s*:"
    r"(?:\s*\"([^\"\\\n]{1,20})\"(?=\s*[,}]|[ \t]*$))?",
    re.MULTILINE,
)

_INVISIBLE = {"So": " ", "Cf": ""}
"""What pictures and invisible characters, by their category in Unicode, are read as."""

_APOSTROPHES = r"(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w))*'(?!\w)"
_QUOTED = (
    r"\"[^\"\n]*\"|\u201c[^\u201d\n]*\u201d|\u00ab[^\u00bb\n]*\u00bb|`[^`\n]*`"
    rf"|{_APOSTROPHES}"
)
_QUOTE = re.compile(_QUOTED)
# A quoted word is a verdict where there is nothing else, or after a label that is no echo.
_ALL_QUOTED = re.compile(
    rf"\A\W*(?:(?:(?:my|the|final)\s+)*(?:answer|[a-z]*grade|score)\s*[:=]\s*)?({_QUOTED})[\s.!]*\Z"
)
_OWN_QUOTED = re.compile(
    r"^([ \t]*(?:(?:so|therefore|thus|hence),?\s+)?(?:(?:my|the|overall)\s+)*(?:verdict|judge?ment"
    rf"|decision|conclusion|rating|final\s+answer|my\s+answer)\s*(?:is\s*)?[:=]\s*)({_QUOTED})"
    r"(?=[\s.!]*$)",
    re.MULTILINE,
)
_BULLET = re.compile(
    r"^(?:[-+=\u2192\u21d2\u2022\u2023\u25e6\u2013\u2014](?=\s|yes\b|no\b)\s*)+", re.MULTILINE
)


def plain_reply(text: str) -> str:
    """Return ``text`` folded, without thoughts, tags, markup, bullets and quotations.

    Lines stay lines. A quotation becomes a word that is no verdict, and keeps the stop at its end.
    """
    folded = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'")
    folded = _TAG.sub("\n", _THOUGHT.sub("\n", folded)).casefold()
    without = _BLOCK_QUOTE.sub("", folded)
    folded = _EMPHASIS.sub(" ", without if without.strip() else folded)
    folded = "".join(_INVISIBLE.get(unicodedata.category(c), c) for c in folded)
    unquoted = _PAIR.sub(lambda m: f"\n{m[1]}: {m[2] or ''}", folded)
    unquoted = _OWN_QUOTED.sub(lambda m: m[1] + m[2][1:-1], unquoted)
    if (alone := _ALL_QUOTED.match(unquoted)) is not None:
        unquoted = unquoted[: alone.start(1)] + alone[1][1:-1]
    unquoted = _QUOTE.sub(_as_quotation, unquoted)
    lines = (" ".join(line.split()) for line in _MARKUP.sub(" ", unquoted).splitlines())
    return _BULLET.sub("", "\n".join(line for line in lines if line))


def _as_quotation(match: re.Match[str]) -> str:
    inside = match[0][1:-1].rstrip()
    stop = inside[-1] if inside and inside[-1] in ".!?" else ""
    return f" {QUOTATION}{stop} " if inside.strip() else " "
