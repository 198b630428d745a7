"""``.svec`` files of AISteer360: JSON with one or more directions per block."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from trimtab.core.errors import DataError
from trimtab.vectors.file import Vectors, checked


def read_svec(path: Path, _block: int | None) -> Vectors:
    """Return the directions ``{"<l>": [[H]]}``, key l for the output of 0-based block l.

    Raises:
        DataError: It is missing or malformed, or holds directions per token, per head or in a
            plane ([K, D] with K above 1), which are no vectors to be added everywhere.
    """
    if not path.is_file():
        raise DataError(f"The vector file {path} does not exist.")
    try:
        data = json.loads(path.read_bytes())
        directions = {
            int(block): torch.atleast_2d(torch.tensor(rows, dtype=torch.float32))
            for block, rows in data["directions"].items()
        }
        about = {"model_type": data.get("model_type"), **data.get("trimtab", {})}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is no .svec file, JSON with `directions` by block: "
            f"{type(error).__name__}: {error}."
        ) from None
    for block, rows_KD in directions.items():
        if rows_KD.ndim != 2 or len(rows_KD) != 1 or data.get("num_heads") is not None:
            raise DataError(
                f"{path}: block {block} holds directions of shape {list(rows_KD.shape)}"
                f"{' of attention heads' if data.get('num_heads') is not None else ''}; only one "
                "direction that is added at all positions can be brought in."
            )
    return checked({block: rows[0] for block, rows in directions.items()}, about, str(path))


def dump_svec(vectors: Vectors) -> bytes:
    """Return the JSON; what AISteer360 does not read stands under ``trimtab``."""
    stored = {
        "model_type": vectors.about.get("model_type") or vectors.about.get("model") or "unknown",
        "directions": {str(b): [v.tolist()] for b, v in vectors.directions.items()},
        "trimtab": vectors.about,
    }
    return json.dumps(stored).encode()
