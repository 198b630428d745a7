"""Control vectors in GGUF files, as llama.cpp reads them.

Architecture ``controlvector``; tensors ``direction.<l>``, float32 [H], each added to the output of
0-based block l at every position. llama.cpp refuses ``direction.0``, so block 0 can't be steered,
and takes a block that is left out for a zero. It reads no metadata.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import torch
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter

from trimtab.core.errors import DataError, ModelError
from trimtab.models.gguf_header import read_header
from trimtab.vectors.file import Vectors, checked, statement

_ARCH = "controlvector"
_ABOUT = "trimtab.about"
_TENSOR = re.compile(r"direction\.(\d+)")


def read_gguf(path: Path, _block: int | None) -> Vectors:
    """Return the vectors of a control vector file.

    Raises:
        DataError: It is missing or damaged, holds a model or other tensors, or a vector for
            block 0, which llama.cpp refuses.
    """
    if not path.is_file():
        raise DataError(f"The vector file {path} does not exist.")
    try:
        header = read_header(path)
    except ModelError as error:
        raise DataError(error.message, hint=error.hint) from None
    except (MemoryError, OverflowError):
        raise DataError(f"{path} is damaged: a length in its header is absurd.") from None
    arch = header.metadata.get("general.architecture")
    if arch != _ARCH:
        raise DataError(
            f"{path} is a GGUF file of the architecture {arch!r}, not {_ARCH!r}: no vectors, but "
            "probably a model."
        )
    try:
        tensors = GGUFReader(path).tensors
        about = statement(str(header.metadata.get(_ABOUT, "{}")))
    except (ValueError, LookupError, TypeError, OverflowError, MemoryError) as error:
        raise DataError(f"{path} is damaged: {error}.") from None
    directions = {}
    for tensor in tensors:
        match = _TENSOR.fullmatch(tensor.name)
        if match is None or tensor.tensor_type != GGMLQuantizationType.F32:
            raise DataError(
                f"{path}: the tensor {tensor.name!r} ({tensor.tensor_type.name}) is no "
                "direction.<block> in F32, and llama.cpp would refuse the file."
            )
        if int(match[1]) == 0:
            raise DataError(f"{path}: it holds direction.0, for which llama.cpp refuses it.")
        directions[int(match[1])] = torch.from_numpy(tensor.data.copy())
    hint = header.metadata.get(f"{_ARCH}.model_hint")
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
        writer = GGUFWriter(path, _ARCH)
        hint = vectors.about.get("model_type") or vectors.about.get("model") or "unknown"
        writer.add_string(f"{_ARCH}.model_hint", str(hint))
        writer.add_uint32(f"{_ARCH}.layer_count", len(vectors.directions))
        writer.add_string(_ABOUT, json.dumps(vectors.about, sort_keys=True))
        for block, direction in vectors.directions.items():
            writer.add_tensor(f"direction.{block}", direction.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()
