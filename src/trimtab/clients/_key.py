"""The key that an API wants, from the environment alone."""

from __future__ import annotations

import os

from trimtab.core import secrets
from trimtab.core.errors import JudgeError
from trimtab.core.spec import Endpoint


def key_of(endpoint: Endpoint) -> str | None:
    """Return the key, remembered as a secret; None for a server that wants none.

    Raises:
        JudgeError: The variable is not set, or holds no key.
    """
    name = endpoint.api_key_env
    if name is None:
        return None
    key = os.environ.get(name, "").strip().strip("\ufeff")
    secrets.remember(key)
    if not key:
        raise JudgeError(
            f"The environment variable {name} is not set; it must hold the key for "
            f"{endpoint.identity}.",
            hint="Set it, or give api_key_env: null for a server that wants no key.",
        )
    odd = next((place for place, char in enumerate(key, 1) if not "!" <= char <= "~"), None)
    if odd is not None:
        raise JudgeError(
            f"The environment variable {name} holds no key: character {odd} of {len(key)} is "
            "a space, a line feed, or no ASCII.",
            hint="Set it again; nothing of it was sent.",
        )
    return key
