"""Which tokens of a conversation a model learns to write: answers, each with what ends its turn.

The conversation is rendered once and tokenised once. An answer begins where the prompt that asks
for it ends, so that what is trained on begins with exactly the tokens that the model is asked with
later; what a template puts between the two, such as Qwen 3's empty thoughts, is left out. It ends
with the token that ends generation: the template's, or the end of text where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.core.errors import DataError, ModelError, TrimtabError
from trimtab.core.types import Message, Rendering
from trimtab.models.chat import Renderer

VERSION = 1
"""Part of the key of what is trained; raise it when the same conversation has other labels."""

_Span = tuple[int, int]


@dataclass(frozen=True)
class Labelled:
    """A conversation as tokens.

    Attributes:
        ids: Token ids, special tokens included; the last one is a label.
        labels: For each whether the model learns to write it.
    """

    ids: tuple[int, ...]
    labels: tuple[bool, ...]

    @property
    def places(self) -> tuple[int, ...]:
        """Positions of the labels."""
        return tuple(place for place, label in enumerate(self.labels) if label)


def label(
    renderer: Renderer, messages: Sequence[Message], rendering: Rendering, name: str
) -> Labelled:
    """Return a conversation's tokens and labels.

    Args:
        renderer: Of the model.
        messages: The turns; each assistant turn is learned.
        rendering: ``chat`` or ``plain``.
        name: What the conversation is called in messages.

    Raises:
        DataError: No turn is an assistant's, an answer is blank, or a text holds the name of a
            special token.
        ModelError: The template can't render it, or asks for an answer in other words than it
            writes one in; or no token ends an answer.
    """
    _check_turns(renderer, messages, name)
    try:
        made = _chat(renderer, messages) if rendering == "chat" else _plain(messages)
    except TrimtabError as error:
        raise type(error)(f"{name}: {error.message}", hint=error.hint) from error
    text, answers = made
    ids, offsets = _encoded(renderer, text)
    labels = [False] * len(ids)
    end = 0
    for begin, stop in answers:
        inside = [i for i, (a, b) in enumerate(offsets) if a < b and b > begin and a < stop]
        if not inside:
            raise DataError(f"{name}: an answer has no token of its own.")
        ends_at = _turn_end(renderer, text, ids, offsets, inside[-1], stop)
        end = inside[-1] if ends_at is None else ends_at
        labels[inside[0] : end + 1] = [True] * (end + 1 - inside[0])
    ids, labels = ids[: end + 1], labels[: end + 1]
    if ids[-1] not in renderer.end_of_turn_ids():
        ids, labels = [*ids, _end_of_text(renderer, name)], [*labels, True]
    return Labelled(tuple(ids), tuple(labels))


def _check_turns(renderer: Renderer, messages: Sequence[Message], name: str) -> None:
    if not any(message.role == "assistant" for message in messages):
        raise DataError(
            f"{name} has no assistant turn, so there is nothing to learn.",
            hint="Give it an answer, or leave the row out.",
        )
    specials = re.compile("|".join(map(re.escape, _specials(renderer))) or "(?!)")
    for message in messages:
        if message.role == "assistant" and not message.content.strip():
            raise DataError(f"{name} has a blank answer.", hint="Leave the row out.")
        found = specials.search(message.content)
        if found:
            raise DataError(
                f"{name}: the text of a turn holds {found[0]!r}, which the model reads as a "
                "special token.",
                hint="Give plain turns: the model's own template adds its tokens.",
            )


def _specials(renderer: Renderer) -> list[str]:
    """Return how the special tokens are written, the longest first."""
    added = renderer.tokenizer.added_tokens_decoder.values()
    return sorted({str(token) for token in added if token.special}, key=len, reverse=True)


def _chat(renderer: Renderer, messages: Sequence[Message]) -> tuple[str, list[_Span]]:
    """Return the text that is learned from, and where in it the answers stand."""
    turns = [{"role": m.role, "content": m.content} for m in messages]
    full, spans = renderer.template.conversation(turns)
    text, answers, done = "", [], 0
    for number, (turn, (start, stop)) in enumerate(zip(turns, spans, strict=True)):
        if turn["role"] != "assistant":
            continue
        if not number:
            raise DataError("a conversation begins with an answer, and nothing asks for it.")
        prompt = renderer.template.text(turns[:number])
        begin = len(prompt)
        if not (full.startswith(prompt) and begin <= start):
            raise ModelError(
                f"the chat template asks for turn {number + 1} with a prompt that is no beginning "
                "of what it makes of the whole conversation.",
                hint="Make a row of each answer, with the turns before it.",
            )
        text += full[done:begin]
        between = full[begin:start]
        answer = full[start:stop] if between.strip() else full[begin:stop]
        answers.append((len(text), len(text) + len(answer)))
        text, done = text + answer, stop
    return text + full[done:], answers


def _plain(messages: Sequence[Message]) -> tuple[str, list[_Span]]:
    text, answers = "", []
    for number, message in enumerate(messages):
        if number and messages[number - 1].role == "assistant":
            text += "\n\n"
        if message.role == "system":
            if number:
                raise ModelError(
                    "a plain prompt can't hold a system turn after the first turn.",
                    hint="Put it first, or use `rendering: chat`.",
                )
            text += f"{message.content}\n\n"
        elif message.role == "user":
            text += f"Q: {message.content}\nA:"
        else:
            answers.append((len(text), len(text) + 1 + len(message.content)))
            text += f" {message.content}"
    return text, answers


def _encoded(renderer: Renderer, text: str) -> tuple[list[int], list[_Span]]:
    """Return the tokens of a text, with one BOS where the model has one, and their characters."""
    tokenizer = renderer.tokenizer
    if not tokenizer.is_fast:
        raise ModelError(
            f"The tokenizer of {tokenizer.name_or_path!r} can't say which characters its tokens "
            "stand for, so nothing can be trained on.",
            hint="Use a model with a tokenizer.json.",
        )
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = encoded.input_ids
    offsets: list[_Span] = encoded.offset_mapping
    lead = renderer.lead_of(ids)
    return [*lead.added, *ids[lead.dropped :]], [(0, 0)] * len(lead.added) + offsets[lead.dropped :]


def _turn_end(
    renderer: Renderer, text: str, ids: list[int], offsets: list[_Span], last: int, stop: int
) -> int | None:
    """Return the place of the token that ends the turn of an answer; None if the text has none."""
    ends = renderer.end_of_turn_ids()
    for place in range(last + 1, len(ids)):
        if ids[place] in ends:
            return place
        begin, end = offsets[place]
        if text[max(begin, stop) : end].strip():
            return None
    return None


def _end_of_text(renderer: Renderer, name: str) -> int:
    eos = renderer.tokenizer.eos_token_id
    if eos is None:
        raise ModelError(f"{name}: the model has no token that ends an answer.")
    return int(eos)
