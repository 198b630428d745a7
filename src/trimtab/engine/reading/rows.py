"""Activations on disk: a safetensors file of known size, filled row by row in constant memory.

The file is written under another name and renamed when every row is there, so a half-written one is
never taken for whole. A capture that was killed is done again from its start: floating-point sums
depend on the shape of a batch, and rows of two attempts would differ in their last bits.

Shapes: R rows, L layers, W width of the site.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import safetensors
import torch

from trimtab.core.errors import NonFiniteError, StoreError
from trimtab.core.fences import Fence, unfenced
from trimtab.core.files import make_dir, sync_dir, write_all, write_error
from trimtab.core.temporary import temporary
from trimtab.engine.request import ActivationsResult, Request, Result

_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}
_ALIGN = 8


def save_activations(
    results: Iterable[Result],
    requests: Sequence[Request],
    path: Path,
    *,
    dtype: torch.dtype = torch.float32,
    about: Mapping[str, str] | None = None,
    fence: Fence = unfenced,
) -> None:
    """Write results to ``path`` as they come: tensors ``mean`` [R, L, W] and ``norm`` [R, L].

    ``save_activations(engine.run(requests), requests, path)`` holds one batch in memory at a time.

    Args:
        results: Results of ``requests``, in any order.
        requests: Reads of the same number of layers at one site; row i is that of request i.
        path: The file; what is there already is replaced when the last row is written.
        dtype: Of ``mean``; ``norm`` is float32.
        about: Metadata of the file.
        fence: Called before what is there already is replaced.

    Raises:
        NonFiniteError: A row that was finite is not in ``dtype``. Rows that are not finite
            themselves are written as they are: the engine passes them on only if it was asked to.
        StoreError: The disk is full, or the file can't be written.
    """
    row_of = {request.key: row for row, request in enumerate(requests)}
    file: RowFile | None = None
    try:
        for result in results:
            assert isinstance(result, ActivationsResult)
            mean_LW, norm_L = result.mean_LH.to(dtype), result.norm_L
            if file is None:
                shapes = {"mean": (len(requests), *mean_LW.shape)}
                file = RowFile(path, shapes | {"norm": (len(requests), len(norm_L))}, dtype, about)
            if bool(torch.isfinite(norm_L).all()) and not bool(torch.isfinite(mean_LW).all()):
                raise NonFiniteError(
                    f"The activations of row {result.key!r} are finite, but not in {dtype}.",
                    hint="Keep them in float32.",
                )
            file.write("mean", row_of[result.key], mean_LW)
            file.write("norm", row_of[result.key], norm_L)
        if file is not None:
            fence()
            file.finish()
    finally:
        if file is not None:
            file.close()


class RowFile:
    """Writes a safetensors file of preallocated size, a row at a time, in any order."""

    def __init__(
        self,
        path: Path,
        shapes: Mapping[str, tuple[int, ...]],
        dtype: torch.dtype = torch.float32,
        about: Mapping[str, str] | None = None,
    ) -> None:
        """Reserve the space.

        Args:
            path: Where the finished file will be.
            shapes: Shape of each tensor; the first dimension counts rows.
            dtype: Of the first tensor; the others are float32.
            about: Metadata of the file.

        Raises:
            StoreError: There is not enough space, or the folder can't be written.
        """
        self.path = path
        self._part = temporary(path)
        dtypes = dict.fromkeys(shapes, torch.float32) | {next(iter(shapes)): dtype}
        self._at: dict[str, tuple[int, int, torch.dtype]] = {}
        self._owed = {name: set(range(shape[0])) for name, shape in shapes.items()}
        header: dict[str, Any] = {"__metadata__": dict(about)} if about else {}
        size = 0
        for name, shape in shapes.items():
            bytes_per_row = dtypes[name].itemsize * torch.Size(shape[1:]).numel()
            end = size + shape[0] * bytes_per_row
            header[name] = {
                "dtype": _NAMES[dtypes[name]],
                "shape": list(shape),
                "data_offsets": [size, end],
            }
            self._at[name] = (size, bytes_per_row, dtypes[name])
            size = end
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % _ALIGN)
        self._start = 8 + len(text)
        self._fd = self._reserve(len(text).to_bytes(8, "little") + text, self._start + size)

    def _reserve(self, head: bytes, size: int) -> int:
        try:
            make_dir(self.path.parent)
            fd = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, size)
            else:
                os.ftruncate(fd, size)
            write_all(fd, head)
        except OSError as error:
            raise write_error(self._part, error, size) from error
        return fd

    def write(self, name: str, row: int, value: torch.Tensor) -> None:
        """Write row ``row`` of tensor ``name``; the dtype must be the tensor's."""
        start, size, dtype = self._at[name]
        assert value.dtype == dtype and value.numel() * dtype.itemsize == size, (name, value.shape)
        data = value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        try:
            os.lseek(self._fd, self._start + start + row * size, os.SEEK_SET)
            write_all(self._fd, data)
        except OSError as error:
            raise write_error(self._part, error, size) from error
        self._owed[name].discard(row)

    def finish(self) -> None:
        """Make the file whole; raise StoreError if a row is missing."""
        missing = {name: min(rows) for name, rows in self._owed.items() if rows}
        if missing:
            name, row = next(iter(missing.items()))
            raise StoreError(f"Row {row} of {name!r} was not written, so {self.path} was not kept.")
        try:
            os.fsync(self._fd)
            os.replace(self._part, self.path)
            sync_dir(self.path.parent)
        except OSError as error:
            raise write_error(self.path, error, 0) from error

    def close(self) -> None:
        """Close the file, and remove it unless it was finished."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._part.unlink(missing_ok=True)

    def __enter__(self) -> RowFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Rows:
    """Reads such a file through a memory map, a few rows at a time."""

    def __init__(self, path: Path) -> None:
        """Open ``path``; raise StoreError if it is damaged."""
        self._file: Any
        try:
            self._file = safetensors.safe_open(path, "pt")
        except (OSError, safetensors.SafetensorError) as error:
            raise StoreError(
                f"The activations {path} can't be read: {error}.",
                hint="Delete the file and run the fit again.",
            ) from None
        self._slices = {name: self._file.get_slice(name) for name in self._file.keys()}  # noqa: SIM118

    @property
    def about(self) -> dict[str, str]:
        """Metadata of the file."""
        return dict(self._file.metadata() or {})

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor; the first dimension counts rows."""
        return tuple(self._slices[name].get_shape())

    def read(self, name: str, rows: slice, *rest: slice | int) -> torch.Tensor:
        """Return ``tensor[rows, *rest]``, on the CPU; nothing else is read from the disk."""
        tensor: torch.Tensor = self._slices[name][(rows, *rest)]
        return tensor
