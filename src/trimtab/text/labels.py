"""Which one of a few labels a text gives: by whole words, and none where it is not certain."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from trimtab.core.types import Sample
from trimtab.text.denials import is_word_denied

_DENIAL = re.compile(r"\b(?:not|no|never|neither|nor|hardly|cannot)\b|n't\b")
_DENIED = re.compile(rf"(?:{_DENIAL.pattern})[^\w.!?\n]+(?:[\w']+[^\w.!?\n]+){{0,3}}$")
_LINE = r"(?:[^\W\d_]+\s+){{0,4}}[^\W\d_]+\s*(?::|=|\bis\b)\s*{label}|{label}"
_AROUND = " \t*_`\"'.,;!()[]{}"


def labels_of(sample: Sample) -> list[str]:
    """Return the labels that a sample lists, its target among them; none where it lacks that."""
    listed, target = sample.metadata.get("labels"), sample.target
    if not isinstance(listed, list):
        return [] if target is None else [target]
    labels = [label for label in listed if isinstance(label, str)]
    return labels if target in labels else []


def parse_label(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that ``text`` gives; None where it gives none, or may mean two.

    A line that is a label and nothing else (``Sentiment: positive``) counts before prose. In prose
    a label that is denied (``not positive``, ``positive is wrong``) or part of a longer word
    (``non-negative``) says nothing certain, so there is no label.

    Args:
        text: What was written.
        labels: The labels, none of which is a word of another one.
    """
    folded = unicodedata.normalize("NFKC", text).replace("\u2019", "'").casefold()
    named = {label: re.escape(" ".join(label.casefold().split())) for label in labels}
    lines = [" ".join(line.strip(_AROUND).split()).strip(_AROUND) for line in folded.splitlines()]
    alone = {
        label
        for label, pattern in named.items()
        for line in lines
        if re.fullmatch(_LINE.format(label=rf"[\W_]*{pattern}"), line) and not _DENIAL.search(line)
    }
    if alone:
        return next(iter(alone)) if len(alone) == 1 else None
    said = set()
    for label, pattern in named.items():
        for found in re.finditer(rf"(?<![\w-]){pattern}(?![\w-])", folded):
            denied = _DENIED.search(folded[: found.start()])
            if denied or is_word_denied(folded, *found.span()):
                return None
            said.add(label)
    return next(iter(said)) if len(said) == 1 else None
