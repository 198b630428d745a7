"""Signs that an answer is ill: empty, a refusal, or a model that talks to itself."""

from __future__ import annotations

import re
import unicodedata

from trimtab.text.overlap import words

_MARKUP = re.compile(r"[*_`#>\"\u201c\u201d]+")
_FILLER = (
    r"(?:(?:well|oh|no|hello|hi|unfortunately|thank you[^.!,]*|i understand[^.!,]*)[,.!]?\s+)*"
)
_SORRY = (
    r"(?:(?:i'm|i am)\s+(?:\w+\s+){0,2}sorry|sorry|(?:my\s+)?apologies|i\s+(?:\w+\s+)?apologi[sz]e)"
)
_CANNOT = (
    r"(?:can't|cannot|can\s+not|won't|will\s+not"
    r"|(?:am|'m)\s+(?:\w+\s+)?(?:unable|not\s+able)\s+to)"
)
_ACT = (
    r"(?:\w+ly\s+)?(?:help(?!\s+but\b)|assist|answer|respond|provide|comply|fulfil|fulfill|do\s+(?:that|this)"
    r"|create|generate|write|produce|give|offer|support|engage|discuss|share|complete|participate"
    r"|recommend|condone|promote|encourage|evaluate|judge|rate|assess|grade|continue|proceed"
    r"|in\s+good\s+conscience)\b"
)
_AI = (
    r"(?:an?\s+)?(?:\w+\s+)?"
    r"(?:ai|artificial\s+intelligence|(?:large\s+)?language\s+model|chatbot|virtual\s+assistant)\b"
)
# Each is matched at the opening of the text, after filler words.
_REFUSALS = [
    re.compile(_FILLER + pattern)
    for pattern in (
        rf"{_SORRY}[,.]?\s+(?:but\s+)?(?:(?:as|i'm|i am)\s+{_AI}[^.]{{0,80}}?)?i\s*{_CANNOT}",
        rf"{_SORRY}[^.]{{0,60}}?,?\s+but\b[^.]{{0,60}}?\b{_CANNOT}",
        rf"{_SORRY}[^.]{{0,40}}?\b{_CANNOT}\s+{_ACT}",
        rf"i\s*(?:simply\s+|really\s+|just\s+)?{_CANNOT}\s+{_ACT}",
        rf"(?:as|i'm|i am)\s+{_AI}[^.]{{0,80}}?"
        rf"(?:{_CANNOT}|don't|do\s+not|not\s+(?:able|capable|programmed|designed|allowed))",
        r"i\s+(?:must|have\s+to|need\s+to|will\s+have\s+to)\s+(?:\w+\s+)?(?:decline|refuse)\b",
        r"i\s+(?:respectfully\s+)?(?:decline|refuse)\s+to\b",
        r"(?:i'm|i am)\s+not\s+(?:comfortable|(?:able|allowed|programmed|permitted)\s+to)",
        r"(?:this|that|your|the)\s+(?:request|question|prompt|content)\s+(?:violates|goes\s+against)",
        r"it(?:'s|\s+is|\s+would\s+be)\s+(?:not|in)\s*appropriate\s+for\s+me\s+to\b",
    )
]
_NEW_TURN = re.compile(
    r"^[\s*#>\d.)]*(?:q|question|user|human)\s*\d*\s*(?::|\*+:)", re.IGNORECASE | re.MULTILINE
)


def num_words(text: str) -> int:
    """Return the number of words, as ``trimtab.text.overlap.words`` defines them."""
    return len(words(text))


def is_empty(text: str) -> bool:
    """Return whether nothing in ``text`` can be seen (whitespace, control, zero-width only)."""
    return all(char.isspace() or unicodedata.category(char) in ("Cc", "Cf") for char in text)


def looks_refusal(text: str) -> bool:
    """Return whether ``text`` opens like a refusal ("I'm sorry, but I can't ...", "As an AI ...").

    English only, and openings only: an answer that declines in its last sentence is not found.
    TruthfulQA's "I have no comment." is an uninformative answer and no refusal.
    """
    opening = unicodedata.normalize("NFKC", text).replace("\u2019", "'").casefold()
    opening = " ".join(_MARKUP.sub(" ", opening).split())[:400]
    return any(pattern.match(opening) for pattern in _REFUSALS)


def asks_follow_up(text: str) -> bool:
    """Return whether the answer goes on to a question of its own.

    True where it ends with a question mark (closing quotes, brackets and markup aside), or where a
    line opens a new turn: "Q:", "Question:", "User:", "Human:", numbered or bold.
    """
    return text.rstrip(" \t\r\n*_`\"'\u201d\u2019)]").endswith(("?", "\uff1f")) or (
        _NEW_TURN.search(text) is not None
    )
