"""Rows whose candidates are no model's samples: blank, named so, or fitting any problem.

The last is a text that, but for its digits, stands in rows of other questions too, and has no
longer word in common with its own question. A bare answer ("It is 5.") is such a text as well: it
is a placeholder only in a file whose other texts are solutions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from trimtab.core.counted import counted
from trimtab.datasets.candidates import DumpRow
from trimtab.datasets.findings import Finding, lines_shown
from trimtab.text.overlap import words

_NAMED = re.compile(
    r"\W*(?:(?:placeholder|dummy|mock|lorem ipsum|todo|tbd|n/?a|none|null"
    r"|your (?:answer|solution))\b"
    r"|(?:some|a|an|the)?\s*(?:candidate|sample|response|completion|output|generation|example)s?"
    r"(?:\s+(?:text|answer|solution))?\W*\d*\W*$)",
    re.IGNORECASE,
)
_ANSWERING = {
    "the", "final", "answer", "is", "it", "so", "therefore", "thus", "hence", "total", "result",
    "equals", "there", "are", "we", "get", "a", "an", "in", "of", "my", "this", "that", "boxed",
    "solution", "number",
}  # fmt: skip
_MAX_OTHER_WORDS = 1
_MAX_SHARE_OF_BARE_ANSWERS = 0.2


def without_placeholders(rows: Sequence[DumpRow]) -> tuple[list[DumpRow], list[Finding]]:
    """Return the rows that hold samples, and what was left out or looks like none."""
    questions: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        for given in row.candidates:
            questions[_masked(given.text)].add(row.question)
    dropped = {row.line for row in rows if all(is_blank(given.text) for given in row.candidates)}
    general = [r for r in rows if r.line not in dropped and _fits_any(r, questions)]
    bare = [row for row in general if any(_is_bare(given.text) for given in row.candidates)]
    dropped |= {row.line for row in general if row not in bare}
    findings = []
    if len(bare) > _MAX_SHARE_OF_BARE_ANSWERS * len(rows):
        detail = (
            f"{len(bare)} of {len(rows)} rows hold bare answers, which would fit any problem: "
            f"lines {lines_shown([row.line for row in bare])}; they are kept"
        )
        findings.append(Finding("answers without a solution", detail))
    else:
        dropped |= {row.line for row in bare}
    if dropped:
        detail = f"{counted(len(dropped), 'row')} left out, lines {lines_shown(sorted(dropped))}"
        findings.insert(0, Finding("placeholders instead of samples", detail))
    return [row for row in rows if row.line not in dropped], findings


def is_blank(text: str) -> bool:
    """Return whether a text is empty or says that it is a placeholder."""
    return not text.strip() or _NAMED.match(text) is not None


def _fits_any(row: DumpRow, questions: Mapping[str, set[str]]) -> bool:
    return all(
        len(questions[_masked(given.text)]) > 1 and not _mentions(given.text, row.question)
        for given in row.candidates
    )


def _is_bare(text: str) -> bool:
    said = [word for word in words(text) if not any(char.isdigit() for char in word)]
    return any(char.isdigit() for char in text) and (
        sum(word not in _ANSWERING for word in said) <= _MAX_OTHER_WORDS
    )


def _masked(text: str) -> str:
    return " ".join(re.sub(r"\d+", "0", text).casefold().split())


def _mentions(text: str, question: str) -> bool:
    return any(len(word) > 4 for word in set(words(text)) & set(words(question)))
