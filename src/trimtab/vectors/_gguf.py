"""Control vectors in GGUF files, as llama.cpp reads them.

Architecture ``controlvector``; tensors ``direction.<l>``, float32 [H], each added to the output of
0-based block l at every position. llama.cpp refuses ``direction.0``, so block 0 can't be steered,
and takes a block that is left out for a zero. It reads no metadata.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter

from trimtab.core.errors import DataError, ModelError
from trimtab.models.gguf_header import CONTROL_VECTOR, read_header
from trimtab.vectors._bounds import MAX_BLOCKS, MAX_NUMBERS, block_number, require_file, shown
from trimtab.vectors.file import Vectors, checked, statement

_ABOUT = "trimtab.about"


def read_gguf(path: Path, _block: int | None) -> Vectors:
    """Return the vectors of a control vector file.

    Raises:
        DataError: It is missing or damaged, holds a model or other tensors, or a vector for
            block 0, which llama.cpp refuses.
    """
    require_file(path)
    try:
        header = read_header(path)
    except ModelError as error:
        raise DataError(error.message, hint=error.hint) from None
    arch = header.metadata.get("general.architecture")
    if arch != CONTROL_VECTOR:
        raise DataError(
            f"{path} is a GGUF file of the architecture {shown(arch)}, not {CONTROL_VECTOR!r}: no "
            "vectors, but probably a model."
        )
    try:
        about = statement(str(header.metadata.get(_ABOUT, "{}")))
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}.") from None
    directions = {}
    for name, (shape, kind, start) in header.tensors.items():
        block = block_number(name.removeprefix("direction.")) if "." in name else None
        if block is None or kind != GGMLQuantizationType.F32:
            raise DataError(
                f"{path}: the tensor {shown(name)} ({kind.name}) is no direction.<block> in F32, "
                "and llama.cpp would refuse the file."
            )
        if block == 0:
            raise DataError(f"{path}: it holds direction.0, for which llama.cpp refuses it.")
        if len(shape) != 1 or shape[0] > MAX_NUMBERS or len(header.tensors) > MAX_BLOCKS:
            raise DataError(f"{path}: {name} has the shape {list(shape)}, and is no vector.")
        directions[block] = torch.from_numpy(np.fromfile(path, "<f4", shape[0], offset=start))
    hint = header.metadata.get(f"{CONTROL_VECTOR}.model_hint")
    return checked(directions, {"model": hint, **about}, str(path))


def dump_gguf(vectors: Vectors) -> bytes:
    """Return a control vector file; raise DataError for block 0, which llama.cpp can't steer."""
    if 0 in vectors.directions:
        raise DataError(
            "There is a vector for block 0, and llama.cpp can steer the output of no block before "
            "block 1.",
            hint="Choose another layer, or another format.",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.gguf"
        writer = GGUFWriter(path, CONTROL_VECTOR)
        hint = vectors.about.get("model_type") or vectors.about.get("model") or "unknown"
        writer.add_string(f"{CONTROL_VECTOR}.model_hint", str(hint))
        writer.add_uint32(f"{CONTROL_VECTOR}.layer_count", len(vectors.directions))
        writer.add_string(_ABOUT, json.dumps(vectors.about, sort_keys=True))
        for block, direction in vectors.directions.items():
            writer.add_tensor(f"direction.{block}", direction.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()
