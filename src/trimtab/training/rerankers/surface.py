"""What can be said of a candidate without reading it: how long it is, and which marks it holds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Literal

from trimtab.text.overlap import words

Kind = Literal["length", "format"]

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_ENDS_IN_NUMBER = re.compile(r"\d[.)\]}$%*\s]*$")


def length_features(text: str) -> list[float]:
    """Return logarithms of characters, words and lines."""
    counts = (len(text), len(words(text)), text.strip().count("\n") + 1)
    return [math.log1p(count) for count in counts]


def format_features(text: str) -> list[float]:
    """Return which marks of an answer are there, and shares of digits and line breaks.

    None of them grows with length alone.
    """
    visible = max(1, sum(not char.isspace() for char in text))
    return [
        float("####" in text),
        float("\\boxed" in text),
        float("answer is" in text.casefold()),
        float("**" in text),
        float("<<" in text),
        float("=" in text),
        float(_NUMBER.search(text) is not None),
        float(_ENDS_IN_NUMBER.search(text) is not None),
        sum(char.isdigit() for char in text) / visible,
        text.strip().count("\n") / visible,
    ]


FEATURES: dict[Kind, Callable[[str], list[float]]] = {
    "length": length_features,
    "format": format_features,
}
