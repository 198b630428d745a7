"""The errors trimtab raises, and the exit code the command line gives each.

    TrimtabError            1
    ├── ConfigError         2  a YAML key, a name, a value or an override is wrong
    ├── DataError           2  a data file is missing, malformed or lacks a column
    ├── ModelError          3  a model can't be found, read, recognised or rendered
    ├── NonFiniteError      4  NaN or infinity in activations or logits
    ├── HeldError           5  another process works on the same part of the run
    ├── StoreError          6  the run directory can't be read or written
    ├── JudgeError          7  a judge could not run; its scores stay owed (9: for want of memory)
    ├── CheckError           8  the run finished but an honesty check failed
    ├── MemoryShortError     9  a model, a training or a row does not fit into memory
    └── LossError           10  a fault that ``chaos`` played lost or changed something

Every message names the value, where it came from and what to do. Bugs of trimtab itself are plain
assertions and keep their traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable

from trimtab.core.secrets import redact


class TrimtabError(Exception):
    """Base of every error a user can cause or cure; printed as one line, without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """Store ``message`` (what is wrong, and where) and ``hint`` (what to do); hide secrets."""
        self.message = redact(message)
        self.hint = None if hint is None else redact(hint)
        super().__init__(self.message if self.hint is None else f"{self.message} {self.hint}")


class ConfigError(TrimtabError):
    """A YAML key, a component name, a value or a command-line override is wrong."""

    exit_code = 2


class DataError(TrimtabError):
    """A data file is missing, malformed or lacks a column."""

    exit_code = 2


class ModelError(TrimtabError):
    """A model can't be found, read, recognised or rendered."""

    exit_code = 3


class MemoryShortError(ModelError):
    """A model, a training or a single row does not fit into the memory that is free."""

    exit_code = 9


class NonFiniteError(TrimtabError):
    """NaN or infinity appeared; names the layer, the row and the position where it came first."""

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        where: str | None = None,
        row: Hashable = None,
    ) -> None:
        """Store ``where`` it came first, a module and a position, and the key of the ``row``."""
        self.where = where
        self.row = row
        super().__init__(message, hint=hint)


class HeldError(TrimtabError):
    """Another live process holds what this one wanted, or took over what it held."""

    exit_code = 5


class StoreError(TrimtabError):
    """The run directory can't be read or written (disk full, corrupt record, wrong directory)."""

    exit_code = 6


class JudgeError(TrimtabError):
    """A judge could not run; everything else is kept and its scores stay owed."""

    exit_code = 7


class UnansweredError(JudgeError):
    """A judge that works got no answer to some items; the rest of its items can be scored."""


class JudgeMemoryError(JudgeError, MemoryShortError):
    """Memory was short for a judge; everything else is kept and its scores stay owed."""

    exit_code = MemoryShortError.exit_code


class CheckError(TrimtabError):
    """The run finished, and an honesty check failed."""

    exit_code = 8


class LossError(TrimtabError):
    """A fault that was played on purpose lost, doubled or changed something, or left it running."""

    exit_code = 10


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory was short: an allocation failed, or something is known not to fit.

    Torch, which is not imported here, has a class of its own for it on accelerators, and words
    alone on a CPU.
    """
    return (
        isinstance(error, MemoryError | MemoryShortError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"Did you mean 'x'?"`` for the nearest of ``known``, else the list of them."""
    names = sorted(set(known))
    if not names:
        return "There are none."
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    if near:
        return "Did you mean " + " or ".join(repr(n) for n in near) + "?"
    return "Known: " + ", ".join(repr(n) if "," in n else n for n in names) + "."
