"""Whether the engine computes a model as transformers does: tried once, before anything is.

The engine packs rows, shares what they have in common and keeps its own cache. A family that needs
something else (a call of attention more per block, a state, a mask of its own) would give other
numbers without a word. A model that passed is remembered by its content and by the versions of all
that takes part.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
import transformers

from trimtab.core.errors import ModelError, NonFiniteError, is_out_of_memory
from trimtab.core.keys import content_key
from trimtab.engine import trial, version
from trimtab.engine.request import Request, Result
from trimtab.models.cache import cache_dir
from trimtab.models.load import LoadedModel

Run = Callable[[Sequence[Request]], Iterator[Result]]

_PASSED: set[str] = set()
"""Of this process, for where the cache can't be written."""

_FAULTS = (
    RuntimeError,
    TypeError,
    ValueError,
    AttributeError,
    LookupError,
    AssertionError,
)
"""What a family raises that takes other arguments, or gives back something else, than is known."""

_log = logging.getLogger(__name__)


def check_agreement(loaded: LoadedModel, run: Run) -> None:
    """Raise ModelError if ``run`` does not compute what the model's own forward does.

    Values that are not finite, and memory that is short, decide nothing: the row that is asked for
    afterwards says so.
    """
    name = _key(loaded)
    if name in _PASSED or _note(name).is_file():
        return
    start = time.monotonic()
    try:
        with torch.no_grad():
            differences = trial.differences(loaded, run)
    except NonFiniteError:
        return
    except ModelError as error:
        if error.__cause__ is not None and is_out_of_memory(error.__cause__):
            return
        raise _refusal(loaded, f"ends with: {error.message}") from error
    except _FAULTS as error:
        if is_out_of_memory(error):
            return
        reason = " ".join(str(error).split())[:200] or "no message"
        raise _refusal(loaded, f"ends with {type(error).__name__}: {reason}") from error
    if not all(difference.is_finite for difference in differences):
        return
    for difference in differences:
        if difference.value > difference.most:
            raise _refusal(loaded, f"gives others: {difference}")
    _PASSED.add(name)
    # a cache that can't be written costs time, not correctness
    with contextlib.suppress(OSError):
        _note(name).parent.mkdir(parents=True, exist_ok=True)
        _note(name).touch()
    _log.debug("%s was compared with transformers in %.2f s", name, time.monotonic() - start)


def _note(name: str) -> Path:
    return cache_dir() / "agreement" / name


def _key(loaded: LoadedModel) -> str:
    """Return a hash of the model and of all that computes it."""
    spec = loaded.resolved.spec
    placed = [spec.dtype, spec.quantization, loaded.device.type, spec.device_map is not None]
    versions = [torch.__version__, transformers.__version__, version.code_hash()]
    return content_key([loaded.identity, placed, versions], 32)


def _refusal(loaded: LoadedModel, found: str) -> ModelError:
    model = loaded.model
    return ModelError(
        f"{type(model).__name__} (model type {model.config.get_text_config().model_type!r}) is "
        f"refused: on short trial rows the engine does not give the values of transformers, it "
        f"{found}.",
        hint="Use a model of another family; docs/errors.md says which are known to agree.",
    )
