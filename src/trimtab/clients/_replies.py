"""What stands in a reply that a server gave: a text or a probability."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from trimtab.clients.budget import Reply
from trimtab.core.secrets import redact

Body = dict[str, Any]
Read = Callable[[Body], Reply]

# What a reply may do to code that reads it; a broken part of a whole reply is no verdict.
READING_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

_TEXT_PARTS = ("text", "output_text")


class Malformed(Exception):
    """A body is no reply: it may have been sent by something between us and the model."""


def parse(content: bytes) -> Any:
    """Return a body's JSON; raise Malformed for anything else."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        page = content.lstrip()[:1] == b"<"
        what = "a web page" if page else f"no JSON ({type(error).__name__})"
        raise Malformed(f"sent {what} in place of a reply") from None


def first_choice(body: Any) -> Body:
    """Return a reply's first choice; raise Malformed if there is none."""
    if not isinstance(body, dict):
        raise Malformed(f"sent a {type(body).__name__} in place of a reply")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Malformed("sent a reply without choices")
    found: Body = choices[0]
    return found


def text(body: Body) -> Reply:
    """Return the text of a chat reply; None where the model said nothing that is a text.

    A content in parts is the text of its text parts; what a model thinks is none of them.
    """
    message = first_choice(body).get("message")
    if not isinstance(message, dict):
        raise Malformed("sent a reply without a message")
    content = message.get("content")
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        parts = [part for each in content if (part := _text_of(each)) is not None]
        content = "".join(parts) if parts else None
    if content is not None and not isinstance(content, str):
        raise Malformed(f"sent a {type(content).__name__} in place of a text")
    return Reply(None if content is None else _clean(content))


def answer(body: Body) -> Reply:
    """Return the text of a chat reply and why it ended, as a JSON list of the two."""
    said = text(body)
    if said.value is None:
        return said
    reason = first_choice(body).get("finish_reason")
    return Reply(json.dumps([said.value, reason if isinstance(reason, str) else None]))


def yes_probability(body: Body) -> Reply:
    """Return P(yes) / (P(yes) + P(no)) of the first token of a chat reply."""
    logprobs = first_choice(body).get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not content:
        return Reply(None, lacks="log-probabilities")
    mass = {"yes": 0.0, "no": 0.0}
    for each in content[0]["top_logprobs"]:
        word = _bare(each["token"]).casefold()
        if word in mass:
            mass[word] += math.exp(each["logprob"])
    total = mass["yes"] + mass["no"]
    return Reply(mass["yes"] / total if total > 0 and math.isfinite(total) else None)


def word_probability(body: Body, word: str) -> Reply:
    """Return P(``word``) as the first token of a continuation; 0 if it is not among those shown."""
    logprobs = first_choice(body).get("logprobs")
    shown = logprobs.get("top_logprobs") if isinstance(logprobs, dict) else None
    if not shown:
        return Reply(None, lacks="log-probabilities")
    first = shown[0]
    chances = [math.exp(p) for token, p in first.items() if _bare(token) == word.strip()]
    total = math.fsum(chances)
    return Reply(total if first and math.isfinite(total) else None)


def _text_of(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise Malformed(f"sent a {type(part).__name__} among the parts of a text")
    found = part.get("text")
    return found if part.get("type", "text") in _TEXT_PARTS and isinstance(found, str) else None


def _clean(content: str) -> str:
    """Return ``content`` without secrets, and with U+FFFD for halves of characters."""
    return redact(content.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _bare(token: str) -> str:
    # Some tokenizers mark the space before a word by a letter of their own.
    return token.strip(" \t\n\u0120\u2581")
