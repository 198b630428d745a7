"""Steering vectors, and trimtab's own file for them.

The file is the one that every fit writes to ``artifacts/<key>/tensors.safetensors``: tensors
``l<block>.direction`` (float32 [H]) and ``l<block>.residual_norm`` (float32 scalar, the mean length
of the residual stream there), and a header ``trimtab`` in JSON, whose key ``index`` says what the
numbers of blocks mean. There is one convention, ``block_output_0based``: vector l is added to the
output of block l, and blocks count from 0.

Shapes: H hidden.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import DataError, NonFiniteError
from trimtab.core.files import replace_file
from trimtab.core.lazy import lazy
from trimtab.vectors._bounds import (
    MAX_BLOCKS,
    MAX_NUMBERS,
    block_number,
    read_object,
    require_file,
    shown,
)

if TYPE_CHECKING:
    import safetensors
    import safetensors.torch as st
    import torch
else:
    safetensors = lazy("safetensors")
    st = lazy("safetensors.torch")
    torch = lazy("torch")

INDEX = "block_output_0based"


@dataclass(frozen=True, eq=False)
class Vectors:
    """At most one vector per block; made by ``checked``.

    Attributes:
        directions: By 0-based block to whose output it is added, float32 [H]; finite, not zero.
        about: Where they come from, JSON types: ``model``, ``num_layers``, ``blocks`` (the name of
            the list of blocks within the model's body), ...
        residual_norms: Mean length of the residual stream after a block, where it is known.
    """

    directions: dict[int, torch.Tensor]
    about: dict[str, Any]
    residual_norms: dict[int, float]

    @property
    def hidden_size(self) -> int:
        """Length H of every vector."""
        return len(next(iter(self.directions.values())))


@dataclass(frozen=True)
class Header:
    """What a file holds, read without a tensor library.

    Attributes:
        blocks: 0-based blocks that have a vector, sorted.
        width: Numbers of a vector.
        about: See ``Vectors``.
    """

    blocks: tuple[int, ...]
    width: int
    about: dict[str, Any]


def checked(
    directions: Mapping[int, torch.Tensor],
    about: dict[str, Any],
    where: str,
    residual_norms: Mapping[int, float] | None = None,
) -> Vectors:
    """Return vectors in float32, without those that are zero.

    Args:
        directions: By 0-based block, [H] in any floating format.
        about: See ``Vectors``.
        where: What messages call their source.
        residual_norms: See ``Vectors``.

    Raises:
        DataError: One is no vector of floating numbers, their lengths differ, a block is negative
            or absurdly high, or all are zero.
        NonFiniteError: One holds NaN, infinity, or what float32 can't.
    """
    kept: dict[int, torch.Tensor] = {}
    for block, direction in sorted(directions.items()):
        if not 0 <= block < MAX_BLOCKS:
            raise DataError(f"{where}: block {block} is not one of 0 to {MAX_BLOCKS - 1}.")
        single = _in_float32(direction, f"{where}: the vector of block {block}")
        if bool(single.any()):
            kept[block] = single
    lengths = sorted({len(direction) for direction in kept.values()})
    if len(lengths) > 1:
        raise DataError(f"{where}: its vectors have different lengths: {lengths}.")
    if not kept:
        raise DataError(f"{where}: there is no vector in it that is not zero.")
    norms = {b: n for b, n in (residual_norms or {}).items() if b in kept}
    return Vectors(kept, {**about, "index": INDEX}, norms)


def read_header(path: Path) -> Header:
    """Return which blocks a file of trimtab's own has vectors for, and what it says of them.

    Raises:
        DataError: It is missing, of another kind, damaged, counts blocks in another way, or holds
            no vectors that are added to a block's output.
    """
    require_file(path)
    try:
        with safetensors.safe_open(path, "np") as file:
            names, metadata = sorted(file.keys()), file.metadata() or {}
            shapes = {n: file.get_slice(n).get_shape() for n in names if _is_direction(n)}
        about = read_object(metadata["trimtab"]) if "trimtab" in metadata else {}
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise DataError(
            f"{path} is no vector file of trimtab: {error}.",
            hint="Bring it in first: trimtab vectors import FILE --format ... --out FILE.",
        ) from None
    if about.get("index") != INDEX:
        raise DataError(
            f"{path} does not say that its vectors count blocks as {INDEX}; it says "
            f"{shown(about.get('index'))}.",
            hint="Files that trimtab writes do: a fit's tensors.safetensors, `vectors import`.",
        )
    found = (block_number(name[1:-10]) for name in names if _is_direction(name))
    blocks = tuple(sorted(block for block in found if block is not None))
    if not blocks:
        raise DataError(
            f"{path} holds no vectors that are added to a block's output (l<block>.direction); "
            f"it holds {', '.join(names)[:200] or 'nothing'}."
        )
    width = next((shape[-1] for shape in shapes.values() if shape), 0)
    return Header(blocks, width, about)


def read(path: Path) -> Vectors:
    """Return the vectors of a file of trimtab's own; raise as ``read_header`` and ``checked``."""
    header = read_header(path)
    tensors = st.load_file(path)
    norms = {
        block: _norm(tensors[name], f"{path}: {name}")
        for block in header.blocks
        if (name := f"l{block}.residual_norm") in tensors
    }
    directions = {block: tensors[f"l{block}.direction"] for block in header.blocks}
    return checked(directions, header.about, str(path), norms)


def _is_direction(name: str) -> bool:
    return name.startswith("l") and name.endswith(".direction")


def _norm(stored: torch.Tensor, what: str) -> float:
    """Return a mean length; raise DataError if it is none."""
    if stored.numel() != 1 or not stored.is_floating_point():
        raise DataError(f"{what} is {stored.dtype} of shape {list(stored.shape)}, not one number.")
    length = float(stored)
    if not 0 < length < math.inf:
        raise DataError(f"{what} is {length}, which is no length.")
    return length


def _in_float32(stored: torch.Tensor, what: str) -> torch.Tensor:
    """Return a vector as it is added, on the CPU; it must be one in float32, too."""
    usual = stored.layout == torch.strided and not stored.is_meta
    if stored.ndim != 1 or not stored.is_floating_point() or not usual:
        kind = "without data" if stored.is_meta else str(stored.layout).removeprefix("torch.")
        raise DataError(
            f"{what} is {stored.dtype} of shape {list(stored.shape)}"
            f"{'' if usual else f' ({kind})'}, not a vector of floating numbers."
        )
    if not 0 < len(stored) <= MAX_NUMBERS:
        raise DataError(f"{what} has {len(stored)} numbers, not 1 to {MAX_NUMBERS}.")
    single = stored.detach().to("cpu", torch.float32).contiguous()
    if not bool(torch.isfinite(single).all()):
        wide = stored.dtype == torch.float64 and bool(torch.isfinite(stored).all())
        raise NonFiniteError(
            f"{what} holds {'what float32 can not' if wide else 'NaN or infinity'}."
        )
    if stored.dtype == torch.float64 and bool(stored.any()) and not bool(single.any()):
        raise NonFiniteError(f"{what} is zero in float32, and is not zero in the file.")
    return single


def dump(vectors: Vectors) -> bytes:
    """Return the bytes of a file of trimtab's own."""
    tensors = {f"l{b}.direction": direction for b, direction in vectors.directions.items()}
    norms = {f"l{b}.residual_norm": torch.tensor(n) for b, n in vectors.residual_norms.items()}
    return _packed({**tensors, **norms}, vectors.about)


def statement(text: str | bytes) -> dict[str, Any]:
    """Return what a file of ours says of itself; raise ValueError if it is no JSON object."""
    try:
        return read_object(text)
    except ValueError as error:
        raise ValueError(f"what trimtab says of the vectors can't be read: {error}") from None


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], about: dict[str, Any]) -> None:
    """Write named tensors with what is known of them in the header, whole or not at all."""
    replace_file(path, _packed(tensors, about))


def _packed(tensors: Mapping[str, torch.Tensor], about: dict[str, Any]) -> bytes:
    named = {name: tensor.contiguous() for name, tensor in sorted(tensors.items())}
    return st.save(named, metadata={"trimtab": json.dumps(about, sort_keys=True)})
