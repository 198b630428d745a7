"""The options that an A/B question shows in its text, and questions answered Yes or No."""

from __future__ import annotations

import re

_OPTION = re.compile(r"(?:^|\n)[ \t]*\(([A-Z])\)[ \t]*")
_HEADING = re.compile(r"\s*Choices:\s*$")
_YES_NO = re.compile(r"\(?(yes|no)\)?\.?", re.IGNORECASE)

Spans = dict[str, tuple[int, int]]


def option_spans(text: str) -> Spans:
    """Return where the text of each option stands, without the space around it, by letter.

    A letter that comes twice makes the letters no alphabet, which the caller refuses.
    """
    marks = list(_OPTION.finditer(text))
    spans: Spans = {}
    for i, mark in enumerate(marks):
        end = marks[i + 1].start() if i + 1 < len(marks) else len(text)
        name = mark[1] if mark[1] not in spans else mark[1] * 2
        spans[name] = (mark.end(), mark.end() + len(text[mark.end() : end].rstrip()))
    return spans


def stem_of(text: str) -> str:
    """Return the question without its options; all of it where nothing stands before them."""
    first = _OPTION.search(text)
    return _HEADING.sub("", text[: first.start()] if first else text).strip() or text


def is_yes_no(*answers: object) -> bool:
    """Return whether answers are the words Yes and No, as in the published persona files."""
    said = [_YES_NO.fullmatch(answer.strip()) for answer in answers if isinstance(answer, str)]
    return len(said) == len(answers) and {m[1].casefold() for m in said if m} == {"yes", "no"}


def with_yes_no(text: str) -> str:
    """Return a question with the options (A) Yes and (B) No, in the form of the CAA files."""
    return f"{text.strip()}\n\nChoices:\n (A) Yes\n (B) No"


def letter_of(answer: str) -> str:
    """Return the letter under which ``with_yes_no`` shows an answer."""
    match = _YES_NO.fullmatch(answer.strip())
    return "(A)" if match and match[1].casefold() == "yes" else "(B)"
