"""Vectors that a row's prompt decides: made once, before anything is written or scored.

As with gates, one capture of the distinct prompts, without edits and no deeper than the deepest
block that is read, turns such edits into plain ones. So a row's vector depends on nothing but a
prompt and the row's adapter, and stays what it is at every token.

Shapes: H hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace

import torch

from trimtab.core.errors import ConfigError, NonFiniteError
from trimtab.engine.request import (
    Activations,
    ActivationsResult,
    Edit,
    FromPrompt,
    Request,
    Result,
)
from trimtab.models.lowrank import Adapter

Read = Callable[[Sequence[Request]], Iterator[Result]]
States = dict[tuple[tuple[int, ...], int], torch.Tensor]


def check_source(source: FromPrompt, num_layers: int) -> None:
    """Raise ConfigError for a source that does not fit the model."""
    if not 0 <= source.layer < num_layers:
        raise ConfigError(
            f"A vector is made of layer {source.layer}; the model has blocks 0 to {num_layers - 1}."
        )
    if source.prompt is not None and not source.prompt:
        raise ConfigError("A vector is made of a prompt without tokens.")


def last_states(
    prompts: dict[tuple[int, ...], set[int]], read: Read, adapter: Adapter | None = None
) -> States:
    """Return the states [H], float32, of prompts' last tokens, by (prompt, layer).

    Args:
        prompts: Token ids of each prompt, and the 0-based blocks to read.
        read: Runs ``Activations`` requests.
        adapter: Reads the model with it.
    """
    asked = [
        Request(
            tokens,
            tokens,
            Activations(tuple(sorted(layers)), (), len(tokens) - 1, len(tokens)),
            adapter=adapter,
        )
        for tokens, layers in prompts.items()
    ]
    found: States = {}
    for result in read(asked):
        assert isinstance(result, ActivationsResult) and isinstance(result.key, tuple)
        for layer, state_H in zip(sorted(prompts[result.key]), result.mean_LH, strict=True):
            found[result.key, layer] = state_H
    return found


def resolve_vectors(requests: Sequence[Request], read: Read) -> list[Request]:
    """Return the requests with every vector made.

    Raises:
        NonFiniteError: A vector that was made of a prompt is not finite.
    """
    prompts: dict[Hashable, dict[tuple[int, ...], set[int]]] = {}
    adapters: dict[Hashable, Adapter | None] = {}
    for request in requests:
        for edit in request.edits:
            if edit.source is not None:
                adapters.setdefault(_reader(request), request.adapter)
                of_reader = prompts.setdefault(_reader(request), {})
                of_reader.setdefault(_prompt(edit.source, request), set()).add(edit.source.layer)
    if not prompts:
        return list(requests)
    states = {key: last_states(some, read, adapters[key]) for key, some in prompts.items()}
    plain: dict[tuple[int, tuple[int, ...], Hashable], Edit] = {}
    return [
        replace(
            r, edits=tuple(_plain(edit, r, states.get(_reader(r), {}), plain) for edit in r.edits)
        )
        for r in requests
    ]


def _reader(request: Request) -> Hashable:
    return None if request.adapter is None else request.adapter.key


def _prompt(source: FromPrompt, request: Request) -> tuple[int, ...]:
    return request.prompt if source.prompt is None else source.prompt


def _plain(
    edit: Edit,
    request: Request,
    states: States,
    plain: dict[tuple[int, tuple[int, ...], Hashable], Edit],
) -> Edit:
    """Return the edit with its vector; rows that agree on it get the same object, to share work."""
    if edit.source is None:
        return edit
    prompt = _prompt(edit.source, request)
    key = (id(edit), prompt, _reader(request))
    if key not in plain:
        vector_H = edit.source.vector_of(states[prompt, edit.source.layer]).detach()
        if vector_H.shape != edit.vector.shape or not torch.isfinite(vector_H).all():
            raise NonFiniteError(
                f"Request {request.key!r}: the vector made of its prompt for layer {edit.layer} "
                f"is not finite, or has the shape {tuple(vector_H.shape)} in place of "
                f"{tuple(edit.vector.shape)}."
            )
        plain[key] = replace(edit, vector=vector_H, source=None)
    return plain[key]
