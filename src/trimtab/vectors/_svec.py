"""``.svec`` files of AISteer360: JSON with one or more directions per block."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from trimtab.core.errors import DataError
from trimtab.vectors._bounds import MAX_NUMBERS, block_number, read_object, require_file, shown
from trimtab.vectors.file import Vectors, checked


def read_svec(path: Path, _block: int | None) -> Vectors:
    """Return the directions ``{"<l>": [[H]]}``, key l for the output of 0-based block l.

    Raises:
        DataError: It is missing or malformed, or holds directions per token, per head or in a
            plane ([K, D] with K above 1), which are no vectors to be added everywhere.
    """
    require_file(path)
    try:
        data = read_object(path.read_bytes())
        about = {"model_type": data.get("model_type"), **data.get("trimtab", {})}
        rows = {_block_of(name): _rows(stored) for name, stored in data["directions"].items()}
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{path} is no .svec file, JSON with `directions` by block: "
            f"{type(error).__name__}: {reason}."
        ) from None
    for block, rows_KD in rows.items():
        if rows_KD.ndim != 2 or len(rows_KD) != 1 or data.get("num_heads") is not None:
            raise DataError(
                f"{path}: block {block} holds directions of shape {list(rows_KD.shape)}"
                f"{' of attention heads' if data.get('num_heads') is not None else ''}; only one "
                "direction that is added at all positions can be brought in."
            )
    return checked({block: rows_KD[0] for block, rows_KD in rows.items()}, about, str(path))


def _block_of(name: str) -> int:
    block = block_number(name)
    if block is None:
        raise ValueError(f"{shown(name)} is no number of a block")
    return block


def _rows(stored: Any) -> torch.Tensor:
    """Return directions [K, D] in float64, which holds every number that JSON writes."""
    if not isinstance(stored, list) or len(stored) > MAX_NUMBERS:
        raise TypeError(f"{shown(stored)} is no list of numbers")
    rows = torch.tensor(stored, dtype=torch.float64)
    return rows if rows.ndim > 1 else rows[None]


def dump_svec(vectors: Vectors) -> bytes:
    """Return the JSON; what AISteer360 does not read stands under ``trimtab``."""
    stored = {
        "model_type": vectors.about.get("model_type") or vectors.about.get("model") or "unknown",
        "directions": {str(b): [v.tolist()] for b, v in vectors.directions.items()},
        "trimtab": vectors.about,
    }
    return json.dumps(stored).encode()
