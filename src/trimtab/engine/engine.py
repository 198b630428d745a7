"""The one door to a model: requests in, results out as they finish.

Every row carries its own edits, strength, sampling parameters and random stream, so rows of many
cells share batches. Texts, option scores and activations go through the same forward
(``forward.forward``), with the same absolute positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from trimtab.core.errors import ConfigError
from trimtab.engine.allocator import keep_freed_memory
from trimtab.engine.attention import check_family
from trimtab.engine.capture import capture
from trimtab.engine.decode import write
from trimtab.engine.edits import check
from trimtab.engine.head import Head
from trimtab.engine.options import score
from trimtab.engine.packed import pack
from trimtab.engine.request import Options, Request, Result, Site, Text
from trimtab.engine.scheduler import Limits, Load, order
from trimtab.models.load import LoadedModel

_TOKENS = 4096
_ROWS = {"float32": 128}
_MOST_ROWS = 256


class Engine:
    """Runs requests on one loaded model, whose weights it never changes."""

    def __init__(
        self, loaded: LoadedModel, *, max_rows: int | None = None, max_tokens: int = _TOKENS
    ) -> None:
        """Take a loaded model.

        Args:
            loaded: The model, its tokenizer and layout; on a CPU its linear layers compute with
                packed weights from now on, when no gradient is asked for.
            max_rows: Most rows that write together.
            max_tokens: Most tokens of prompts, answers or options computed together.

        Raises:
            ModelError: The model's attention can't be shared between rows.
        """
        check_family(loaded)
        pack(loaded)
        keep_freed_memory()
        self.loaded = loaded
        self.limits = Limits(
            max_rows or _ROWS.get(loaded.resolved.spec.dtype, _MOST_ROWS), max_tokens
        )
        self.renderer = loaded.renderer
        self._head = Head(loaded)

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
        width: dict[Site, int] = {
            "residual": self.hidden_size,
            "heads": self.loaded.layout.head_width,
        }
        by_kind: dict[type, list[Request]] = {}
        for request in requests:
            if not request.prompt:
                raise ConfigError(f"Request {request.key!r} has an empty prompt.")
            check(request.edits, self.num_layers, width)
            by_kind.setdefault(type(request.want), []).append(request)
        for kind, some in by_kind.items():
            yield from self._run_kind(kind, some)

    def _run_kind(self, kind: type, requests: Sequence[Request]) -> Iterator[Result]:
        results: Iterator[Result]
        if kind is Text:
            loads = [Load(r.prompt, 0) for r in requests]
            ordered = [requests[i] for i in order(loads)]
            results = write(self.loaded, self._head, ordered, self.limits)
        elif kind is Options:
            results = score(self.loaded, self._head, requests, self.limits)
        else:
            results = capture(self.loaded, requests, self.limits)
        while True:
            # the consumer's code between two results must not run without gradients
            with torch.no_grad():
                try:
                    result: Result = next(results)
                except StopIteration:
                    return
            yield result
