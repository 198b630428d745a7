"""A chat model behind an OpenAI-compatible API, asked through the openai SDK."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

from trimtab.clients._paid import Ask, Body, Caller, Read
from trimtab.clients.budget import Ledger
from trimtab.core.errors import JudgeError
from trimtab.core.lazy import lazy
from trimtab.core.spec import Endpoint
from trimtab.core.streams import Owed, is_owed
from trimtab.core.types import Message

openai: Any = lazy("openai")


class HttpChat:
    """Implements ``core.types.Chat`` and ``Continuer`` on an API; only what is owed is sent.

    Every request goes through a ``Ledger``: its worst case is reserved before it is sent, and what
    was paid for once is not asked for again. Equal prompts of a batch are sent once.

    Overload (429), server errors, timeouts and lost connections are tried again a finite number of
    times: after what ``Retry-After`` says, else after a growing time with jitter. What then still
    fails, a wait of more than a minute, a refused key, an unknown model and a reached cap end the
    batch with JudgeError, once the replies that are under way are there. A single prompt that the
    server rejects (400, 422) or keeps answering with something malformed has no reply (None).

    Temperature is 0, but an API need not be deterministic.
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
        if endpoint.max_dollars is not None:
            ledger.set_cap(endpoint.max_dollars, account, keep=True)

    @property
    def identity(self) -> str:
        """``api:<model>@<base_url>``; what is served under the name may change unseen."""
        return f"api:{self.endpoint.model}@{self.endpoint.base_url}"

    def yes_probabilities(
        self, prompts: Sequence[tuple[Message, ...]], owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Yield P(yes) / (P(yes) + P(no)) of the first token, among the most probable ones.

        None where the reply carries no log-probabilities or neither word is among them. A word
        that is not among them counts as 0.
        """
        settings = {"max_tokens": 1, "logprobs": True, "top_logprobs": self._top_logprobs}
        contents = [_turns(prompt) for prompt in prompts]
        for number, value in self._ask(contents, _yes_probability, settings, owed):
            yield number, None if value is None else float(value)

    def complete(
        self, prompts: Sequence[tuple[Message, ...]], max_tokens: int, owed: Owed = None
    ) -> Iterator[tuple[int, str | None]]:
        """Yield one reply per prompt; None where the API gave no text."""
        contents = [_turns(prompt) for prompt in prompts]
        for number, value in self._ask(contents, _text, {"max_tokens": max_tokens}, owed):
            yield number, None if value is None else str(value)

    def next_probabilities(
        self, prompts: Sequence[str], word: str, owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Yield P(``word``) as the first token after each prompt, from ``/completions``.

        A word that is not among the most probable tokens that the server shows counts as 0, as in
        the original of these judges (Lin et al. 2022). None where it shows none.
        """

        def read(body: Body) -> float | None:
            shown = body["choices"][0]["logprobs"]["top_logprobs"][0]
            chances = [math.exp(p) for token, p in shown.items() if _same_word(token, word)]
            return math.fsum(chances) if shown else None

        settings = {"max_tokens": 1, "logprobs": 5}
        contents = [{"prompt": prompt} for prompt in prompts]
        for number, value in self._ask(contents, read, settings, owed):
            yield number, None if value is None else float(value)

    def _ask(
        self, contents: Sequence[Body], read: Read, settings: Body, owed: Owed
    ) -> Iterator[tuple[int, str | float | None]]:
        if not any(is_owed(owed, number) for number in range(len(contents))):
            return
        settings = {"temperature": 0.0, **settings}
        caller = Caller(self.endpoint, self.ledger, self._account)
        with self._client() as client:
            chat, plain = client.chat.completions, client.completions
            asks: dict[str, Ask] = {}
            numbers: dict[str, list[int]] = {}
            for number, content in enumerate(contents):
                if is_owed(owed, number):
                    create = _create(plain if "prompt" in content else chat)
                    ask = Ask(create, content, settings, read)
                    asks[caller.key(ask)] = ask
                    numbers.setdefault(caller.key(ask), []).append(number)
            for key, value in self._replies(caller, asks):
                yield from ((number, value) for number in numbers[key])

    def _replies(
        self, caller: Caller, asks: Mapping[str, Ask]
    ) -> Iterator[tuple[str, str | float | None]]:
        """Yield the replies as they come; after an error those that are under way, then raise."""
        with ThreadPoolExecutor(self.endpoint.num_parallel) as pool:
            futures: dict[Future[str | float | None], str] = {
                pool.submit(caller.value, ask): key for key, ask in asks.items()
            }
            failure: BaseException | None = None
            try:
                for future in as_completed(futures):
                    if future.cancelled():
                        continue
                    if (error := future.exception()) is None:
                        yield futures[future], future.result()
                    elif failure is None:
                        failure = error
                        _stop(caller, futures)
            finally:
                # After a fatal error the prompts still waiting must not be sent (and paid).
                _stop(caller, futures)
        if failure is not None:
            raise failure

    def _client(self) -> Any:
        name = self.endpoint.api_key_env
        key = "none" if name is None else os.environ.get(name, "")
        if not key:
            raise JudgeError(
                f"The environment variable {name} is not set; it must hold the key for "
                f"{self.endpoint.base_url}.",
                hint="Set it, or give api_key_env: null for a server that wants no key.",
            )
        try:
            return openai.OpenAI(
                api_key=key,
                base_url=self.endpoint.base_url,
                max_retries=0,  # each try is paid for, so the ledger must see each
                timeout=self.endpoint.timeout_s,
            )
        except ImportError:
            raise JudgeError(
                f"{self.identity} needs the openai package.",
                hint="Install it with: pip install 'trimtab[judges]'.",
            ) from None


def _stop(caller: Caller, futures: Iterable[Future[Any]]) -> None:
    caller.stop.set()
    for future in futures:
        future.cancel()


def _create(completions: Any) -> Callable[..., Any]:
    created: Callable[..., Any] = completions.with_raw_response.create
    return created


def _turns(prompt: tuple[Message, ...]) -> Body:
    return {"messages": [{"role": turn.role, "content": turn.content} for turn in prompt]}


def _text(body: Body) -> str | None:
    content = body["choices"][0]["message"]["content"]
    return content if isinstance(content, str) else None


def _yes_probability(body: Body) -> float | None:
    shown = body["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    mass = {"yes": 0.0, "no": 0.0}
    for each in shown:
        word = _bare(each["token"]).casefold()
        if word in mass:
            mass[word] += math.exp(each["logprob"])
    total = mass["yes"] + mass["no"]
    return mass["yes"] / total if total > 0 and math.isfinite(total) else None


def _same_word(token: str, word: str) -> bool:
    return _bare(token) == word.strip()


def _bare(token: str) -> str:
    # Some tokenizers mark the space before a word by a letter of their own.
    return token.strip(" \t\n\u0120\u2581")
