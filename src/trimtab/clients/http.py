"""A chat model behind an OpenAI-compatible API, asked through the openai SDK."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from trimtab.core.errors import JudgeError
from trimtab.core.lazy import lazy
from trimtab.core.spec import Endpoint
from trimtab.core.types import Message

T = TypeVar("T")

# Typed loosely: the SDK is optional, and a compatible server may leave out what its types promise.
openai: Any = lazy("openai")

_log = logging.getLogger(__name__)


class HttpChat:
    """Implements ``core.types.Chat`` on an API; prompts go out in parallel, replies keep order.

    Overload (429), server errors and lost connections are tried again a finite number of times:
    after what ``Retry-After`` says where the server names up to a minute, else after a growing time
    with jitter. What then still fails, and a refused key or an unknown model, ends the batch with
    JudgeError, so that its scores stay owed. A single prompt that the server rejects (400, 422) or
    answers with something malformed has no reply (None).

    Temperature is 0, but an API need not be deterministic.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        num_parallel: int = 8,
        max_retries: int = 6,
        timeout_s: float = 120.0,
        top_logprobs: int = 20,
    ) -> None:
        """Keep the settings; the key is read from the environment when a prompt is sent.

        Args:
            endpoint: Address, model, and the variable that holds the key.
            num_parallel: Most requests under way at one time.
            max_retries: Tries after the first, per prompt.
            timeout_s: Longest wait for one reply, in seconds.
            top_logprobs: How many first tokens ``yes_probabilities`` looks at; some servers allow
                fewer than 20.
        """
        self.endpoint = endpoint
        self._num_parallel = num_parallel
        self._max_retries = max_retries
        self._timeout_s = timeout_s
        self._top_logprobs = top_logprobs

    @property
    def identity(self) -> str:
        """``api:<model>@<base_url>``; what is served under the name may change unseen."""
        return f"api:{self.endpoint.model}@{self.endpoint.base_url}"

    def yes_probabilities(self, prompts: list[tuple[Message, ...]]) -> list[float | None]:
        """Return P(yes) / (P(yes) + P(no)) of the first token, among the most probable ones.

        None where the reply carries no log-probabilities or neither word is among them. A word
        that is not among them counts as 0.
        """
        return self._ask(
            prompts, _yes_probability, max_tokens=1, logprobs=True, top_logprobs=self._top_logprobs
        )

    def complete(self, prompts: list[tuple[Message, ...]], max_tokens: int) -> list[str | None]:
        """Return one reply per prompt; None where the API gave no text."""
        return self._ask(prompts, _text, max_tokens=max_tokens)

    def _ask(
        self,
        prompts: Sequence[tuple[Message, ...]],
        read: Callable[[Any], T | None],
        **settings: Any,
    ) -> list[T | None]:
        with self._client() as client, ThreadPoolExecutor(self._num_parallel) as pool:

            def ask(prompt: tuple[Message, ...]) -> T | None:
                return self._ask_one(client, prompt, read, settings)

            futures = [pool.submit(ask, prompt) for prompt in prompts]
            try:
                return [future.result() for future in futures]
            finally:
                # After a fatal error the prompts still waiting must not be sent (and paid).
                pool.shutdown(wait=True, cancel_futures=True)

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
                max_retries=self._max_retries,
                timeout=self._timeout_s,
            )
        except ImportError:
            raise JudgeError(
                f"{self.identity} needs the openai package.",
                hint="Install it with: pip install 'trimtab[judges]'.",
            ) from None

    def _ask_one(
        self,
        client: Any,
        prompt: tuple[Message, ...],
        read: Callable[[Any], T | None],
        settings: dict[str, Any],
    ) -> T | None:
        messages = [{"role": turn.role, "content": turn.content} for turn in prompt]
        try:
            reply = client.chat.completions.create(
                model=self.endpoint.model, messages=messages, temperature=0.0, **settings
            )
            return read(reply)
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            _log.warning("%s rejected a prompt: %s", self.identity, error)
        except openai.APIStatusError as error:
            raise JudgeError(
                f"{self.identity} answered with status {error.status_code}.",
                hint=_hint(error.status_code, self.endpoint),
            ) from error
        except openai.APIConnectionError as error:
            raise JudgeError(
                f"{self.identity} can't be reached: {error.__cause__ or error}.",
                hint="Check base_url and the network.",
            ) from error
        except (openai.APIError, AttributeError, TypeError, ValueError) as error:
            # The SDK does not check replies: a missing part shows only when it is read.
            _log.warning("%s sent a malformed reply: %r", self.identity, error)
        return None


def _hint(status: int, endpoint: Endpoint) -> str:
    if status in (401, 403):
        return f"Check the key in the environment variable {endpoint.api_key_env}."
    if status == 404:
        return f"Check base_url and whether the model {endpoint.model!r} is served there."
    return "It was tried again as often as allowed; score again later."


def _text(reply: Any) -> str | None:
    content = reply.choices[0].message.content if reply.choices else None
    return content if isinstance(content, str) else None


def _yes_probability(reply: Any) -> float | None:
    logprobs = reply.choices[0].logprobs if reply.choices else None
    if logprobs is None or not logprobs.content:
        return None
    mass = {"yes": 0.0, "no": 0.0}
    for token in logprobs.content[0].top_logprobs or ():
        # Some tokenizers mark the space before a word by a letter of their own.
        word = token.token.strip(" \t\n\u0120\u2581").casefold()
        if word in mass:
            mass[word] += math.exp(token.logprob)
    total = mass["yes"] + mass["no"]
    return mass["yes"] / total if total > 0 and math.isfinite(total) else None
