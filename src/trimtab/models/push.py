"""A folder to the Hugging Face hub. No torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.core import secrets
from trimtab.core.errors import ConfigError, ModelError
from trimtab.core.lazy import lazy

if TYPE_CHECKING:
    import huggingface_hub
    from huggingface_hub import errors
else:
    huggingface_hub = lazy("huggingface_hub")
    errors = lazy("huggingface_hub.errors")

_TOKEN = "HF_TOKEN"


def token() -> str:
    """Return the hub's token, from the environment alone; raise ConfigError if it is not set."""
    found = os.environ.get(_TOKEN, "").strip()
    secrets.remember(found)
    if not found:
        raise ConfigError(
            f"The environment variable {_TOKEN} is not set; it must hold a token that may write.",
            hint="Make one in the hub's settings; what `hf auth login` kept is not used.",
        )
    return found


def push_folder(folder: Path, repo: str, message: str, *, private: bool) -> str:
    """Make the repository if need be, upload a folder as one commit, and return its address.

    Raises:
        ConfigError: There is no token, or ``repo`` is no id.
        ModelError: The hub refuses, or can't be reached.
    """
    api = huggingface_hub.HfApi(token=token())
    try:
        made = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message=message)
    except errors.HFValidationError as error:
        raise ConfigError(f"--repo {repo!r} is no id on the hub: {_line(error)}.") from None
    # The HTTP library differs between versions of the hub client; this is its base exception.
    except (
        errors.HTTPError,  # type: ignore[attr-defined]
        OSError,
        RuntimeError,
        ValueError,
    ) as error:
        raise ModelError(
            f"The hub did not take {repo!r}: {_line(error)}.",
            hint="Nothing but whole commits is there; push again when the cause is mended.",
        ) from None
    return str(made)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
