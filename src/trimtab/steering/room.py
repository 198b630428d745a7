"""Whether a model has positions for what a fit reads, asked before anything is read.

Past its learned positions a model has none, and past those that it was trained on its activations
mean nothing. A row of an experiment that is too long is left out and counted; a fit that left some
out would be one of other data than the plan names, so it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trimtab.core.errors import DataError
from trimtab.core.lazy import lazy

if TYPE_CHECKING:
    from trimtab.engine import request as rq
    from trimtab.engine.engine import Engine
else:
    rq = lazy("trimtab.engine.request")


def require_room(engine: Engine, requests: Sequence[rq.Request], asked: Sequence[str]) -> None:
    """Raise DataError if some of ``requests`` are too long; ``asked`` says what each one asks."""
    limit = engine.max_positions
    if limit is None:
        return
    lengths = dict(zip(asked, map(_positions, requests), strict=True))
    too_long = {text: length for text, length in lengths.items() if length > limit}
    if too_long:
        text = max(too_long, key=lambda text: too_long[text])
        raise DataError(
            f"{len(too_long)} of {len(lengths)} questions of a fit are too long for the model; "
            f"{text.strip()[:60]!r} needs {too_long[text]} positions, the model has {limit}.",
            hint="Leave them out of the data, or use a model with more positions.",
        )


def _positions(request: rq.Request) -> int:
    want = request.want
    if isinstance(want, rq.Text):
        new = want.sampling.max_tokens
    elif isinstance(want, rq.Options):
        new = max(map(len, want.options))
    else:
        new = len(want.continuation)
    return len(request.prompt) + new
