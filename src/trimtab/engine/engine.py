"""The one door to a model: requests in, results out as they finish.

Every row carries its own edits, adapter, strength, sampling parameters and random stream, so rows
of many cells share batches. Texts, option scores and activations go through the same forward
(``forward.forward``), with the same absolute positions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

import torch

from trimtab.engine.acts.adapters import distinct
from trimtab.engine.acts.gates import resolve
from trimtab.engine.acts.prompted import resolve_vectors
from trimtab.engine.agreement import check_agreement
from trimtab.engine.asked import check_requests
from trimtab.engine.batching.allocator import suit_changing_shapes
from trimtab.engine.batching.by_length import by_length
from trimtab.engine.batching.scheduler import Ladder, Limits, Load, order
from trimtab.engine.batching.within_memory import within_memory
from trimtab.engine.passes.attention import check_family
from trimtab.engine.passes.head import Head
from trimtab.engine.passes.packed import pack
from trimtab.engine.reading.capture import capture
from trimtab.engine.reading.options import score
from trimtab.engine.request import Activations, Options, Request, Result, Text
from trimtab.engine.workers.parallel import Workers
from trimtab.engine.workers.pool import Work
from trimtab.engine.writing import decode
from trimtab.engine.writing.dynamic import write_dynamic
from trimtab.engine.writing.stepping import why_not, write_static
from trimtab.models.load import LoadedModel
from trimtab.models.lowrank import Adapter

_R = TypeVar("_R", bound=Result)

_TOKENS = 4096
_ROWS = {"float32": 192}
_MOST_ROWS = 512

_TEXTS, _DYNAMIC, _OPTIONS, _ACTIVATIONS = "texts", "dynamic", "options", "activations"

_log = logging.getLogger(__name__)


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
            ModelError: The model's attention can't be shared between rows, or trial rows have
                other values than in transformers; see ``agreement``.
        """
        check_family(loaded)
        suit_changing_shapes()
        pack(loaded)
        self.loaded = loaded
        self.limits = Limits(
            max_rows or _ROWS.get(loaded.resolved.spec.dtype, _MOST_ROWS), max_tokens
        )
        self.renderer = loaded.renderer
        self._head = Head(loaded)
        self._ladder = Ladder(self.limits)
        reason = why_not(loaded)
        self._records_steps = reason is None
        write = write_static if self._records_steps else _write_unrecorded
        works: dict[str, Work] = {
            _TEXTS: self._divided(write),
            _DYNAMIC: self._divided(_write_dynamic),
            _OPTIONS: self._divided(score),
            _ACTIVATIONS: partial(by_length, capture, loaded),
        }
        self._workers = Workers(loaded, works)
        self._fitting: WeakSet[Adapter] = WeakSet()
        if reason is not None:
            level = logging.DEBUG if loaded.device.type == "cpu" else logging.INFO
            _log.log(level, "Texts are written without recorded steps: %s.", reason)
        check_agreement(loaded, self.run)

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return self.loaded.layout.num_layers

    @property
    def head(self) -> Head:
        """The language-model head."""
        return self._head

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
    def num_workers(self) -> int:
        """Most processes that rows are divided among."""
        return len(self._workers)

    @property
    def identity(self) -> str:
        """Hash of the model's weights, tokenizer and template."""
        return self.loaded.identity

    def run(self, requests: Sequence[Request]) -> Iterator[Result]:
        """Yield a result per request that is owed, in the order in which they finish.

        Raises:
            ConfigError: A request does not fit the model or the others; see ``check_requests``.
            ModelError: An adapter does not fit the model, or a single row not into memory.
            NonFiniteError: Names the first layer, row and position that is NaN or infinite.
        """
        owed = {request.key for request in requests if request.owed}
        if not owed:
            return
        check_requests(self.loaded, requests, self._fitting)
        by_kind: dict[type, list[Request]] = {}
        plain, readings = resolve(requests, self._read)
        for request in resolve_vectors(plain, self._read):
            by_kind.setdefault(type(request.want), []).append(request)
        for kind, some in by_kind.items():
            for result in _without_gradients(self._results(kind, some)):
                if result.key in owed:
                    gates = readings.get(result.key)
                    yield result if gates is None else replace(result, gates=gates)

    def _divided(self, compute: Callable[..., Iterator[Result]]) -> Work:
        """Return what runs requests with the head; rows of unlike rotations apart.

        It must not hold the engine: workers end when nothing does.
        """
        head = self._head

        def with_head(
            loaded: LoadedModel, requests: Sequence[Request], limits: Limits
        ) -> Iterator[Result]:
            return compute(loaded, head, requests, limits)

        return partial(by_length, with_head, self.loaded)

    def _read(self, requests: Sequence[Request]) -> Iterator[Result]:
        return _without_gradients(self._results(Activations, requests))

    def _results(self, kind: type, requests: Sequence[Request]) -> Iterator[Result]:
        if kind is Text:
            owner = {key: n for n, key in enumerate(distinct(r.adapter for r in requests), 1)}
            loads = [Load(r.prompt, 0, owner[r.adapter.key] if r.adapter else 0) for r in requests]
            ordered = [requests[i] for i in order(loads)]
            dynamic = [r for r in ordered if isinstance(r.want, Text) and r.want.dynamic]
            fixed = [r for r in ordered if isinstance(r.want, Text) and not r.want.dynamic]
            if dynamic and self._records_steps:
                _log.info("Rows of dynamic strength are written without recorded steps.")
            yield from self._work(_TEXTS, fixed)
            yield from self._work(_DYNAMIC, dynamic)
        else:
            yield from self._work(_OPTIONS if kind is Options else _ACTIVATIONS, requests)

    def _work(self, kind: str, requests: Sequence[Request]) -> Iterator[Result]:
        self._head.renew()
        work = partial(self._workers.run, kind)
        return within_memory(self.loaded, self._ladder, kind, work, requests)


def _write_unrecorded(
    loaded: LoadedModel, head: Head, requests: Sequence[Request], limits: Limits
) -> Iterator[Result]:
    return _each_in(torch.inference_mode, decode.write(loaded, head, requests, limits))


def _write_dynamic(
    loaded: LoadedModel, head: Head, requests: Sequence[Request], limits: Limits
) -> Iterator[Result]:
    return _each_in(torch.inference_mode, write_dynamic(loaded, head, requests, limits))


def _without_gradients(results: Iterator[Result]) -> Iterator[Result]:
    return _each_in(torch.no_grad, results)


def _each_in(
    mode: Callable[[], AbstractContextManager[Any]], results: Iterator[_R]
) -> Iterator[_R]:
    """Compute each result in ``mode``, and leave the consumer's code between two alone.

    Texts are computed in inference mode, which costs less per operation; no tensor of theirs leaves
    the engine.
    """
    while True:
        with mode():
            result = next(results, None)
        if result is None:
            return
        yield result
