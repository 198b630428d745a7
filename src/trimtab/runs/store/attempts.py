"""Each time a run is worked on is an attempt, with a folder, a manifest and a log of its own."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from trimtab import __version__
from trimtab.core.errors import ConfigError, StoreError
from trimtab.core.files import make_dir
from trimtab.core.records import write_json
from trimtab.core.secrets import redact
from trimtab.core.temporary import sweep
from trimtab.runs.store import manifest
from trimtab.runs.store.reading import read_shaped

MANIFEST = "manifest.json"
_WORDS = r"(?:api[_-]?key|secret|password|(?:hf|access|auth)[_-]?token)"
_ASSIGNED = re.compile(rf"(?i)({_WORDS}=).+")
_NUMBER = re.compile(r"[0-9]{1,9}")
_OPTION = re.compile(rf"(?i)-[\w-]*{_WORDS}")
# Folders of many files, all of which are appended to under their own names.
_NO_TEMPORARIES = ("completions", "scores", "claims")
_log = logging.getLogger(__name__)

_TAIL_BYTES = 65536
_STOPPED = ": stopped\nTraceback"
"""How a log tells the error that ended its attempt; below it the last line is the error itself."""
_RAISED = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b")


class _Manifest(BaseModel, extra="allow"):
    """What is read of a manifest."""

    code: dict[str, Any]
    packages: dict[str, Any]
    machine: dict[str, Any]
    environment: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    phases: list[str] = []


_SHAPE = TypeAdapter(_Manifest)


@dataclass(frozen=True)
class Attempt:
    """One attempt.

    Attributes:
        number: Counts from 1.
        dir: Its folder, ``attempts/NNNN``.
        warnings: What changed since the last attempt and may change results, a line each.
    """

    number: int
    dir: Path
    warnings: tuple[str, ...]

    @property
    def log_file(self) -> Path:
        """Where its log goes."""
        return self.dir / "log.txt"


def open_attempt(
    run_dir: Path,
    command: Sequence[str],
    inputs: Mapping[str, str] | None = None,
    threads: int | None = None,
    *,
    other_code: bool = False,
) -> Attempt:
    """Start an attempt: take the next number and write down the state of everything.

    What killed processes left half written in the run is swept first.

    Args:
        run_dir: The run.
        command: The command line; values that look like keys are left out of the manifest.
        inputs: Hashes of data, templates and the like, by name.
        threads: Threads that models compute with, if they were chosen.
        other_code: The code is not that of the run, which stays as it was recorded.

    Raises:
        StoreError: The folder can't be made or written.
    """
    sweep(run_dir, skip=_NO_TEMPORARIES)
    earlier = _numbers(run_dir)
    number, folder = _allocate(run_dir, max(earlier, default=0) + 1)
    state = manifest.collect(inputs, threads)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"attempt": number, "started": started, "command": _redact(command), **state}
    if other_code:
        record["other_code"] = True
    write_json(folder / MANIFEST, record, sealed=True)
    last = _last_manifest(run_dir, earlier)
    warnings = manifest.changes(last, state) if last is not None else []
    return Attempt(number, folder, tuple(warnings))


def recorded_threads(run_dir: Path) -> int | None:
    """Return the threads of the first attempt that chose some; None if there is none."""
    for _, state in manifests(run_dir):
        threads = state["machine"].get("threads")
        if isinstance(threads, int) and threads > 0:
            return threads
    return None


def require_same_code(run_dir: Path) -> None:
    """Raise ConfigError if this process runs other code than the run's last attempt did.

    Attempts that were let to differ don't count. Workers that begin a run in the same moment don't
    see one another.
    """
    for number in reversed(_numbers(run_dir)):
        state = _manifest(run_dir, number)
        if state is None or state.get("other_code"):
            continue
        ours, theirs = manifest.code(), state["code"]
        if ours["source"] != theirs.get("source"):
            raise ConfigError(
                f"This worker's code is not that of the run: {__version__} "
                f"(source {ours['source']}) here, {theirs.get('version')} (source "
                f"{theirs.get('source')}) in attempt {number}.",
                hint="Install the run's version here; or `--other-code`, if the difference can't "
                "change a result; or `trimtab resume` with this code, which becomes the run's.",
            )
        return


def manifests(run_dir: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and manifest of each attempt that has a readable one.

    An attempt that was killed at its start has none; one that was damaged is left out, as no result
    depends on it.
    """
    for number in _numbers(run_dir):
        state = _manifest(run_dir, number)
        if state is not None:
            yield number, state


def last_failure(run_dir: Path) -> str | None:
    """Return the error of the newest attempt that ended by one, with its log; None if none did.

    An attempt that was killed, or whose worker was told to end, has none.
    """
    for number in reversed(_numbers(run_dir)):
        path = _folder(run_dir, number) / "log.txt"
        try:
            with path.open("rb") as file:
                file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
                text = file.read().decode(errors="replace")
        except OSError:
            continue
        lines = text.rpartition(_STOPPED)[2].splitlines() if _STOPPED in text else []
        errors = [line for line in lines if _RAISED.match(line)]
        if errors:
            return f"attempt {number}: {errors[-1]} ({path})"
    return None


def _numbers(run_dir: Path) -> list[int]:
    names = [path.name for path in (run_dir / "attempts").glob("[0-9]*")]
    return sorted(int(name) for name in names if _NUMBER.fullmatch(name))


def _folder(run_dir: Path, number: int) -> Path:
    return run_dir / "attempts" / f"{number:04d}"


def _allocate(run_dir: Path, number: int) -> tuple[int, Path]:
    """Make the first free folder from ``number`` on; mkdir lets only one process have it."""
    try:
        make_dir(run_dir / "attempts")
        while True:
            try:
                _folder(run_dir, number).mkdir()
                return number, _folder(run_dir, number)
            except FileExistsError:
                number += 1
    except OSError as error:
        raise StoreError(
            f"{_folder(run_dir, number)} can't be made: {error.strerror or error}.",
            hint="The run directory must be writable; free space or change its permissions.",
        ) from error


def _last_manifest(run_dir: Path, numbers: Sequence[int]) -> dict[str, Any] | None:
    """Return the newest manifest; an attempt that was killed at its start has none."""
    found = (_manifest(run_dir, number) for number in reversed(numbers))
    return next((state for state in found if state is not None), None)


def _manifest(run_dir: Path, number: int) -> dict[str, Any] | None:
    path = _folder(run_dir, number) / MANIFEST
    if not path.is_file():
        return None
    try:
        return read_shaped(_SHAPE, path).model_dump()
    except StoreError as error:
        _log.warning("left out: %s", error)
        return None


def _redact(command: Sequence[str]) -> list[str]:
    """Replace secrets, and what follows a word like ``api_key=``, or an option ``--api-key``."""
    result: list[str] = []
    hide = False
    for word in command:
        result.append("***" if hide else redact(_ASSIGNED.sub(r"\1***", word)))
        hide = _OPTION.fullmatch(word) is not None
    return result
