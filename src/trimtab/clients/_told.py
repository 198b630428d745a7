"""What a server says in place of a reply, and what becomes of the prompt then.

An outage is no verdict: what may pass is tried again, and stays owed. What concerns every prompt
(key, money, model, a setting) stops the judge. What concerns one prompt leaves that one without a
reply. Servers tell this by status, by an ``error`` in the body of any status, and in words of
their own (BerriAI/litellm#8448, langfuse/langfuse#8509).
"""

from __future__ import annotations

import email.utils
import re
import time
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.core.errors import JudgeError
from trimtab.core.secrets import redact
from trimtab.core.spec import Endpoint

LONGEST_DELAY_S = 60.0
_LONGEST_REASON = 200
_AGAIN = (408, 409, 425, 429)
_REFUSALS = (400, 413, 422)

# Names and words of errors that stand for a status of their own, whatever status came with them.
_STATUS_OF = (
    (402, r"insufficient[_ ](?:quota|balance|credits?|funds)|billing|payment[_ ]required"),
    (401, r"(?:invalid|incorrect)[_ ]api[_ ]key|api key not (?:valid|found)|unauthori[sz]ed"
          r"|authentication[_ ]error|api key expired"),
    (429, r"rate[_ ]?limit|too many requests|overloaded|capacity|resource[_ ]exhausted"),
    (503, r"unavailable|timed? ?out|internal[_ ](?:server[_ ])?error|server[_ ]error"),
    (404, r"model[_ ]not[_ ]found|\bmodel\b.{0,80}\b(?:not exist|not found|decommissioned"
          r"|deprecated|not supported|not available)"),
)  # fmt: skip
_ABOUT_PROMPT = re.compile(
    r"context[_ ](?:length|size|window)|maximum context|prompt is too long|reduce the length"
    r"|input (?:is )?too long|too many (?:input )?tokens|max_new_tokens` must be"
    r"|content[_ ]?(?:filter|policy|management)|responsibleai|moderation|flagged|usage polic"
    r"|(?:inappropriate|prohibited|sensitive)[_ ]content|data_inspection|safety (?:system|filter)"
)
_ABOUT_SETTING = re.compile(
    r"(?:unsupported|unknown|unrecognized|invalid|unexpected)[_ ](?:parameter|value|argument|field)"
    r"|extra (?:inputs|fields)|is not supported with this model|does not support"
)

_SETTING = re.compile(r"\b(?:max_tokens|max_completion_tokens|temperature|(?:top_)?logprobs)\b")


@dataclass(frozen=True)
class Told:
    """An error as a server tells it.

    Attributes:
        status: Its status: the reply's, or what the error itself names.
        names: Its codes, types and parameters, in lower case.
        reason: Its message for people, one line.
    """

    status: int
    names: str
    reason: str


class TryAgain(Exception):
    """A try failed in a way that may pass.

    Attributes:
        delay_s: What the server asks to wait, in seconds; None if it does not say.
    """

    def __init__(self, what: str, delay_s: float | None = None) -> None:
        """Say what happened, as the rest of a sentence about the server."""
        super().__init__(what)
        self.delay_s = delay_s


class PromptRefused(Exception):
    """A server rejects a prompt, perhaps for itself alone.

    Attributes:
        about_prompt: Whether the server says that it does so for what the prompt holds; if not,
            it may reject every other one as well.
    """

    def __init__(self, what: str, *, about_prompt: bool) -> None:
        """Say what happened, as the rest of a sentence about the server."""
        super().__init__(what)
        self.about_prompt = about_prompt


def error_in(body: Any, status: int) -> Told | None:
    """Return the error that a body tells of, anywhere where servers put one; None if none.

    Args:
        body: What was sent as JSON.
        status: The reply's own; where it is a success, the error's words and codes decide.
    """
    if isinstance(body, list):
        body = next((each for each in body if isinstance(each, dict)), None)
    if not isinstance(body, dict):
        return None
    choice = _first(body.get("choices"))
    message = choice.get("message")
    places = [body, choice, message if isinstance(message, dict) else {}]
    found = next((each["error"] for each in places if each.get("error")), None)
    if found is None and choice.get("finish_reason") == "error":
        found = "the reply ended in an error"
    if found is None and not body.get("choices"):
        found = body if body.get("message") or body.get("detail") else None
    return None if found is None else _told(found, status)


def refusal(told: Told, headers: Mapping[str, str], endpoint: Endpoint) -> Exception:
    """Return what to raise for an error: TryAgain, PromptRefused, or a JudgeError for the rest."""
    status, said = told.status, f"{told.names} {told.reason}".lower()
    what = f"answered with status {status}{': ' * bool(told.reason)}{told.reason}"
    about_prompt = _ABOUT_PROMPT.search(said) is not None
    if about_prompt and status in (*_REFUSALS, 403):
        return PromptRefused(what, about_prompt=True)
    if status in _REFUSALS:
        if _ABOUT_SETTING.search(said) or _SETTING.search(said):
            return JudgeError(
                f"{endpoint.identity} {what}.",
                hint="It rejects a setting, and so every prompt; another model or server may not.",
            )
        return PromptRefused(what, about_prompt=False)
    if status < 500 and status not in _AGAIN:
        return JudgeError(f"{endpoint.identity} {what}.", hint=_hint(status, endpoint))
    delay = retry_after(headers)
    if delay is not None and delay > LONGEST_DELAY_S:
        return JudgeError(
            f"{endpoint.identity} {what}, and asks to wait {delay:.0f} s.",
            hint="Score again after that time; nothing that was paid for is lost.",
        )
    return TryAgain(what, delay)


def one_line(text: str) -> str:
    """Return ``text`` for a message: one line, not long, without control characters or secrets."""
    # Cut twice: what the first cut leaves of a secret is not known, and lies beyond the second.
    bare = redact(text[: 20 * _LONGEST_REASON])[: 10 * _LONGEST_REASON]
    line = " ".join("".join(" " if unicodedata.category(c)[0] == "C" else c for c in bare).split())
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1]}…"


def _told(found: Any, status: int) -> Told:
    about = found if isinstance(found, dict) else {"message": found}
    names = [about.get(key) for key in ("code", "type", "status", "param", "error_type")]
    message = about.get("message") or about.get("detail") or about.get("error") or ""
    reason = one_line(message if isinstance(message, str) else str(message))
    said = " ".join(str(name).lower() for name in names if name is not None)[:_LONGEST_REASON]
    return Told(_status(names, f"{said} {reason.lower()}", status), said, reason.rstrip(". "))


def _status(names: Iterable[Any], said: str, status: int) -> int:
    """Return the status that an error names by word or number; ``status`` if that says enough."""
    if status >= 500 or status in (401, 402, 403, 404):
        return status
    if _ABOUT_PROMPT.search(said):
        return max(status, 400)
    for known, words in _STATUS_OF:
        if re.search(words, said):
            return known
    for name in names:
        number = int(name) if isinstance(name, str) and re.fullmatch(r"[45]\d\d", name) else name
        if isinstance(number, int) and 400 <= number < 600:
            return number
    return status if status >= 300 else 500


def _first(choices: Any) -> dict[str, Any]:
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that a server names, as a number or a date; None if neither."""
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _hint(status: int, endpoint: Endpoint) -> str:
    if status in (401, 403):
        return f"Check the key in the environment variable {endpoint.api_key_env}."
    if status == 402:
        return "The account there has no money left."
    if 300 <= status < 400:
        return "It sends elsewhere; give that address as base_url."
    if status in (404, 405, 410):
        return f"Check base_url and whether the model {endpoint.model!r} is served there."
    return "Score again when the cause is mended."
