"""Chat templates: what one makes of a conversation, with every turn's text in it.

Templates differ in what they take: texts or lists of parts, a system turn or none. Which of these
keeps all that is said is found with marks in the place of the texts, once for each order of roles;
then the texts themselves are looked for in what came out. A template that raises is an error when
it is used, not before: the model may well be used without.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from trimtab.core.errors import ModelError
from trimtab.models import bounded

Turn = dict[str, str]

_IN_PARTS = tuple(
    map(frozenset, [(), ("system", "user", "assistant"), ("user", "assistant"), ("system",)])
)
"""Roles whose content is a list of parts, as templates have it."""

_ANSWERED = (("user", "assistant"), ("system", "user", "assistant"), ("user", "assistant", "user"))


@dataclass(frozen=True)
class _Way:
    """How turns are given to a template.

    Attributes:
        in_parts: Roles whose content is a list of parts.
        merged: The system text stands in front of the first turn's.
        marked: What the template made of marks.
    """

    in_parts: frozenset[str]
    merged: bool
    marked: str

    def given(self, turns: Sequence[Turn]) -> list[dict[str, Any]]:
        """Return what the template is given."""
        return _given(turns, self.in_parts, self.merged)


class ChatTemplate:
    """The chat template of one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Keep what the template needs of ``tokenizer``, which must have one."""
        self._tokenizer = tokenizer
        self._ways: dict[tuple[tuple[str, ...], bool], _Way] = {}

    def text(self, turns: Sequence[Turn]) -> str:
        """Return a conversation up to where the answer begins.

        Raises:
            ModelError: The template refuses it, does not end, or loses what a turn says.
        """
        way = self._way(tuple(turn["role"] for turn in turns), generation=True)
        try:
            text = self._render(way.given(turns), generation=True)
        except bounded.FAILURES as error:
            raise self._unusable(turns, _reason(error)) from error
        lost = _lost(turns, text, way.marked)
        if lost is not None:
            raise self._unusable(turns, f"it loses or changes {lost['content'][:60]!r}")
        return text

    def conversation(self, turns: Sequence[Turn]) -> tuple[str, list[tuple[int, int]]]:
        """Return a whole conversation, and where in it each turn's text stands.

        Raises:
            ModelError: The template refuses it, does not end, or loses or changes what a turn says.
        """
        way = self._way(tuple(turn["role"] for turn in turns), generation=False)
        try:
            text = self._render(way.given(turns), generation=False)
        except bounded.FAILURES as error:
            raise self._unusable(turns, _reason(error)) from error
        spans = _spans(turns, text, way.marked)
        lost = next((turn for i, turn in enumerate(turns) if i not in spans), None)
        if lost is not None:
            raise self._unusable(turns, f"it loses or changes {lost['content'][:60]!r}")
        return text, [spans[number] for number in range(len(turns))]

    def after_answer(self) -> str:
        """Return what stands behind an answer; nothing if no conversation holds one."""
        for roles in _ANSWERED:
            try:
                way = self._way(roles, generation=False)
            except ModelError:
                continue
            return way.marked.rpartition(_mark(roles.index("assistant")))[2]
        return ""

    def _way(self, roles: tuple[str, ...], *, generation: bool) -> _Way:
        """Return the first way in which nothing of a conversation of ``roles`` is lost."""
        known = self._ways.get((roles, generation))
        if known is not None:
            return known
        turns = [{"role": role, "content": _mark(i)} for i, role in enumerate(roles)]
        problems: list[str] = []
        for merged in (False, True) if roles[0] == "system" else (False,):
            for in_parts in _IN_PARTS:
                try:
                    marked = self._render(_given(turns, in_parts, merged), generation)
                except bounded.FAILURES as error:
                    problems.append(_reason(error))
                    continue
                lost = [turn["role"] for turn in turns if not _stands(turn["content"], marked)]
                if not lost:
                    way = _Way(in_parts, merged, marked)
                    return self._ways.setdefault((roles, generation), way)
                problems.append(f"it loses the text of the {lost[0]} turn")
        raise self._unusable(turns, "; ".join(list(dict.fromkeys(problems))[:2]))

    def _render(self, given: Sequence[dict[str, Any]], generation: bool) -> str:
        values = {
            **self._tokenizer.special_tokens_map,
            "messages": given,
            "tools": None,
            "documents": None,
            "add_generation_prompt": generation,
        }
        return bounded.render(self._tokenizer.get_chat_template(), values)

    def _unusable(self, turns: Sequence[Turn], why: str) -> ModelError:
        roles = ", ".join(turn["role"] for turn in turns)
        return ModelError(
            f"The chat template of {self._tokenizer.name_or_path!r} can't render this conversation "
            f"({roles}): {why}.",
            hint="Check the order of its turns, or give the task `rendering: plain`.",
        )


def _given(turns: Sequence[Turn], in_parts: frozenset[str], merged: bool) -> list[dict[str, Any]]:
    """Return turns as a template takes them; ``merged`` needs a system turn and one more."""
    if merged:
        system, first, *rest = turns
        both = f"{system['content']}\n\n{first['content']}"
        turns = [{"role": first["role"], "content": both}, *rest]
    return [
        {**turn, "content": [{"type": "text", "text": turn["content"]}]}
        if turn["role"] in in_parts
        else turn
        for turn in turns
    ]


def _mark(number: int) -> str:
    """Return a text that no template can hold, for one turn."""
    return f"whatthe{'abcdefghij'[number % 10] * (number // 10 + 1)}turnsays"


def _stands(mark: str, text: str) -> bool:
    """Whether a text holds a mark as a text, and not as the printed form of a part."""
    return mark in text and not any(f"{quote}text{quote}: {quote}{mark}" in text for quote in "'\"")


def _spans(turns: Sequence[Turn], text: str, marked: str) -> dict[int, tuple[int, int]]:
    """Return where turns stand, by number, up to the first whose text is not where its mark was.

    A template may move a turn: Mistral's puts the system text into the last question.
    """
    marks = {_mark(number): number for number in range(len(turns))}
    pieces = re.split(f"({'|'.join(sorted(marks, key=len, reverse=True))})", marked)
    fixed, order = pieces[::2], [marks[mark] for mark in pieces[1::2]]
    if sorted(order) != list(range(len(turns))) or not text.startswith(fixed[0]):
        return {}
    spans: dict[int, tuple[int, int]] = {}
    at = len(fixed[0])
    for number, after in zip(order, fixed[1:], strict=True):
        said = turns[number]["content"]
        is_last = len(spans) + 1 == len(turns)
        for given in (said, said.strip(), said.lstrip(), said.rstrip()):
            stop = at + len(given)
            fits = not is_last or len(text) == stop + len(after)
            if fits and text.startswith(given + after, at):
                break
        else:
            return spans
        spans[number] = (at, stop)
        at = stop + len(after)
    return spans


def _lost(turns: Sequence[Turn], text: str, marked: str) -> Turn | None:
    """Return a turn whose text is not in ``text`` beside those of the others."""
    for changed in (str, str.strip):
        wanted = marked
        for number, turn in enumerate(turns):
            wanted = wanted.replace(_mark(number), changed(turn["content"]))
        if wanted == text:
            return None
    # The longest first: a short text may stand within a long one, and has to stand elsewhere, too.
    for turn in sorted(turns, key=lambda turn: -len(turn["content"])):
        said = turn["content"].strip()
        if said not in text:
            return turn
        text = text.replace(said, "\0", 1) if said else text
    return None


def _reason(error: BaseException) -> str:
    """Return one line of what a template raised, without what a terminal would obey."""
    words = " ".join(str(error).split()) or type(error).__name__
    return "".join(c for c in words if c.isprintable())[:200].rstrip(".")
