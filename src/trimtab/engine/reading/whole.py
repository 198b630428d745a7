"""Results of a capture on disk, from which they come back as they came: same order, same bits.

Beside ``mean`` and ``norm`` of ``engine.reading.rows`` the file holds ``order`` [R], the row of
each result in the order in which they came, and, if every position was asked for, ``each``
[P, L, W]: the positions of row 0, then those of row 1, and so on. Some of its layers can be read
without the others.

Shapes: R rows, P positions of all rows, L layers, W width of the site.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path

import torch

from trimtab.engine.reading.rows import RowFile, Rows
from trimtab.engine.request import Activations, ActivationsResult, Request, Result

_MOST_ROWS = 2**24
"""Row numbers that float32 holds exactly."""
_BYTES = 4


def save_whole(
    results: Iterable[Result],
    requests: Sequence[Request],
    path: Path,
    about: Mapping[str, str] | None = None,
) -> None:
    """Write ``results`` of ``requests``, reads of the same layers at one site, as they come.

    Raises:
        StoreError: The disk is full, the file can't be written, or a result is missing.
    """
    row_of = {request.key: row for row, request in enumerate(requests)}
    first = _first_positions(requests)
    with ExitStack() as opened:
        file: RowFile | None = None
        for number, result in enumerate(results):
            assert isinstance(result, ActivationsResult)
            if file is None:
                shapes = shapes_of(requests, result.mean_LH.shape[1])
                file = opened.enter_context(RowFile(path, shapes, about=about))
            row = row_of[result.key]
            file.write("mean", row, result.mean_LH)
            file.write("norm", row, result.norm_L)
            file.write("order", number, torch.tensor(float(row)))
            for i, each_LW in enumerate(() if result.each_PLH is None else result.each_PLH):
                file.write("each", first[row] + i, each_LW)
        if file is not None:
            file.finish()


def shapes_of(requests: Sequence[Request], width: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a file of ``requests`` at a site of ``width``."""
    assert len(requests) < _MOST_ROWS
    want = _want(requests[0])
    count, layers = len(requests), len(want.layers)
    shapes: dict[str, tuple[int, ...]] = {"mean": (count, layers, width), "norm": (count, layers)}
    shapes["order"] = (count,)
    return shapes | ({"each": (_first_positions(requests)[-1], layers, width)} if want.each else {})


def size_of(requests: Sequence[Request], width: int) -> int:
    """Return the bytes of the tensors of such a file."""
    return sum(_BYTES * torch.Size(shape).numel() for shape in shapes_of(requests, width).values())


class LayerRows:
    """Reads some layers of a file of activations.

    Attributes:
        layers: 0-based blocks that are read.
    """

    def __init__(self, path: Path, in_file: Sequence[int], layers: Sequence[int]) -> None:
        """Open ``path``, which holds the blocks ``in_file``; raise StoreError if it is damaged."""
        self.layers = tuple(layers)
        self._rows = Rows(path)
        self._at = [list(in_file).index(layer) for layer in layers]
        self._is_all = list(in_file) == list(layers)

    @property
    def about(self) -> dict[str, str]:
        """Metadata of the file."""
        return self._rows.about

    def read(self, name: str, layer: int) -> torch.Tensor:
        """Return ``mean`` [R, W] or ``norm`` [R] of one layer."""
        return self._rows.read(name, slice(None), self._at[self.layers.index(layer)])

    def norms(self) -> torch.Tensor:
        """Return ``norm`` [R, L] of all layers that are read."""
        return self._rows.read("norm", slice(None))[:, self._at]

    @property
    def serves(self) -> bool:
        """Whether a capture of these layers alone would have given the same bits.

        A row that is not finite at some layer is computed again by itself, in another batch.
        """
        return self._is_all or bool(torch.isfinite(self._rows.read("norm", slice(None))).all())

    def results(self, requests: Sequence[Request]) -> Iterator[ActivationsResult]:
        """Yield what ``save_whole`` was given for ``requests``, in the same order."""
        first = _first_positions(requests)
        want = _want(requests[0])
        for row in self._rows.read("order", slice(None)).int().tolist():
            one = slice(row, row + 1)
            each = self._rows.read("each", slice(first[row], first[row + 1])) if want.each else None
            yield ActivationsResult(
                requests[row].key,
                self._rows.read("mean", one)[0, self._at],
                self._rows.read("norm", one)[0, self._at],
                None if each is None else each[:, self._at],
            )


def _first_positions(requests: Sequence[Request]) -> list[int]:
    """Return the number of each row's first position, and of all positions."""
    counts = (want.stop - want.start for want in map(_want, requests))
    return [0, *accumulate(counts)]


def _want(request: Request) -> Activations:
    assert isinstance(request.want, Activations)
    return request.want
