"""The engine as a judge's chat model: edits off, verdicts read from the logits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

from trimtab.core.streams import Owed, is_owed
from trimtab.core.types import Message, Rendering, SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Options, OptionsResult, Request, Text, TextResult
from trimtab.stats.reduce import log_sum_exp

_YES = ("Yes", " Yes", "yes", " yes", "YES", " YES")
_NO = ("No", " No", "no", " no", "NO", " NO")


class LocalChat:
    """Implements ``core.types.Chat`` and ``Continuer`` on a local engine; never passes an edit."""

    def __init__(self, engine: Engine) -> None:
        """Share ``engine``; several judges and the subject may use the same one."""
        self.engine = engine

    @property
    def identity(self) -> str:
        """Hash of the model's weights, tokenizer and template."""
        return self.engine.identity

    @cached_property
    def _rendering(self) -> Rendering:
        return "chat" if self.engine.renderer.has_template else "plain"

    @cached_property
    def _letters(self) -> tuple[list[int], list[int]]:
        """First tokens of the ways to write yes and no; a token that begins both is dropped."""
        encode = self.engine.renderer.encode
        yes, no = ({encode(word)[0] for word in words} for words in (_YES, _NO))
        return sorted(yes - no), sorted(no - yes)

    def yes_probabilities(
        self, prompts: Sequence[tuple[Message, ...]], owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Yield P(yes) / (P(yes) + P(no)) of the reply's first token; None if too long to read."""
        yes, no = self._letters
        options = Options(tuple((token,) for token in [*yes, *no]))
        requests, too_long = self._requests(prompts, options, 1, owed)
        yield from too_long
        for result in self.engine.run(requests):
            assert isinstance(result, OptionsResult) and isinstance(result.key, int)
            yes_mass = log_sum_exp(result.logprobs[: len(yes)])
            no_mass = log_sum_exp(result.logprobs[len(yes) :])
            yield result.key, 1.0 / (1.0 + math.exp(min(no_mass - yes_mass, 700.0)))

    def complete(
        self, prompts: Sequence[tuple[Message, ...]], max_tokens: int, owed: Owed = None
    ) -> Iterator[tuple[int, str | None]]:
        """Yield greedy replies; None for a prompt that is too long to read."""
        sampling = SamplingParams(max_tokens=max_tokens)
        requests, too_long = self._requests(prompts, Text(sampling), max_tokens, owed)
        yield from too_long
        for result in self.engine.run(requests):
            assert isinstance(result, TextResult) and isinstance(result.key, int)
            yield result.key, result.text

    def next_probabilities(
        self, prompts: Sequence[str], word: str, owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Yield P(first token of ``word``) after each prompt as it is; None if too long to read.

        The token is the one that follows the prompt in the model's own tokenization, so that a
        leading space of ``word`` is part of it where the tokenizer says so.
        """
        limit = self.engine.max_positions
        requests = []
        for i, prompt in enumerate(prompts):
            turn = (Message(role="user", content=prompt),)
            ids, words = self.engine.renderer.with_answers(turn, [word], "verbatim")
            if limit is None or len(ids) + 1 <= limit:
                want = Options(((words[0][0],),))
                requests.append(Request(i, tuple(ids), want, owed=is_owed(owed, i)))
            elif is_owed(owed, i):
                yield i, None
        for result in self.engine.run(requests):
            assert isinstance(result, OptionsResult) and isinstance(result.key, int)
            yield result.key, math.exp(result.logprobs[0])

    def _requests(
        self,
        prompts: Sequence[tuple[Message, ...]],
        want: Text | Options,
        num_new: int,
        owed: Owed,
    ) -> tuple[list[Request], list[tuple[int, None]]]:
        """Return what to ask, and what is owed of prompts without room for ``num_new`` tokens."""
        limit = self.engine.max_positions
        requests: list[Request] = []
        too_long: list[tuple[int, None]] = []
        for i, messages in enumerate(prompts):
            ids = self.engine.renderer.prompt(messages, self._rendering)
            if limit is None or len(ids) + num_new <= limit:
                requests.append(Request(i, tuple(ids), want, owed=is_owed(owed, i)))
            elif is_owed(owed, i):
                too_long.append((i, None))
        return requests, too_long
