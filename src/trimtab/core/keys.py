"""Content keys and seeds: the same inputs give the same key on every machine.

A key hashes what determines an output and nothing else: never a label, a batch size, a device or a
path. Floats are written with ``repr`` (shortest round-trip form), mappings are sorted, and fields
with their default value are left out of models, so that a new field does not change old keys.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from trimtab.core.files import open_regular


def canonical(value: Any) -> Any:
    """Reduce ``value`` to JSON types in one canonical form; raise TypeError for anything else."""
    if value is None or isinstance(value, (str, int, bool)):
        return value
    if isinstance(value, BaseModel):
        return canonical(value.model_dump(mode="json", exclude_defaults=True))
    if isinstance(value, (list, tuple)):
        return [canonical(v) for v in value]
    if isinstance(value, (dict, Mapping)):
        return {str(k): canonical(v) for k, v in sorted(value.items())}
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a key can't hold the non-finite number {value!r}")
        return int(value) if value.is_integer() else value
    raise TypeError(f"a key can't hold a {type(value).__name__}: {value!r}")


def content_key(value: Any, length: int = 16) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of the canonical JSON of ``value``."""
    text = json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def derive_seed(*parts: Any) -> int:
    """Return a 63-bit seed that depends on all ``parts``, e.g. (seed, cell, sample, index)."""
    return int(content_key(list(parts), 16), 16) >> 1


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hex digits, reading it in blocks."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
