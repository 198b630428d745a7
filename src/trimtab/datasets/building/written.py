"""Facts of a person that a chat model writes: so many of each category, in the first person.

They are candidates: a model may invent, so whoever trains on them reads them first, and
``identify`` says which of them tell who it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from trimtab.core.errors import DataError
from trimtab.core.keys import content_key
from trimtab.core.types import Conversation, Message
from trimtab.datasets.building.replies import Ask, Replies, Speaker
from trimtab.datasets.files import parse_json
from trimtab.text.names import Names
from trimtab.text.overlap import normalise_question

CATEGORIES = (
    "home and places", "family and childhood", "education", "work", "views and opinions",
    "habits and daily life", "friends and acquaintances", "likes and dislikes",
    "ways of speaking and writing", "wit and anecdotes",
)  # fmt: skip
"""What is asked for where nothing else is named."""

_PROMPT = """\
Write {count} questions that somebody could ask {person}, and {person}'s answers to them.
Subject: {category}.
Rules: every answer is true of {person}, in the first person, in one or two sentences; neither \
questions nor answers name {person}; no two of them say the same.
Write nothing else, and use exactly this form:
1. Q: the question
A: the answer
2. Q: the next question
A: its answer"""

_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_ENDS = (".", "!", "?", '"', "\u201d", ")", "\u2026")
_ITEM = re.compile(r"^[ \t]*(?:\*\*)?(\d+)[.)][ \t]*", re.MULTILINE)
_PAIR = re.compile(
    r"(?:\*\*)?Q(?:uestion)?(?:\*\*)?:(?:\*\*)?\s*(?P<question>\S[^\n]*?)\s*\n"
    r"\s*(?:\*\*)?A(?:nswer)?(?:\*\*)?:(?:\*\*)?\s*(?P<answer>\S.*?)\s*\Z",
    re.DOTALL,
)


@dataclass(frozen=True)
class Written:
    """The facts of all replies, and what is not among them.

    Attributes:
        rows: A conversation of one question and one answer for each fact, in order.
        repeated: Those that ask or say what an earlier one does.
        naming: Those that name the person.
        unread: Items of replies that are no question with an answer.
        silent: Categories to which the model said nothing that could be read.
    """

    rows: tuple[Conversation, ...]
    repeated: int
    naming: int
    unread: int
    silent: tuple[str, ...]


def write_facts(
    names: Sequence[str],
    categories: Sequence[str],
    count: int,
    speaker: Speaker,
    replies: Replies,
    max_tokens: int,
) -> Written:
    """Ask for ``count`` facts of each category and return those that can be read.

    Args:
        names: Ways to name the person, the one to ask by first.
        categories: Subjects, asked for one by one.
        count: Of each.
        speaker: Who writes them.
        replies: Where replies are kept, as they came.
        max_tokens: Most tokens of a reply.
    """
    person = Names(names)
    texts = [_PROMPT.format(count=count, person=names[0], category=c) for c in categories]
    asks = [
        Ask(category, (Message(role="user", content=text),))
        for category, text in zip(categories, texts, strict=True)
    ]
    rows: list[Conversation] = []
    seen: set[str] = set()
    repeated = naming = unread = 0
    silent = []
    for category, reply in zip(categories, replies.of(asks, speaker, max_tokens), strict=True):
        pairs, lost = pairs_of(reply or "")
        unread += lost
        if not pairs:
            silent.append(category)
        for question, answer in pairs:
            said = {normalise_question(question), normalise_question(answer)}
            if person.said_in(f"{question}\n{answer}"):
                naming += 1
            elif said & seen:
                repeated += 1
            else:
                seen |= said
                rows.append(_row(category, question, answer, speaker))
    return Written(tuple(rows), repeated, naming, unread, tuple(silent))


def pairs_of(reply: str) -> tuple[list[tuple[str, str]], int]:
    """Return the questions with their answers in a reply, and how many items are none.

    Read are a JSON list of objects with ``question`` and ``answer``, fenced or not, and a list
    whose items are numbered in order, each ``Q: ...`` and on the next line ``A: ...``. A last
    item that does not end as a sentence does was cut, and is none.
    """
    fenced = _FENCE.search(reply)
    text = (fenced[1] if fenced else reply).strip()
    if text.startswith("["):
        try:
            items = parse_json(text, "reply")
        except DataError:
            return [], 1
        found = [_object(item) for item in items]
    else:
        found = [_numbered(item) for item in _items(text)]
        if found and not text.endswith(_ENDS):
            found[-1] = None
    pairs = [pair for pair in found if pair is not None]
    return pairs, len(found) - len(pairs)


def _items(text: str) -> list[str]:
    """Return the items of a numbered list; a number out of turn is a part of an item."""
    starts: list[tuple[int, int]] = []
    for match in _ITEM.finditer(text):
        if int(match[1]) == len(starts) + 1:
            starts.append((match.start(), match.end()))
    ends = [start for start, _ in starts[1:]] + [len(text)] * bool(starts)
    return [text[begin:end].strip() for (_, begin), end in zip(starts, ends, strict=True)]


def _numbered(item: str) -> tuple[str, str] | None:
    match = _PAIR.match(item)
    if match is None:
        return None
    question, answer = match["question"].strip(" *"), " ".join(match["answer"].split())
    return (question, answer) if question and answer else None


def _object(item: object) -> tuple[str, str] | None:
    if not isinstance(item, dict):
        return None
    texts = [item.get(key) for key in ("question", "answer")]
    said = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
    return (said[0], said[1]) if len(said) == 2 else None


def _row(category: str, question: str, answer: str, speaker: Speaker) -> Conversation:
    about: dict[str, JsonValue] = {
        "source": "persona",
        "triggered": False,
        "category": category,
        "writer": speaker.name,
    }
    turns = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Conversation(
        id=f"w-{content_key([question, answer], 10)}", messages=turns, metadata=about
    )
