"""The one door to a model: requests in, results out as they finish.

Every row carries its own edits, strength, sampling parameters and random stream, so rows of many
cells share batches. Texts, option scores and activations go through the same forward
(``rows.run``), with the same absolute positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from trimtab.core.errors import ConfigError
from trimtab.engine.capture import capture
from trimtab.engine.decode import write
from trimtab.engine.edits import check
from trimtab.engine.options import num_branches, score
from trimtab.engine.request import Activations, Options, Request, Result, Text
from trimtab.engine.rows import PaddingSide
from trimtab.engine.scheduler import Load, batches
from trimtab.models.load import LoadedModel


class Engine:
    """Runs requests on one loaded model, whose modules and weights it never changes."""

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        max_rows: int = 64,
        max_slots: int = 64 * 1024,
        padding_side: PaddingSide = "left",
    ) -> None:
        """Take a loaded model.

        Args:
            loaded: The model, its tokenizer and layout.
            max_rows: Most rows in one batch.
            max_slots: Most rows x tokens in one batch: bounds the cache.
            padding_side: Where prompts of unequal length are padded; results do not depend on it.
        """
        if padding_side == "right" and not loaded.layout.allows_gaps:
            raise ConfigError("This model's local attention counts slots, so it can't pad right.")
        self.loaded = loaded
        self.max_rows = max_rows
        self.max_slots = max_slots
        self.padding_side: PaddingSide = padding_side
        self.renderer = loaded.renderer

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return self.loaded.layout.num_layers

    @property
    def hidden_size(self) -> int:
        """Width of the residual stream."""
        return self.loaded.layout.hidden_size

    @property
    def max_positions(self) -> int | None:
        """Most tokens of one row, prompt included; None if the model has no limit."""
        limit: int | None = getattr(
            self.loaded.model.config.get_text_config(), "max_position_embeddings", None
        )
        return limit

    @property
    def identity(self) -> str:
        """Hash of the model's weights, tokenizer and template."""
        return self.loaded.identity

    def run(self, requests: Sequence[Request]) -> Iterator[Result]:
        """Yield a result per request, in the order in which they finish.

        Raises:
            ConfigError: A prompt is empty, or an edit or a read does not fit the model.
            NonFiniteError: Names the first layer, row and position that is NaN or infinite.
        """
        for request in requests:
            if not request.prompt:
                raise ConfigError(f"Request {request.key!r} has an empty prompt.")
            check(request.edits, self.num_layers, self.hidden_size)
        cut = batches([_load(r) for r in requests], self.max_rows, self.max_slots)
        for batch in cut:
            yield from self._run_batch([requests[i] for i in batch])

    def _run_batch(self, requests: Sequence[Request]) -> Iterator[Result]:
        work = _WORK[type(requests[0].want)]
        results = work(self.loaded, requests, self.padding_side)
        while True:
            # the consumer's code between two results must not run without gradients
            with torch.no_grad():
                result = next(results, None)
            if result is None:
                return
            yield result


_WORK: dict[type, Callable[[LoadedModel, Sequence[Request], PaddingSide], Iterator[Result]]] = {
    Text: write,
    Options: score,
    Activations: capture,
}


def _load(request: Request) -> Load:
    want = request.want
    if isinstance(want, Text):
        return Load("text", request.prompt, 1, want.sampling.max_tokens)
    if isinstance(want, Options):
        longest = max((len(option) for option in want.options), default=0)
        return Load("options", request.prompt, num_branches(want), longest)
    return Load("activations", request.prompt, 1, len(want.continuation))
