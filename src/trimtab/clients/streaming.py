"""A chat API's answer as it comes: server-sent events, or one reply from a server that has none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from trimtab.clients._key import key_of
from trimtab.clients._line import new_client
from trimtab.core.errors import JudgeError, ModelError
from trimtab.core.lazy import lazy
from trimtab.core.spec import Endpoint
from trimtab.core.types import Message, SamplingParams
from trimtab.text.escapes import one_line

if TYPE_CHECKING:
    import httpx2
else:
    httpx2 = lazy("httpx2")

_DATA = "data:"
_LONGEST_REASON = 300


def stream_chat(
    endpoint: Endpoint, messages: Sequence[Message], sampling: SamplingParams, seed: int
) -> Iterator[str]:
    """Yield an answer piece by piece; the last item is the reason why it ended, ``stop`` or so.

    Nothing is tried twice: who talks sees what failed and asks again.

    Args:
        endpoint: The server and its model.
        messages: The conversation, a user turn last.
        sampling: How the answer is drawn; ``top_k`` is not part of this API and is left out.
        seed: Sent along; not every server heeds it.

    Raises:
        ModelError: The server can't be reached, refuses, or breaks off.
    """
    body = {
        "model": endpoint.model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in messages],
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": seed % 2**31,
        "stream": True,
    }
    try:
        with (
            new_client(key_of(endpoint), endpoint.timeout_s) as client,
            client.stream("POST", f"{endpoint.base_url}/chat/completions", json=body) as response,
        ):
            if response.status_code != 200:
                raise _refused(endpoint, response.status_code, response.read())
            yield from _pieces(endpoint, response)
    except JudgeError as error:  # the same faults of keys and connections, of another user
        raise ModelError(error.message, hint=error.hint) from None
    except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
        raise ModelError(f"{endpoint.identity} broke off or can't be reached: {error}.") from None


def _pieces(endpoint: Endpoint, response: httpx2.Response) -> Iterator[str]:
    reason = "unknown"
    whole: list[str] = []
    for line in response.iter_lines():
        if not line.startswith(_DATA):
            whole.append(line)
            continue
        data = line[len(_DATA) :].strip()
        if data == "[DONE]":
            break
        text, ended = _choice(endpoint, data, "delta")
        if text:
            yield text
        reason = ended or reason
    if any(map(str.strip, whole)) and reason == "unknown":
        text, ended = _choice(endpoint, "\n".join(whole), "message")
        yield text
        reason = ended or reason
    yield reason


def _choice(endpoint: Endpoint, data: str, part: str) -> tuple[str, str | None]:
    """Return the text of an event or reply, and why it ended; raise ModelError if it is neither."""
    try:
        found: Any = json.loads(data)
        if "error" in found and not found.get("choices"):
            raise _refused(endpoint, 200, data.encode())
        if not found["choices"]:
            return "", None  # the last event of some servers counts tokens alone
        choice = found["choices"][0]
        content = choice.get(part, {}).get("content") or ""
        return str(content), choice.get("finish_reason")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        shown = one_line(data[:80])
        raise ModelError(f"{endpoint.identity} sent what is no chat reply: {shown!r}.") from None


def _refused(endpoint: Endpoint, status: int, content: bytes) -> ModelError:
    text = content[:10_000].decode("utf-8", "replace")
    try:
        said = json.loads(text)["error"]
        text = str(said["message"] if isinstance(said, dict) else said)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    reason = one_line(text).strip()[:_LONGEST_REASON]
    return ModelError(f"{endpoint.identity} refuses ({status}): {reason or 'it says nothing'}.")
