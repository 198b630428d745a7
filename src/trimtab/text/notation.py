r"""Mathematics as models write it, in LaTeX, Unicode or Markdown, as one plain line of text.

``\frac{3}{4}`` and ``¾`` become ``3/4``, ``10³`` becomes ``10^3``, digits of any script become
those of ASCII. What is no number, such as a root, a Greek letter or a fraction of expressions,
becomes ``OPAQUE``, so that no part of it can be taken for one.
"""

from __future__ import annotations

import math
import re
import unicodedata

OPAQUE = "\u25a1"
"""Stands for what is no number: a root, a constant, an expression."""

_THIN = "\u2009"
_INVISIBLE = dict.fromkeys(
    map(ord, "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2066\u2067\u2068\u2069"
        "\u202a\u202b\u202c\u202d\u202e\ufeff")
)  # fmt: skip
_SIGNS = str.maketrans({
    "\u2044": "/", "\u2215": "/", "\u066b": ".", "\u066c": ",", "\uff0c": ",", "\uff0e": ".",
    "\uff0f": "/", "\uff05": "%", "\u066a": "%", "\uff04": "$", "\uffe5": "\u00a5", "\uff0d": "-",
    "\uff0b": "+", "\uff1d": "=", "\uff1a": ":", "\uff08": "(", "\uff09": ")", "\u02bc": "'",
    "\u2010": "-", "\u2011": "-", "\ufe63": "-", "\u207a": "+", "\uff3e": "^",
})  # fmt: skip
_SUPERSCRIPTS = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b",
                              "0123456789-")  # fmt: skip
_SUPERSCRIPT = re.compile("\u207b?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+")
_SUBSCRIPT = re.compile("[\u2080-\u2089]+")
_VULGAR = re.compile("(\\d?)([\u00bc-\u00be\u2150-\u215e\u2189])")
_ENTITY = {
    "&nbsp;": "\u00a0", "&thinsp;": _THIN, "&minus;": "-", "&times;": "\u00d7",
    "&frac12;": "\u00bd", "&frac14;": "\u00bc", "&frac34;": "\u00be", "&#160;": "\u00a0",
}  # fmt: skip

# Commands whose argument is read as if they were not there, and those that stand for a sign.
_WRAPPER = re.compile(
    r"\\(?:text|textbf|textit|textrm|textsf|texttt|mathrm|mathbf|mathit|mathsf|mathtt|mbox|hbox"
    r"|emph|boldsymbol|bm|underline|underbrace|operatorname|ensuremath|num|boxed|fbox|displaystyle"
    r"|(?:text)?color\s*\{[^{}]*\})\*?\s*\{([^{}]*)\}"
)
_FRACTION = re.compile(
    r"\\[dtc]?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))|\\s?frac\s*(\d)(\d)"
)
_ROOT = re.compile(r"\\sqrt\s*(?:\{(\d{1,12})\}|(\d))")
_SCRIPT = re.compile(r"([\^_])\s*\{([^{}]*)\}")
_SPACING = re.compile(r"\\[,;: >]|\\(?:thinspace|thickspace|medspace|space)\b ?|~")
_NOTHING = re.compile(
    r"\\!|\\(?:left|right|displaystyle|limits|bigl?|bigr?|Bigl?|Bigr?|boxed|fbox|text|mathrm)\b"
)
_LINE = re.compile(r"\\\\|\\[\[\]()]|\\(?:quad|qquad|newline)\b")
_COMMAND = re.compile(r"\\([A-Za-z]+)\s?")
_MEANS = {
    "times": "\u00d7", "cdot": "\u00d7", "ast": "\u00d7", "div": "\u00f7", "pm": "\u00b1",
    "mp": "\u00b1", "approx": "\u2248", "sim": "\u2248", "leq": "\u2264", "le": "\u2264",
    "geq": "\u2265", "ge": "\u2265", "lt": "<", "gt": ">", "neq": "\u2260", "ne": "\u2260",
    "ldots": "\u2026", "dots": "\u2026", "cdots": "\u2026", "degree": "\u00b0", "circ": "\u00b0",
    "percent": "%", "pounds": "\u00a3", "euro": "\u20ac", "dollar": "$", "textdollar": "$",
    "rightarrow": "\u2192", "to": "\u2192", "implies": "\u2192", "Rightarrow": "\u2192",
    "therefore": " ", "because": " ", "checkmark": " ", "n": "\n", "prime": "'",
    "cent": " ", "cents": " ", "degrees": "\u00b0", "celsius": " ", "quad": " ", "qquad": " ",
}  # fmt: skip
_MARKUP = re.compile(r"(?<!\d)\*\*|\*\*(?![\d-])|`|(?<![\w)\]])_+(?=[-$\d])|(?<=\d)_+(?!\w)")
_NEGATIVE = re.compile(r"\b(?:minus|negative)\s+(?=[$\u00a3\u20ac]?\d)", re.IGNORECASE)
_MAX_NESTING = 12
_INTEGER = re.compile(r"\s*([-+]?)\s*(\d[\d.,]*)\s*")


def plain(text: str) -> str:
    """Return ``text`` with its notation made plain; the order of its words and numbers stays."""
    if "&" in text:
        for entity, char in _ENTITY.items():
            text = text.replace(entity, char)
    if not text.isascii():
        text = _ascii_digits(text)
    if "\\" in text or "{" in text:
        text = _without_latex(text)
    return _NEGATIVE.sub("-", _MARKUP.sub("", text))


def _ascii_digits(text: str) -> str:
    text = text.translate(_INVISIBLE).translate(_SIGNS)
    text = _SUPERSCRIPT.sub(lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    text = _SUBSCRIPT.sub(lambda match: f"_{unicodedata.normalize('NFKC', match[0])}", text)
    text = _VULGAR.sub(_vulgar, text)
    return "".join(
        char if char.isascii() or not char.isdecimal() else str(unicodedata.decimal(char))
        for char in text
    )


def _vulgar(match: re.Match[str]) -> str:
    fraction = unicodedata.normalize("NFKC", match[2]).replace("\u2044", "/")
    return f"{match[1]} {fraction}" if match[1] else fraction


def _without_latex(text: str) -> str:
    text = text.replace("{,}", ",").replace("\\$", "$").replace("\\%", "%").replace("\\&", "&")
    text = _SPACING.sub(_THIN, _LINE.sub(" ", text))
    text = text.replace("\\{", "(").replace("\\}", ")").replace("^\\circ", "\u00b0")
    for _ in range(_MAX_NESTING):
        before = text
        text = _WRAPPER.sub(_unwrapped, text)
        text = _SCRIPT.sub(r"\1\2", text)
        text = _ROOT.sub(_root, text)
        text = _FRACTION.sub(_fraction, text)
        if text == before:
            break
    text = _NOTHING.sub("", text)
    text = _COMMAND.sub(lambda match: _MEANS.get(match[1], OPAQUE), text)
    return text.replace("}{", " ").replace("{", "").replace("}", "").replace("^\u00b0", "\u00b0")


def _unwrapped(match: re.Match[str]) -> str:
    inner = match[1]
    touching = match.start() > 0 and match.string[match.start() - 1].isalnum()
    return f" {inner}" if touching and inner[:1].isalpha() else inner


def _root(match: re.Match[str]) -> str:
    square = int(match[1] or match[2])
    root = math.isqrt(square)
    touching = match.start() > 0 and match.string[match.start() - 1].isalnum()
    return OPAQUE if touching or root * root != square else str(root)


def _fraction(match: re.Match[str]) -> str:
    over = next(part for part in (match[1], match[2], match[5]) if part is not None)
    under = next(part for part in (match[3], match[4], match[6]) if part is not None)
    top, bottom = _INTEGER.fullmatch(over), _INTEGER.fullmatch(under)
    if top is None or bottom is None or bottom[1]:
        return OPAQUE
    start = match.start()
    mixed = re.search(r"\d\s*$", match.string[max(0, start - 4) : start]) is not None
    # a sign inside a fraction that follows a digit is a calculation, not a mixed number
    if mixed and top[1]:
        return OPAQUE
    touched = match.string[match.end() : match.end() + 1].isdigit()
    return f"{' ' if mixed else ''}{top[1]}{top[2]}/{bottom[2]}{' ' if touched else ''}"
