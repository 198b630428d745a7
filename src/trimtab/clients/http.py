"""A chat model behind an OpenAI-compatible API."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from trimtab.clients import _replies
from trimtab.clients._crew import Crew
from trimtab.clients._key import key_of
from trimtab.clients._paid import Ask, Caller
from trimtab.clients._replies import Body, Read
from trimtab.clients._standing import Standing
from trimtab.clients._told import PromptRefused
from trimtab.clients.budget import Ledger, Reply
from trimtab.core.errors import JudgeError, UnansweredError
from trimtab.core.spec import Endpoint
from trimtab.core.streams import Owed, is_owed
from trimtab.core.types import Message, SamplingParams

_log = logging.getLogger(__name__)

Value = str | float | None


class HttpChat:
    """Implements ``core.types.Chat`` and ``Continuer`` on an API; only what is owed is sent.

    Every request goes through a ``Ledger``: its worst case is reserved before it is sent, and what
    was paid for once is not asked for again. Equal prompts of a batch are sent once.

    What may pass (overload, server errors, timeouts, lost connections, an error or something
    malformed in place of a reply) is tried again a finite number of times: after what
    ``Retry-After`` says, else after a growing time with jitter. What then still fails stays owed:
    the batch goes on and ends with UnansweredError. A prompt that the server rejects for what it
    holds, or that it answers without a text, has no reply (None).

    A wait of more than a minute, a refused key, an unknown model, a rejected setting, a reached cap
    and five prompts in a row without an answer end the batch with JudgeError, once the replies that
    are under way are there.

    Temperature is 0 but for ``answers``; an API need not be deterministic.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        ledger: Ledger,
        account: str = "api",
        *,
        top_logprobs: int = 20,
    ) -> None:
        """Keep the settings; the key is read from the environment when a prompt is sent.

        Args:
            endpoint: Address, model, price, and the variable that holds the key.
            ledger: Where money is set aside and replies are kept.
            account: Whose money of that ledger, e.g. a judge's key; ``endpoint.max_dollars`` caps
                it unless the ledger holds a cap for it already.
            top_logprobs: How many first tokens ``yes_probabilities`` looks at; some servers allow
                fewer than 20.
        """
        self.endpoint = endpoint
        self.ledger = ledger
        self._account = account
        self._top_logprobs = top_logprobs
        self._standing = Standing()
        if endpoint.max_dollars is not None:
            ledger.set_cap(endpoint.max_dollars, account, keep=True)

    @property
    def identity(self) -> str:
        """``api:<model>@<base_url>``; what is served under the name may change unseen."""
        return self.endpoint.identity

    def yes_probabilities(
        self, prompts: Sequence[tuple[Message, ...]], owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Yield P(yes) / (P(yes) + P(no)) of the first token, among the most probable ones.

        None where the reply carries no log-probabilities or neither word is among them. A word
        that is not among them counts as 0.
        """
        settings = {"max_tokens": 1, "logprobs": True, "top_logprobs": self._top_logprobs}
        contents = [_turns(prompt) for prompt in prompts]
        for number, value in self._ask(contents, _replies.yes_probability, settings, owed):
            yield number, None if value is None else float(value)

    def complete(
        self, prompts: Sequence[tuple[Message, ...]], max_tokens: int, owed: Owed = None
    ) -> Iterator[tuple[int, str | None]]:
        """Yield one reply per prompt; None where the API gave no text."""
        contents = [_turns(prompt) for prompt in prompts]
        for number, value in self._ask(contents, _replies.text, {"max_tokens": max_tokens}, owed):
            yield number, None if value is None else str(value)

    def answers(
        self,
        prompts: Sequence[tuple[Message, ...]],
        sampling: SamplingParams,
        seed: int,
        owed: Owed = None,
    ) -> Iterator[tuple[int, tuple[str, str | None] | None]]:
        """Yield drawn texts with the server's words for why they ended; None where there is none.

        The seed is sent along; what a server does with it is its own matter.
        """
        settings = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": seed,
        }
        contents = [_turns(prompt) for prompt in prompts]
        for number, value in self._ask(contents, _replies.answer, settings, owed):
            text, reason = (None, None) if value is None else json.loads(str(value))
            yield number, None if text is None else (text, reason)

    def next_probabilities(
        self, prompts: Sequence[str], word: str, owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Yield P(``word``) as the first token after each prompt, from ``/completions``.

        A word that is not among the most probable tokens that the server shows counts as 0, as in
        the original of these judges (Lin et al. 2022). None where it shows none.
        """
        settings = {"max_tokens": 1, "logprobs": 5}
        contents = [{"prompt": prompt} for prompt in prompts]
        read = partial(_replies.word_probability, word=word)
        for number, value in self._ask(contents, read, settings, owed):
            yield number, None if value is None else float(value)

    def _ask(
        self, contents: Sequence[Body], read: Read, settings: Body, owed: Owed
    ) -> Iterator[tuple[int, Value]]:
        settings = {"temperature": 0.0, **settings}
        caller = Caller(self.endpoint, self.ledger, self._account)
        asks: dict[str, Ask] = {}
        numbers: dict[str, list[int]] = {}
        for number, content in enumerate(contents):
            if is_owed(owed, number):
                path = "/completions" if "prompt" in content else "/chat/completions"
                ask = Ask(path, content, settings, read)
                key = caller.key(ask)
                asks[key] = ask
                numbers.setdefault(key, []).append(number)
        for key, value in self._values(caller, asks):
            yield from ((number, value) for number in numbers[key])

    def _values(self, caller: Caller, asks: Mapping[str, Ask]) -> Iterator[tuple[str, Value]]:
        """Yield what is known, then what comes, then what is final without a reply; then raise."""
        known = {key: reply for key in asks if (reply := self.ledger.reply(key)) is not None}
        yield from ((key, each.value) for key, each in known.items() if each.lacks is None)
        keys = [key for key in asks if key not in known]
        standing = self._standing
        standing.begin(len(keys), self.ledger.has_answers(self._account))
        for key, each in known.items():
            if each.lacks is not None:
                standing.hold(key, None, self._without(each))
        if keys:
            yield from self._fresh(caller, {key: asks[key] for key in keys})
        standing.end()
        yield from ((key, None) for key in standing.held)
        standing.raise_owed()

    def _fresh(self, caller: Caller, asks: Mapping[str, Ask]) -> Iterator[tuple[str, Value]]:
        """Yield replies as they come; after an error those that are under way, then raise."""
        keys = list(asks)
        crew = Crew(caller, list(asks.values()), key_of(self.endpoint))
        failure: Exception | None = None
        try:
            for number, outcome in crew.outcomes():
                if (problem := self._note(keys[number], number, outcome)) is not None:
                    failure = failure or problem
                    crew.stop()
                if isinstance(outcome, Reply) and outcome.lacks is None:
                    yield keys[number], outcome.value
        finally:
            crew.end()
        if failure is not None:
            raise failure

    def _note(self, key: str, number: int, outcome: Reply | Exception) -> Exception | None:
        """Note what came of a prompt; return what ends the batch, if it does."""
        standing = self._standing
        try:
            if isinstance(outcome, PromptRefused):
                why = f"{self.identity} {outcome}."
                _log.warning("%s", why)
                standing.hold(key, number, why, about_prompt=outcome.about_prompt)
            elif isinstance(outcome, UnansweredError):
                standing.fail(number, str(outcome))
            elif isinstance(outcome, Exception):
                return outcome
            elif outcome.lacks is not None:
                standing.hold(key, number, self._without(outcome))
            else:
                standing.answered()
        except JudgeError as error:
            return error
        return None

    def _without(self, reply: Reply) -> str:
        return (
            f"{self.identity} replies without {reply.lacks}. Where a server gives none, "
            "`mode: parsed` reads its words."
        )


def _turns(prompt: tuple[Message, ...]) -> Body:
    return {"messages": [{"role": turn.role, "content": turn.content} for turn in prompt]}
