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
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import DataError, NonFiniteError
from trimtab.core.files import replace_file
from trimtab.core.lazy import lazy

if TYPE_CHECKING:
    import safetensors
    import safetensors.torch as st
    import torch
else:
    safetensors = lazy("safetensors")
    st = lazy("safetensors.torch")
    torch = lazy("torch")

INDEX = "block_output_0based"
_DIRECTION = re.compile(r"l(\d+)\.direction")


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
        about: See ``Vectors``.
    """

    blocks: tuple[int, ...]
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
        DataError: One is no vector of floating numbers, their lengths differ, a block is negative,
            or all are zero.
        NonFiniteError: One holds NaN or infinity.
    """
    kept: dict[int, torch.Tensor] = {}
    for block, direction in sorted(directions.items()):
        if block < 0:
            raise DataError(f"{where}: block {block} is below 0, the first.")
        if direction.ndim != 1 or not direction.is_floating_point():
            raise DataError(
                f"{where}: what it holds for block {block} is {direction.dtype} of shape "
                f"{list(direction.shape)}, not a vector of floating numbers."
            )
        if not bool(torch.isfinite(direction).all()):
            raise NonFiniteError(f"{where}: the vector of block {block} holds NaN or infinity.")
        if bool(direction.any()):
            kept[block] = direction.detach().to("cpu", torch.float32).contiguous()
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
    if not path.is_file():
        raise DataError(f"The vector file {path} does not exist.")
    try:
        with safetensors.safe_open(path, "np") as file:
            names, metadata = sorted(file.keys()), file.metadata() or {}
        about = json.loads(metadata.get("trimtab", "null"))
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise DataError(
            f"{path} is no vector file of trimtab: {error}.",
            hint="Bring it in first: trimtab vectors import FILE --format ... --out FILE.",
        ) from None
    if not isinstance(about, dict) or about.get("index") != INDEX:
        said = about.get("index") if isinstance(about, dict) else None
        raise DataError(
            f"{path} does not say that its vectors count blocks as {INDEX}; it says {said!r}.",
            hint="Files that trimtab writes do: a fit's tensors.safetensors, `vectors import`.",
        )
    found = filter(None, map(_DIRECTION.fullmatch, names))
    blocks = tuple(sorted(int(match[1]) for match in found))
    if not blocks:
        raise DataError(
            f"{path} holds no vectors that are added to a block's output (l<block>.direction); "
            f"it holds {', '.join(names) or 'nothing'}."
        )
    return Header(blocks, about)


def read(path: Path) -> Vectors:
    """Return the vectors of a file of trimtab's own; raise as ``read_header`` and ``checked``."""
    header = read_header(path)
    tensors = st.load_file(path)
    norms = {
        block: float(tensors[name])
        for block in header.blocks
        if (name := f"l{block}.residual_norm") in tensors
    }
    directions = {block: tensors[f"l{block}.direction"] for block in header.blocks}
    return checked(directions, header.about, str(path), norms)


def dump(vectors: Vectors) -> bytes:
    """Return the bytes of a file of trimtab's own."""
    tensors = {f"l{b}.direction": direction for b, direction in vectors.directions.items()}
    norms = {f"l{b}.residual_norm": torch.tensor(n) for b, n in vectors.residual_norms.items()}
    return _packed({**tensors, **norms}, vectors.about)


def statement(text: str | bytes) -> dict[str, Any]:
    """Return what a file of ours says of itself; raise ValueError if it is no JSON object."""
    said = json.loads(text)
    if not isinstance(said, dict):
        raise ValueError("what trimtab says of the vectors is no JSON object")
    return said


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], about: dict[str, Any]) -> None:
    """Write named tensors with what is known of them in the header, whole or not at all."""
    replace_file(path, _packed(tensors, about))


def _packed(tensors: Mapping[str, torch.Tensor], about: dict[str, Any]) -> bytes:
    named = {name: tensor.contiguous() for name, tensor in sorted(tensors.items())}
    return st.save(named, metadata={"trimtab": json.dumps(about, sort_keys=True)})
