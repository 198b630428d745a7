"""Activations of contrast pairs: read in one pass, kept on disk, read back a layer at a time.

Shapes: N pairs that are kept, L layers, H hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trimtab.core.errors import DataError
from trimtab.core.keys import content_key
from trimtab.core.lazy import lazy
from trimtab.core.needs import Input, Pairs
from trimtab.core.types import ContrastPair
from trimtab.steering.captures.reading import on_disk
from trimtab.steering.fitted import FitContext
from trimtab.steering.room import require_room

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
    from trimtab.engine.reading import whole
    from trimtab.models import lowrank
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")
    whole = lazy("trimtab.engine.reading.whole")

Read = Literal["answer_mean", "last", "letter"]


@dataclass(frozen=True, eq=False)
class PairRows:
    """Activations of both answers of each pair, on disk.

    Attributes:
        pairs: The pairs whose activations are finite, in the order given.
        dropped: Ids of the others.
        layers: 0-based blocks that were read.
    """

    pairs: list[ContrastPair]
    dropped: list[str]
    layers: tuple[int, ...]
    _file: whole.LayerRows
    _kept_N: torch.Tensor

    @property
    def questions(self) -> list[str]:
        """The question of each pair."""
        return [pair.question_id for pair in self.pairs]

    def answers(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return positive and negative activations [N, H] of one layer, in float64."""
        mean_RH = self._file.read("mean", layer)
        return mean_RH[0::2][self._kept_N].double(), mean_RH[1::2][self._kept_N].double()

    def residual_norm(self, layer: int) -> float:
        """Return the mean norm of the activations that were read at a layer."""
        norm_R = self._file.read("norm", layer).double()
        both_N2 = torch.stack([norm_R[0::2], norm_R[1::2]], dim=1)[self._kept_N]
        return float(both_N2.mean())


def pair_inputs(*, select: bool = False) -> dict[str, Input]:
    """Return the inputs of a fit on contrast pairs; with ``select`` those of that split, too."""
    return {"pairs": Pairs("fit"), **({"select_pairs": Pairs("select")} if select else {})}


def require_two(pairs: Sequence[ContrastPair]) -> None:
    """Raise DataError for fewer than two pairs: one has no spread and no reliability."""
    if len(pairs) < 2:
        raise DataError(f"A fit needs at least 2 contrast pairs, there are {len(pairs)}.")


@contextmanager
def read_pairs(
    context: FitContext,
    pairs: Sequence[ContrastPair],
    layers: tuple[int, ...],
    read: Read,
    *,
    keep_as: str | None = None,
    drop_nonfinite: bool = False,
    adapter: lowrank.Adapter | None = None,
) -> Iterator[PairRows]:
    """Read every pair's two answers at ``layers`` in one pass; yield them, on disk.

    Args:
        context: The model and how questions become prompts.
        pairs: At least 2.
        layers: 0-based blocks, sorted.
        read: ``answer_mean``, ``last`` or ``letter``, see the intervention ``caa``.
        keep_as: Name of the file in ``context.folder`` that stays, and that is used again if it is
            there whole; None removes what was written.
        drop_nonfinite: Leave out pairs with NaN or infinity in an answer, in place of an error.
        adapter: Read the model with it; its content must not change.

    Raises:
        DataError: There are fewer than 2 pairs (that are finite), an answer is empty, or a pair is
            longer than the model has positions.
        NonFiniteError: Names the first layer, row and position that is NaN or infinite.
    """
    require_two(pairs)
    path = _file_of(context.folder, keep_as)
    about = {
        "tensors": "mean [2 * pairs, layers, hidden]: positive and negative answers in turns",
        "index": "block_output_0based",
        "layers": ",".join(map(str, layers)),
        "read": read,
        "key": content_key([context.engine.identity, context.rendering, list(pairs)]),
        "allow_nonfinite": str(drop_nonfinite),
        **({} if adapter is None else {"adapter": str(adapter.identity)}),
    }
    if path is not None and path.is_file():
        file = whole.LayerRows(path, layers, layers)
        if file.about == about:
            yield _finite(file, pairs, layers)
            return
    requests = [
        request
        for pair in pairs
        for request in _requests(context, pair, layers, read, drop_nonfinite)
    ]
    requests = [replace(request, adapter=adapter) for request in requests]
    asked = [pair.messages[-1].content for pair in pairs for _ in range(2)]
    require_room(context.engine, requests, asked)
    with on_disk(context, requests, described(context, pairs, read), path, about) as file:
        yield _finite(file, pairs, layers)


def described(context: FitContext, pairs: Sequence[ContrastPair], read: str) -> dict[str, Any]:
    """Return what tells a capture of ``pairs`` from others, in words that people can read."""
    return {
        "what": "answers of contrast pairs",
        "read": read,
        "rendering": context.rendering,
        "pairs": content_key(list(pairs)),
    }


def _file_of(folder: Path | None, keep_as: str | None) -> Path | None:
    """Return where activations are to stay; None if they are needed only now."""
    return None if folder is None or keep_as is None else folder / f"{keep_as}.safetensors"


def _finite(
    file: whole.LayerRows, pairs: Sequence[ContrastPair], layers: tuple[int, ...]
) -> PairRows:
    finite_R = torch.isfinite(file.norms()).all(dim=1)
    kept_N = (finite_R[0::2] & finite_R[1::2]).nonzero()[:, 0]
    kept = set(kept_N.tolist())
    if len(kept) < 2:
        raise DataError(
            f"Of {len(pairs)} contrast pairs {len(kept)} have finite activations; a fit needs 2.",
            hint="Run `trimtab doctor` on the model, or fit in float32.",
        )
    dropped = [pair.id for i, pair in enumerate(pairs) if i not in kept]
    return PairRows([pairs[i] for i in sorted(kept)], dropped, layers, file, kept_N)


def answer_tokens(context: FitContext, pair: ContrastPair) -> tuple[list[int], list[list[int]]]:
    """Return the prompt's tokens, and those of the positive and the negative answer.

    Raises:
        DataError: An answer is empty.
    """
    prompt, answers = context.engine.renderer.with_answers(
        pair.messages, [pair.positive, pair.negative], context.rendering, pair.preamble
    )
    if not all(answers):
        raise DataError(f"Contrast pair {pair.id!r} has an empty answer.")
    return list(prompt), [list(answer) for answer in answers]


def _requests(
    context: FitContext,
    pair: ContrastPair,
    layers: tuple[int, ...],
    read: Read,
    allow_nonfinite: bool,
) -> Iterator[rq.Request]:
    """Yield two reads: keys (pair id, whether positive)."""
    prompt, answers = answer_tokens(context, pair)
    for answer, positive in zip(answers, (True, False), strict=True):
        first, stop = _span(context.engine.renderer, answer, read)
        want = rq.Activations(
            layers,
            tuple(answer),
            len(prompt) + first,
            len(prompt) + stop,
            allow_nonfinite=allow_nonfinite,
        )
        yield rq.Request((pair.id, positive), tuple(prompt), want)


def _span(renderer: Any, answer: Sequence[int], read: Read) -> tuple[int, int]:
    """Return which of the answer's tokens are read."""
    if read == "answer_mean":
        return 0, len(answer)
    if read == "last":
        return len(answer) - 1, len(answer)
    for i, token in enumerate(answer):
        if any(c.isalnum() for c in renderer.decode([token])):
            return i, i + 1
    raise DataError(f"No token of the answer {renderer.decode(list(answer))!r} holds a letter.")
