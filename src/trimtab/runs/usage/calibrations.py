"""What was measured of a model's speed on some machine: files in trimtab's cache folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from trimtab.core.errors import StoreError
from trimtab.core.files import make_dir
from trimtab.core.records import read_json, write_json
from trimtab.models.cache import cache_dir


class Calibration(BaseModel):
    """One measurement; a later one of the same kind takes its place.

    Attributes:
        model: Id of the model.
        identity: Hash of its weights, tokenizer and template.
        num_parameters: Its weights.
        dtype: Number format.
        device: Where it ran.
        host: Name of the machine.
        hardware: Processor or GPU, in words.
        machine: What a manifest says of the machine.
        code: Version, hash of the source and commit.
        threads: Of torch.
        time: When, seconds since the epoch.
        rows: Rows side by side.
        forward: Tokens per second that are read.
        generate: Tokens per second that are written.
        train: Tokens per second that an adapter learns from.
        peak_memory_mib: Most memory of the process; of a GPU, if one was used.
        other_load: Cores that other processes kept busy meanwhile; None if unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    identity: str
    num_parameters: int
    dtype: str
    device: str
    host: str
    hardware: str
    machine: dict[str, Any]
    code: dict[str, Any]
    threads: int
    time: float
    rows: int
    forward: float
    generate: float
    train: float
    peak_memory_mib: float | None
    other_load: float | None

    @property
    def kind(self) -> str:
        """The kind of machine: what else has it is taken to be as fast."""
        return self.hardware if self.device != "cpu" else f"{self.hardware}, {self.threads} threads"


def note(found: Calibration) -> Path:
    """Keep a measurement, and return its file.

    Raises:
        StoreError: The cache can't be written.
    """
    named = (found.host, found.kind, found.device, found.identity, found.dtype)
    stem = hashlib.sha256(repr(named).encode(errors="surrogateescape")).hexdigest()[:16]
    path = _folder() / f"{stem}.json"
    make_dir(path.parent)
    write_json(path, found)
    return path


def kept() -> list[Calibration]:
    """Return every measurement of the cache, the newest first; what nobody can read is left out."""
    try:
        names = sorted(os.listdir(_folder()))
    except OSError:
        return []
    found = []
    for name in names:
        try:
            found.append(Calibration.model_validate(read_json(_folder() / name)))
        except (StoreError, ValidationError):
            continue
    return sorted(found, key=lambda one: -one.time)


def _folder() -> Path:
    return cache_dir() / "calibrations"
