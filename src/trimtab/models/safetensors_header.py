"""What the header of a safetensors file claims, compared with itself and with the file. No torch.

Format: https://huggingface.co/docs/safetensors: eight bytes with the header's length, JSON, data.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from trimtab.core.errors import ModelError
from trimtab.core.files import open_regular

_MAX_HEADER = 100_000_000
"""Bytes; the library reads no longer ones either."""

_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
    "C64": 64,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}


def count_parameters(path: Path) -> int:
    """Return how many numbers a file holds.

    Raises:
        ModelError: It is no safetensors file, or its header disagrees with itself or the size.
    """
    try:
        return _count(path)
    except (struct.error, ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"{path} is not a whole safetensors file: {reason}.", hint="Fetch it again."
        ) from error


def _count(path: Path) -> int:
    size = path.stat().st_size
    with open_regular(path) as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(size, _MAX_HEADER):
            raise ValueError(f"a header of {length} bytes in a file of {size}")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    header.pop("__metadata__", None)
    spans = sorted((*_span(name, entry), name) for name, entry in header.items())
    end = 0
    for start, stop, name in spans:
        if start != end:
            raise ValueError(f"{name[:80]!r} begins at byte {start}, where {end} is the next")
        end = stop
    if size != 8 + length + end:
        raise ValueError(f"{size} bytes where its header says {8 + length + end}")
    return sum(math.prod(entry["shape"]) for entry in header.values())


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Return the bytes of a tensor, if they are as many as its shape and number format need."""
    start, stop = entry["data_offsets"]
    shape, bits = entry["shape"], _BITS.get(entry["dtype"])
    if not all(type(n) is int and n >= 0 for n in (start, stop, *shape)):
        raise ValueError(f"{name[:80]!r} has a size that is no whole number")
    if bits is not None and 8 * (stop - start) != math.prod(shape) * bits:
        raise ValueError(f"{name[:80]!r} has {stop - start} bytes for the shape {shape[:8]}")
    return start, stop
