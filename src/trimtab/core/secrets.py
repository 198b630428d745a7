"""Secrets that this process knows, and texts without them.

Who reads a key from the environment says so here; messages, logs and replies pass through
``redact`` before anybody sees them. What an address may give away is hidden as well.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus, urlsplit

HIDDEN = "[hidden]"
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY")
"""Environment variables that libraries read secrets from by themselves."""

# Shorter ones are placeholders ("none", "EMPTY") that stand in ordinary texts too.
_SHORTEST = 6
_USERINFO = re.compile(r"(?<=//)[^/\s@'\"]+@")
_ARGUMENT = re.compile(
    r"([?&](?:[\w-]*(?:key|token|secret|password|signature)|sig|pwd)=)[^&\s'\"]+", re.IGNORECASE
)
# Names of words and numbers have such beginnings, too, but no long stretch that nothing parts.
_STRETCH = r"[A-Za-z0-9]{16}"
_ISSUED = re.compile(
    rf"(?:sk|pk|rk|gsk|xai|hf|ghp|ghs|nvapi|r8|tgp)[-_](?=[\w-]*\d)(?=[\w-]*{_STRETCH})[\w-]+"
    r"|AIza[\w-]{20,}"
)
# Without a password, the user may be a token: names such as `git` are shorter.
_LOGIN = re.compile(
    rf"//(?:[^/\s@:'\"]*:[^/\s@'\"$`][^/\s@'\"]*|(?=[\w-]*\d)[\w-]*{_STRETCH}[\w-]*:?)@"
)
# A value of its own, and none that is read from elsewhere when the line is run.
_ASSIGNED = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD)=['\"]?[^\s'\"$`~/][^\s'\"$`]{5,}")
_BETWEEN_WORDS = re.compile(r"[\s=,;:&|()<>'\"`]+")
_LONGEST_WORD = 15

_known: set[str] = set()


def remember(secret: str) -> None:
    """Have ``redact`` hide ``secret`` from now on, in every form in which it may be repeated."""
    secret = secret.strip()
    if len(secret) >= _SHORTEST:
        _known.update(
            {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
        )


def redact(text: str) -> str:
    """Return ``text`` without known secrets and without the credentials of addresses in it."""
    return _ARGUMENT.sub(rf"\1{HIDDEN}", _USERINFO.sub(f"{HIDDEN}@", _without_known(text)))


def _without_known(text: str) -> str:
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
        if len(secret) >= 2 * _SHORTEST:  # a part that something cut off gives away as much
            text = re.sub(re.escape(secret[: len(secret) // 2]) + r"[\w*.-]*", HIDDEN, text)
    return text


def looks_issued(text: str) -> bool:
    """Return whether ``text`` has the form of a key that some service issues."""
    return _ISSUED.fullmatch(text) is not None


def holds_secret(text: str) -> bool:
    """Return whether a line of a shell holds a secret, as far as one can be told from other words.

    What is known as one counts, what has the form of an issued key, the password of an address, and
    a value that is given to a variable or an argument whose name ends as those of keys and
    passwords do. What the shell takes from elsewhere (``$TOKEN``) is none.
    """
    return (
        _without_known(text) != text
        or _LOGIN.search(text) is not None
        or any(each[0][len(each[1]) :][0] not in "$`" for each in _ARGUMENT.finditer(text))
        or any(map(looks_issued, _BETWEEN_WORDS.split(text)))
        or _ASSIGNED.search(text) is not None
    )


def shown_url(url: str) -> str:
    """Return an address for messages: parts of the path that may be secret are left out."""
    parts = urlsplit(url)
    segments = ("…" if _may_be_secret(each) else each for each in parts.path.split("/"))
    return f"{parts.scheme}://{parts.netloc}{'/'.join(segments)}"


def _may_be_secret(segment: str) -> bool:
    return len(segment) > _LONGEST_WORD and re.search(r"\d", segment) is not None
