"""Gates: from a row's prompt alone, whether and how strongly its edits act.

Conditional activation steering, Lee et al. 2024, arXiv 2409.05907. One capture of the distinct
prompts, without edits and no deeper than the deepest gate, turns gated edits into plain ones before
anything is written or scored. So a decision depends on nothing but the prompt, and rows whose gate
is closed are rows without edits. The released code decides within the steered pass, where edits of
blocks below the gate's can move what it reads. A row's adapter is part of the model that is read.

Shapes: H hidden.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace

import torch

from trimtab.core.errors import ConfigError
from trimtab.core.types import GateReading
from trimtab.engine.request import (
    Activations,
    ActivationsResult,
    Edit,
    Gate,
    Request,
    Result,
    Similarity,
)
from trimtab.models.lowrank import Adapter

Read = Callable[[Sequence[Request]], Iterator[Result]]
_Reader = tuple[tuple[int, ...], Hashable]
Readings = dict[Hashable, tuple[GateReading, ...]]


def check_gate(gate: Gate, num_layers: int, hidden_size: int) -> None:
    """Raise ConfigError for a gate that does not fit the model or is not finite."""
    if not 0 <= gate.layer < num_layers:
        raise ConfigError(
            f"A gate names layer {gate.layer}; the model has blocks 0 to {num_layers - 1}."
        )
    if gate.vector.shape != (hidden_size,):
        raise ConfigError(
            f"A gate's vector has shape {tuple(gate.vector.shape)}; the model's hidden size is "
            f"{hidden_size}."
        )
    finite = math.isfinite(gate.threshold) and bool(torch.isfinite(gate.vector).all())
    if not (finite and math.isfinite(gate.width) and gate.width >= 0 and gate.vector.any()):
        raise ConfigError(
            f"A gate of layer {gate.layer} has a vector that is zero or not finite, or a threshold "
            f"{gate.threshold} or width {gate.width} that it can't have."
        )


def resolve(requests: Sequence[Request], read: Read) -> tuple[list[Request], Readings]:
    """Return the requests without gates, and what the gates of each request's key read.

    Args:
        requests: With or without gated edits.
        read: Runs ``Activations`` requests.
    """
    gates: dict[tuple[_Reader, str], dict[int, Gate]] = {}
    adapters: dict[Hashable, Adapter | None] = {}
    for request in requests:
        for gate in _gates(request):
            reader = _reader(request)
            gates.setdefault((reader, gate.read), {})[id(gate)] = gate
            adapters.setdefault(reader[1], request.adapter)
    if not gates:
        return list(requests), {}
    asked = [
        Request(
            (reader, read_at),
            reader[0],
            _want(reader[0], read_at, list(found.values())),
            adapter=adapters[reader[1]],
        )
        for (reader, read_at), found in gates.items()
    ]
    readings: dict[tuple[_Reader, int], GateReading] = {}
    for result in read(asked):
        assert isinstance(result, ActivationsResult) and isinstance(result.key, tuple)
        found = gates[result.key]
        layers = sorted({gate.layer for gate in found.values()})
        for number, gate in found.items():
            value = similarity(
                gate.similarity, gate.vector, result.mean_LH[layers.index(gate.layer)]
            )
            readings[result.key[0], number] = GateReading(value=value, factor=factor(gate, value))
    plain: dict[tuple[int, float], Edit] = {}
    resolved, of_row = [], {}
    for request in requests:
        by_gate = {id(g): readings[_reader(request), id(g)] for g in _gates(request)}
        if by_gate:
            of_row[request.key] = tuple(by_gate.values())
            request = replace(request, edits=_opened(request.edits, by_gate, plain))
        resolved.append(request)
    return resolved, of_row


def _reader(request: Request) -> _Reader:
    """Return what a gate's reading depends on: the prompt, and the adapter that reads it."""
    return request.prompt, None if request.adapter is None else request.adapter.key


def _gates(request: Request) -> list[Gate]:
    return [edit.gate for edit in request.edits if edit.gate is not None]


def _want(prompt: tuple[int, ...], read: str, gates: Sequence[Gate]) -> Activations:
    layers = tuple(sorted({gate.layer for gate in gates}))
    start = 0 if read == "mean" else len(prompt) - 1
    return Activations(layers, (), start, len(prompt))


def _opened(
    edits: Sequence[Edit], by_gate: dict[int, GateReading], plain: dict[tuple[int, float], Edit]
) -> tuple[Edit, ...]:
    """Return the edits that act; rows that agree on an edit get the same object, to share work."""
    found = []
    for edit in edits:
        if edit.gate is None:
            found.append(edit)
            continue
        scale = by_gate[id(edit.gate)].factor
        if scale:
            key = (id(edit), scale)
            if key not in plain:
                plain[key] = replace(edit, strength=scale * edit.strength, gate=None)
            found.append(plain[key])
    return tuple(found)


def similarity(kind: Similarity, vector_H: torch.Tensor, state_H: torch.Tensor) -> float:
    """Return how much of a condition is in a prompt's state; in float64, 0 for a zero state.

    ``projected``: the cosine of the state with tanh of its projection on the condition vector, the
    paper's; blind to the vector's sign. ``cosine``: with the vector itself.
    """
    state, vector = state_H.double().cpu(), vector_H.double().cpu()
    if kind == "projected":
        vector = torch.tanh((vector @ state) / (vector @ vector) * vector)
    return float(torch.nn.functional.cosine_similarity(state, vector, dim=0, eps=1e-30))


def factor(gate: Gate, value: float) -> float:
    """Return what a gated edit's strength is multiplied by, from 0 to 1."""
    beyond = value - gate.threshold if gate.above else gate.threshold - value
    if not gate.width:
        return float(beyond > 0)
    return 0.5 * (1 + math.tanh(beyond / (2 * gate.width)))
