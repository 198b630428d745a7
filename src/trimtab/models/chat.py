"""Messages to token ids: a chat template, plain ``Q:``/``A:`` text or verbatim, with one BOS.

Answers are tokenised together with their prompt and split off it, as lm-eval-harness does; there
the ids are split by length even where the joint encoding changes the prompt's last token, here such
an answer is encoded alone, so that every answer continues the same prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from transformers import PreTrainedTokenizerBase

from trimtab.core.errors import DataError, ModelError
from trimtab.core.keys import content_key
from trimtab.core.types import Message, Rendering
from trimtab.models.chat_jinja import TODAY
from trimtab.models.templates import ChatTemplate

VERSION = 2


@dataclass(frozen=True)
class Lead:
    """How tokens get one BOS, where the model has one.

    Attributes:
        added: What is put in front of them.
        dropped: How many of the first are left out.
    """

    added: tuple[int, ...] = ()
    dropped: int = 0


class Renderer:
    """Makes prompts for one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, eos_ids: Iterable[int] = ()) -> None:
        """Keep ``tokenizer``; ``eos_ids`` are the end tokens of the generation configuration."""
        self.tokenizer = tokenizer
        self.template = ChatTemplate(tokenizer)
        self._eos_ids = frozenset(eos_ids)
        self._bos: int | None = tokenizer.bos_token_id
        probe: list[int] = tokenizer("x").input_ids
        self._adds_bos = self._bos is not None and probe[:1] == [self._bos]

    def prompt(
        self, messages: Sequence[Message], rendering: Rendering, preamble: str = ""
    ) -> list[int]:
        r"""Return the ids up to where the answer begins; raise ModelError if it can't be rendered.

        Args:
            messages: A conversation that ends with a user turn.
            rendering: ``chat`` uses the chat template and ignores ``preamble``; ``plain`` is the
                system text and a blank line, ``preamble`` verbatim, then ``Q: ...\nA:`` turns.
            preamble: Few-shot text for the renderings that are not chat.
        """
        return self._encode(self._text(messages, rendering, preamble))

    def with_answers(
        self,
        messages: Sequence[Message],
        answers: Sequence[str],
        rendering: Rendering,
        preamble: str = "",
    ) -> tuple[list[int], list[list[int]]]:
        """Return the prompt's ids and, for each answer, the ids that follow them.

        A plain answer follows ``A:`` after one space; other answers follow the prompt at once.
        Raises DataError for an answer without tokens: its probability would be 1.
        """
        text = self._text(messages, rendering, preamble)
        prompt = self._encode(text)
        separator = " " if rendering == "plain" else ""
        rows = []
        for index, answer in enumerate(answers):
            continuation = separator + answer
            joint = self._encode(text + continuation)
            if joint[: len(prompt)] == prompt:
                ids = joint[len(prompt) :]
            else:
                ids = self.encode(continuation)
            if not answer.strip() or not ids:
                raise DataError(
                    f"Answer {index} to {messages[-1].content[:60]!r} is empty ({answer!r}).",
                    hint="An option needs at least one token; drop empty ones in the task.",
                )
            rows.append(ids)
        return prompt, rows

    def encode(self, text: str) -> list[int]:
        """Return the ids of ``text`` alone, without special tokens."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids`` without special tokens."""
        text = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        assert isinstance(text, str)
        return text

    @property
    def has_template(self) -> bool:
        """Whether the tokenizer knows how to render a chat."""
        return self.tokenizer.chat_template is not None

    def lead_of(self, ids: Sequence[int]) -> Lead:
        """Return how ``ids``, encoded without special tokens, get exactly one BOS."""
        if self._bos is not None and self._adds_bos and list(ids[:1]) != [self._bos]:
            return Lead(added=(self._bos,))
        dropped = 0
        while self._bos is not None and list(ids[dropped : dropped + 2]) == [self._bos, self._bos]:
            dropped += 1
        return Lead(dropped=dropped)

    def end_of_turn_ids(self) -> frozenset[int]:
        """Return the ids that end an answer: EOS and what the template puts after an answer."""
        return self._end_of_turn_ids

    @cached_property
    def _end_of_turn_ids(self) -> frozenset[int]:
        ids = set(self._eos_ids)
        if self.tokenizer.eos_token_id is not None:
            ids.add(self.tokenizer.eos_token_id)
        if self.has_template:
            after = self.template.after_answer().lstrip()
            first = self.tokenizer(after, add_special_tokens=False).input_ids[:1]
            added = self.tokenizer.added_tokens_decoder
            ids.update(i for i in first if i in added and added[i].special)
        return frozenset(ids)

    @property
    def template_hash(self) -> str:
        """Hash of the chat template and of how this module uses it."""
        return content_key([VERSION, self.tokenizer.chat_template, self._adds_bos, TODAY])

    def _encode(self, text: str) -> list[int]:
        ids = self.encode(text)
        lead = self.lead_of(ids)
        return [*lead.added, *ids[lead.dropped :]]

    def _text(self, messages: Sequence[Message], rendering: Rendering, preamble: str) -> str:
        assert messages and messages[-1].role == "user", "a prompt ends with a user turn"
        if rendering == "chat":
            return self._chat(messages)
        return (_plain if rendering == "plain" else _verbatim)(messages, preamble)

    def _chat(self, messages: Sequence[Message]) -> str:
        if not self.has_template:
            raise ModelError(
                f"The tokenizer of {self.tokenizer.name_or_path!r} has no chat template.",
                hint="Give the task `rendering: plain`, or use an instruction-tuned model.",
            )
        return self.template.text([{"role": m.role, "content": m.content} for m in messages])


def _plain(messages: Sequence[Message], preamble: str) -> str:
    text = ""
    if messages[0].role == "system":
        text = messages[0].content + "\n\n"
        messages = messages[1:]
    text += preamble
    for message in messages:
        if message.role == "user":
            text += f"Q: {message.content}\nA:"
        elif message.role == "assistant":
            text += f" {message.content}\n\n"
        else:
            raise ModelError(
                f"A plain prompt can't hold a system turn after the first turn: "
                f"{message.content[:60]!r}.",
                hint="Put it first, or use `rendering: chat`.",
            )
    return text


def _verbatim(messages: Sequence[Message], preamble: str) -> str:
    system = f"{messages[0].content}\n\n" if messages[0].role == "system" else ""
    if len(messages) > (2 if system else 1):
        raise ModelError(
            f"A verbatim prompt holds one user turn, and here are {len(messages)} turns; the last "
            f"says {messages[-1].content[:60]!r}.",
            hint="Put worked examples into the preamble, or use `rendering: plain`.",
        )
    return system + preamble + messages[-1].content
