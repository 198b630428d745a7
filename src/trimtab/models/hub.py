"""Models on the Hugging Face hub: which commit a name means, and its files. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.core.errors import ModelError
from trimtab.core.lazy import lazy
from trimtab.models.files import read_json
from trimtab.models.memory import ModelCard, card_from_config

if TYPE_CHECKING:
    import huggingface_hub
    from huggingface_hub import errors
else:
    huggingface_hub = lazy("huggingface_hub")
    errors = lazy("huggingface_hub.errors")

_COMMIT = re.compile(r"[0-9a-f]{40}")
_FILES = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken", "[0-9]_*/*"]


def resolve_commit(model_id: str, revision: str | None) -> str:
    """Return the commit of a branch, a tag or the default branch.

    Without a network it is the commit that the local hub cache has under that name.

    Raises:
        ModelError: There is no such model or revision, it is gated, or the hub can't be reached
            and the cache has nothing.
    """
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    cached = None
    try:
        with _explained(model_id, revision):
            cached = huggingface_hub.try_to_load_from_cache(
                model_id, "config.json", revision=revision or "main"
            )
            commit = huggingface_hub.HfApi().model_info(model_id, revision=revision).sha
    except _Unreachable as error:
        if not isinstance(cached, str):
            raise error.as_model_error() from error
        commit = Path(cached).parent.name
    assert commit is not None, "the hub names a commit for every revision"
    return commit


def hub_card(model_id: str, commit: str) -> ModelCard:
    """Return the card of a model on the hub; its parameters are estimated from config.json."""
    try:
        with _explained(model_id, commit):
            path = huggingface_hub.hf_hub_download(model_id, "config.json", revision=commit)
    except _Unreachable as error:
        raise error.as_model_error() from error
    return card_from_config(read_json(Path(path)), f"config.json of {model_id!r}")


def download(model_id: str, commit: str, with_code: bool) -> Path:
    """Return the folder of a snapshot, fetched if need be; pickled weights are left where they are.

    Args:
        model_id: Hub id.
        commit: Full commit hash.
        with_code: Fetch the model's Python files too (``trust_remote_code``).
    """
    patterns = [*_FILES, "*.py"] if with_code else _FILES
    try:
        with _explained(model_id, commit):
            folder = huggingface_hub.snapshot_download(
                model_id, revision=commit, allow_patterns=patterns
            )
    except _Unreachable as error:
        raise error.as_model_error() from error
    if not any(Path(folder).glob("*.safetensors")):
        raise ModelError(
            f"{model_id!r} has no safetensors weights at {commit}, and pickled ones can run code.",
            hint="Take a revision that has them, or convert it where you trust it and name the "
            "folder: AutoModelForCausalLM.from_pretrained(ID).save_pretrained(DIR).",
        )
    return Path(folder)


class _Unreachable(Exception):
    """The hub did not answer, or may not be asked."""

    def __init__(self, model_id: str, reason: str) -> None:
        super().__init__(reason)
        self.model_id = model_id

    def as_model_error(self) -> ModelError:
        return ModelError(
            f"{self.model_id!r} is neither a local path nor in the hub cache, and the hub can't be "
            f"reached: {self}.",
            hint="Check the spelling and the network, give a local directory, or use "
            "`bundled:smollm2-135m-instruct`, which needs no hub.",
        )


@contextmanager
def _explained(model_id: str, revision: str | None) -> Iterator[None]:
    """Turn the hub's exceptions into ModelError, or into _Unreachable where a cache may help."""
    named = f"{model_id!r}" + (f" at revision {revision!r}" if revision else "")
    try:
        yield
    except errors.HFValidationError as error:
        raise ModelError(
            f"{model_id!r} is no model: there is no such path, and it can't be a hub id.",
            hint="Give a directory, a .gguf file, a hub id (owner/name), preset:<name> or "
            "bundled:<name>.",
        ) from error
    except errors.GatedRepoError as error:
        raise ModelError(
            f"The model {named} is gated.",
            hint="Accept its terms on the hub, then log in with `hf auth login`.",
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ModelError(
            f"The hub has no model {named}, or it is private.",
            hint="Check the spelling; log in with `hf auth login` if it is private.",
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise _Unreachable(model_id, _line(error)) from error
    except errors.EntryNotFoundError as error:
        raise ModelError(
            f"The model {named} has no config.json.", hint="Is it a transformers model?"
        ) from error
    # The HTTP library differs between versions of the hub client; this is its base exception.
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
        raise _Unreachable(model_id, _line(error)) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
