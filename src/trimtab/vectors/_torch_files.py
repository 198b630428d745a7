"""Vectors in PyTorch's ``.pt`` files: lm-eval, hotwire-vllm and persona vectors.

A ``.pt`` file is a zip archive. Ours hold a member ``trimtab.json`` more, which says how rows are
numbered; ``torch.load`` passes over it. Reading is ``weights_only``: a pickle that would run code
is refused.

Shapes: L blocks, H hidden.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trimtab.core.errors import DataError
from trimtab.vectors._bounds import MAX_BLOCKS, block_number, require_file, shown
from trimtab.vectors.file import Vectors, checked, statement

_STATEMENT = "trimtab.json"
_HOOKPOINT = re.compile(r"((?:\w+\.){0,20}(?:layers|h|blocks|block))\.([0-9]+)")
_MAX_UNPACKED = 1 << 30
"""Bytes of an archive's members together."""


class UnknownBlock(DataError):
    """A file holds one vector, and nobody says of which block."""


def read_lm_eval(path: Path, _block: int | None) -> Vectors:
    """Return what ``--model steered`` of lm-eval adds: coefficient times vector, by hookpoint.

    Raises:
        DataError: It does more than add to blocks' outputs, or is not of this form.
    """
    stored, about = _load(path, "lm-eval")
    if not isinstance(stored, dict) or not all(isinstance(v, dict) for v in stored.values()):
        raise _wrong(path, "a dictionary of hookpoints", stored)
    directions: dict[int, torch.Tensor] = {}
    names = set()
    for hookpoint, entry in stored.items():
        match = _HOOKPOINT.fullmatch(hookpoint) if isinstance(hookpoint, str) else None
        block = None if match is None else block_number(match[2])
        if match is None or block is None:
            raise DataError(
                f"{path}: the hookpoint {shown(hookpoint)} is not the output of a block "
                "(such as 'layers.13'), and no other edits can be brought in."
            )
        vector, action = entry.get("steering_vector"), entry.get("action")
        other = [key for key in ("bias", "head_index") if entry.get(key) is not None]
        if action != "add" or other or not isinstance(vector, torch.Tensor):
            raise DataError(
                f"{path}: at {shown(hookpoint)} stands action = {shown(action)}"
                f"{''.join(f' with {key}' for key in other)}; only a vector that is added to all "
                "of a block's output can be brought in."
            )
        names.add(match[1])
        where = f"{path}: at {shown(hookpoint)}"
        directions[block] = _multiplied(vector, entry.get("steering_coefficient", 1.0), where)
    if len(names) > 1:
        raise DataError(f"{path}: its hookpoints are of different lists: {shown(sorted(names))}.")
    return checked(directions, {**about, "blocks": next(iter(names), None)}, str(path))


def _multiplied(vector: torch.Tensor, coefficient: object, where: str) -> torch.Tensor:
    """Return coefficient times vector; raise DataError unless the coefficient is one number."""
    if isinstance(coefficient, torch.Tensor) and coefficient.numel() == 1:
        dense = coefficient.layout == torch.strided and not coefficient.is_meta
        coefficient = coefficient.item() if dense else coefficient
    scale = math.nan
    if isinstance(coefficient, (int, float)) and not isinstance(coefficient, bool):
        scale = float(coefficient) if abs(coefficient) < 1e38 else math.nan
    if math.isnan(scale):
        raise DataError(
            f"{where} stands steering_coefficient = {shown(coefficient)}, which is no number that "
            "a vector can be multiplied with.",
            hint="Give it one finite number, or leave it out, which is 1.",
        )
    if scale == 1.0 or vector.layout != torch.strided or vector.is_meta:
        return vector
    return (vector if vector.dtype == torch.float64 else vector.float()) * scale


def dump_lm_eval(vectors: Vectors) -> bytes:
    """Return ``{"layers.<block>": {...}}``; ``about["blocks"]`` is the name before the number."""
    name = vectors.about.get("blocks") or "layers"
    stored = {
        f"{name}.{block}": {
            "steering_vector": direction,
            "steering_coefficient": 1.0,
            "action": "add",
            "bias": None,
            "head_index": None,
        }
        for block, direction in vectors.directions.items()
    }
    return _dump(stored, "lm-eval", vectors)


def read_hotwire(path: Path, block: int | None) -> Vectors:
    """Return the rows of a tensor [L, H], row l for block l; one vector [H] is of ``block``."""
    stored, about = _load(path, "hotwire")
    if isinstance(stored, dict):
        # hotwire takes the first tensor of a dictionary, too
        stored = next((v for v in stored.values() if isinstance(v, torch.Tensor)), stored)
    if not isinstance(stored, torch.Tensor) or stored.ndim not in (1, 2):
        raise _wrong(path, "a tensor [blocks, hidden] or [hidden]", stored)
    single = stored.ndim == 1 or len(stored) == 1
    if single and about.get("num_layers") != 1:
        if block is None:
            raise UnknownBlock(
                f"{path} holds one vector and does not say of which block.",
                hint="Give the 0-based block: --layer 15.",
            )
        return checked({block: stored if stored.ndim == 1 else stored[0]}, about, str(path))
    rows = _by_row(stored, path)
    return checked(dict(enumerate(rows)), {"num_layers": len(rows), **about}, str(path))


def dump_hotwire(vectors: Vectors) -> bytes:
    """Return a tensor [L, H]: row l is added to the output of block l, and is zero if none is."""
    return _dump(_rows(vectors, 0), "hotwire", vectors)


def read_persona(path: Path, _block: int | None) -> Vectors:
    """Return the rows of a tensor [L + 1, H]: row i is of the output of block i - 1.

    Row 0 is of the embedding, which no block puts out: it is left out. Row L was read after the
    final norm, and its users add it to the output of block L - 1; so it is kept as that.
    """
    stored, about = _load(path, "persona")
    if not isinstance(stored, torch.Tensor) or stored.ndim != 2 or len(stored) < 2:
        raise _wrong(path, "a tensor [blocks + 1, hidden]", stored)
    embedding, *rows = _by_row(stored, path)
    made = checked(dict(enumerate(rows)), {"num_layers": len(rows), **about}, str(path))
    left_out = bool(embedding.float().any())
    return replace(made, about={**made.about, "embedding_row_left_out": left_out})


def dump_persona(vectors: Vectors) -> bytes:
    """Return a tensor [L + 1, H]: row l + 1 is added to the output of block l; row 0 is zero."""
    return _dump(_rows(vectors, 1), "persona", vectors)


def _by_row(stored: torch.Tensor, path: Path) -> list[torch.Tensor]:
    """Return the rows of a tensor that has data, and not more rows than any model has blocks."""
    if stored.layout != torch.strided or stored.is_meta or len(stored) > MAX_BLOCKS + 1:
        raise _wrong(path, "a dense tensor with a row for each block", stored)
    return list(stored)


def _rows(vectors: Vectors, first: int) -> torch.Tensor:
    """Return a tensor with the vector of block l in row ``first + l``."""
    count = vectors.about.get("num_layers")
    if not isinstance(count, int) or count > MAX_BLOCKS:
        raise DataError(
            "This format has a row for every block, and the vectors do not say how many blocks "
            "their model has.",
            hint="Give the number: --num-layers 30.",
        )
    last = max(vectors.directions)
    if last >= count:
        raise DataError(f"There is a vector for block {last}, and {count} blocks from 0 on.")
    rows = torch.zeros(first + count, vectors.hidden_size)
    for block, direction in vectors.directions.items():
        rows[first + block] = direction
    return rows


def _dump(stored: Any, form: str, vectors: Vectors) -> bytes:
    buffer = io.BytesIO()
    torch.save(stored, buffer)
    with zipfile.ZipFile(buffer, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        said = {**vectors.about, "format": form}
        archive.writestr(f"{root}/{_STATEMENT}", json.dumps(said, sort_keys=True))
    return buffer.getvalue()


_MALFORMED = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OSError,
    ArithmeticError,
    MemoryError,
    AssertionError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What torch and zipfile raise at damaged bytes; found by damaging some."""


def _load(path: Path, form: str) -> tuple[Any, dict[str, Any]]:
    """Return what a file holds, and what it says of itself if trimtab wrote it."""
    require_file(path)
    stored, about = read_pickle(path)
    said = about.pop("format", form)
    if said != form:
        raise DataError(f"{path} was written in the format {shown(said)}, not {form!r}.")
    return stored, about


def read_pickle(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return the tensors of a ``.pt`` file, and what trimtab says of them if it wrote the file.

    Raises:
        DataError: It is damaged, or holds something else, which might run code.
    """
    about = _read(path, lambda: _statement(path))
    stored = _read(path, lambda: torch.load(path, map_location="cpu", weights_only=True))
    return stored, about


def _statement(path: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(path):
        return {}  # the form of PyTorch before 1.6
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > _MAX_UNPACKED:
            raise ValueError("its members are too large for vectors")
        names = [name for name in archive.namelist() if name.endswith(f"/{_STATEMENT}")]
        return statement(archive.read(names[0])) if names else {}


def _read(path: Path, reading: Callable[[], Any]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it then refuses anyway
            return reading()
    except _MALFORMED as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")[:200]
        raise DataError(
            f"{path} can't be read as a .pt file of tensors alone: {reason}.",
            hint="Nothing else of a pickle is opened, because that can run code. Save it again as "
            "plain tensors and dictionaries where you trust it.",
        ) from None


def _wrong(path: Path, wanted: str, found: Any) -> DataError:
    what = type(found).__name__
    if isinstance(found, torch.Tensor):
        kind = str(found.layout).removeprefix("torch.").replace("strided", "")
        what = f"a tensor of shape {list(found.shape)} {'without data' if found.is_meta else kind}"
    elif isinstance(found, Mapping):
        what = f"a dictionary with {', '.join(map(shown, list(found)[:4])) or 'nothing in it'}"
    return DataError(f"{path} holds {what.strip()}; this format is {wanted}.")
