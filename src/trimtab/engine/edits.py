"""Per-row edits of a batch: one forward hook per edited block, one fused add per block.

Shapes: B rows, Q tokens of this forward, E edits of one layer (a row may have several), H hidden.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trimtab.core.errors import ConfigError
from trimtab.engine.request import Edit, Window

_END = 2**62


def span(edit: Edit, num_prompt: int) -> tuple[int, int]:
    """Return the half-open range of absolute positions where ``edit`` acts."""
    if isinstance(edit.positions, Window):
        stop = edit.positions.stop
        return edit.positions.start, _END if stop is None else stop
    return {
        "all": (0, _END),
        "prompt": (0, num_prompt),
        "last_prompt": (num_prompt - 1, num_prompt),
        "generated": (num_prompt - 1, _END),
        "after_prompt": (num_prompt, _END),
    }[edit.positions]


def prefix_signature(edits: Sequence[Edit], num_prompt: int, length: int) -> tuple[Any, ...]:
    """Return what tells rows apart in their first ``length`` positions: edits that act there."""
    acting = []
    for edit in edits:
        start, stop = span(edit, num_prompt)
        if start < min(stop, length):
            acting.append((edit.layer, id(edit.vector), edit.strength, start, min(stop, length)))
    return tuple(acting)


def check(edits: Sequence[Edit], num_layers: int, hidden_size: int) -> None:
    """Raise ConfigError for an edit that does not fit the model or is not finite."""
    for edit in edits:
        if not 0 <= edit.layer < num_layers:
            raise ConfigError(
                f"An edit names layer {edit.layer}; the model has blocks 0 to {num_layers - 1}."
            )
        if edit.vector.shape != (hidden_size,):
            raise ConfigError(
                f"An edit's vector has shape {tuple(edit.vector.shape)}; the model's hidden size "
                f"is {hidden_size}.",
                hint="Vectors fit only the model they were made on.",
            )
        if not math.isfinite(edit.strength) or not torch.isfinite(edit.vector).all():
            raise ConfigError(f"An edit of layer {edit.layer} is not finite.")


@dataclass
class _LayerEdits:
    row_E: torch.Tensor
    delta_EH: torch.Tensor
    start_E: torch.Tensor
    stop_E: torch.Tensor


class BatchEdits:
    """The edits of a batch of rows, ready to be added to block outputs."""

    def __init__(
        self,
        rows: Sequence[tuple[Sequence[Edit], int]],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Gather the edits of each row, given as (edits, number of prompt tokens)."""
        by_layer: dict[int, list[tuple[int, Edit, tuple[int, int]]]] = {}
        for index, (edits, num_prompt) in enumerate(rows):
            for edit in edits:
                entry = (index, edit, span(edit, num_prompt))
                by_layer.setdefault(edit.layer, []).append(entry)
        self._layers = {
            layer: _LayerEdits(
                row_E=torch.tensor([row for row, _, _ in entries], device=device),
                delta_EH=torch.stack(
                    [edit.strength * edit.vector.float() for _, edit, _ in entries]
                ).to(device, dtype),
                start_E=torch.tensor([s for _, _, (s, _) in entries], device=device),
                stop_E=torch.tensor([s for _, _, (_, s) in entries], device=device),
            )
            for layer, entries in by_layer.items()
        }
        self._position_BQ: torch.Tensor | None = None

    @contextmanager
    def applied(self, blocks: Sequence[nn.Module], position_BQ: torch.Tensor) -> Iterator[None]:
        """Hook the blocks for one forward over tokens at absolute positions ``position_BQ``.

        Padding has position -1 and is never edited. The add is out of place, so gradients flow.
        """
        self._position_BQ = position_BQ
        handles = [blocks[layer].register_forward_hook(self._hook(layer)) for layer in self._layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._position_BQ = None

    def _hook(self, layer: int) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (self._add(output[0], layer), *output[1:])
            return self._add(output, layer)

        return hook

    def _add(self, h_BQH: torch.Tensor, layer: int) -> torch.Tensor:
        edits = self._layers[layer]
        assert self._position_BQ is not None
        position_EQ = self._position_BQ[edits.row_E]
        acts_EQ = (position_EQ >= edits.start_E[:, None]) & (position_EQ < edits.stop_E[:, None])
        acts_EQ &= position_EQ >= 0
        delta_EQH = acts_EQ[:, :, None].to(h_BQH.dtype) * edits.delta_EH[:, None, :]
        return h_BQH.index_add(0, edits.row_E, delta_EQH)


NO_EDITS = BatchEdits([], torch.device("cpu"), torch.float32)
"""For forwards whose edits are applied by the caller, or that have none."""
