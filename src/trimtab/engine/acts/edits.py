"""Edits of packed tokens: one hook per edited block and site, one fused add for all rows.

Shapes: T packed tokens, N of them edited, H values at the edited site.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from trimtab.core.errors import ConfigError
from trimtab.engine.batching.segments import span
from trimtab.engine.request import Edit, Place, Site

Deltas = dict[Place, tuple[torch.Tensor | None, torch.Tensor]]
"""For each place the edited tokens [N] (None: all T, in order) and what is added to them [N, H]."""

_WIDTH_NAME: dict[Site, str] = {"residual": "hidden size", "heads": "width of all heads together"}


def check(edits: Sequence[Edit], num_layers: int, width: dict[Site, int]) -> None:
    """Raise ConfigError for an edit that does not fit the model or is not finite."""
    for edit in edits:
        if not 0 <= edit.layer < num_layers:
            raise ConfigError(
                f"An edit names layer {edit.layer}; the model has blocks 0 to {num_layers - 1}."
            )
        if edit.vector.shape != (width[edit.site],):
            raise ConfigError(
                f"An edit's vector has shape {tuple(edit.vector.shape)}; the model's "
                f"{_WIDTH_NAME[edit.site]} is {width[edit.site]}.",
                hint="Vectors fit only the model they were made on.",
            )
        if not math.isfinite(edit.strength) or not torch.isfinite(edit.vector).all():
            raise ConfigError(f"An edit of layer {edit.layer} is not finite.")


class EditTable:
    """The edits of some rows, ready to be laid over packed tokens."""

    def __init__(
        self,
        rows: Sequence[tuple[Sequence[Edit], int]],
        devices: Sequence[torch.device],
        dtype: torch.dtype,
    ) -> None:
        """Gather the edits of each row, given as (edits, number of prompt tokens).

        ``devices`` are those of the blocks.
        """
        self._devices = devices
        entries: dict[Place, list[tuple[int, Edit, tuple[int, int]]]] = {}
        for row, (edits, num_prompt) in enumerate(rows):
            for edit in edits:
                entry = (row, edit, span(edit, num_prompt))
                entries.setdefault((edit.layer, edit.site), []).append(entry)
        self._row_E = {place: np.array([e[0] for e in es]) for place, es in entries.items()}
        self._span_E = {place: np.array([e[2] for e in es]) for place, es in entries.items()}
        self._delta_EH = {
            place: torch.stack([e.strength * _precise(e.vector) for _, e, _ in es]).to(
                devices[place[0]], dtype
            )
            for place, es in entries.items()
        }
        self._last: dict[Place, tuple[bytes, tuple[torch.Tensor | None, torch.Tensor]]] = {}

    def deltas(self, first_R: np.ndarray, length_R: np.ndarray, start_R: np.ndarray) -> Deltas:
        """Return what acts on packed tokens.

        Args:
            first_R: Packed index of each row's first token.
            length_R: How many consecutive tokens of the row there are.
            start_R: Absolute position of the first.
        """
        found: Deltas = {}
        num_tokens = int(length_R.sum())
        for place, row_E in self._row_E.items():
            start_E, stop_E = self._span_E[place].T
            low_E = np.clip(start_E - start_R[row_E], 0, length_R[row_E])
            num_E = np.maximum(np.clip(stop_E - start_R[row_E], 0, length_R[row_E]) - low_E, 0)
            total = int(num_E.sum())
            if total:
                step_N = np.arange(total) - np.repeat(np.cumsum(num_E) - num_E, num_E)
                token_N = np.repeat(first_R[row_E] + low_E, num_E) + step_N
                edit_N = np.repeat(np.arange(len(row_E)), num_E)
                found[place] = self._tensors(place, token_N, edit_N, num_tokens)
        return found

    def _tensors(
        self, place: Place, token_N: np.ndarray, edit_N: np.ndarray, num_tokens: int
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Return (tokens, deltas) on the block's device; steps with the same tokens share them."""
        device = self._devices[place[0]]
        key = token_N.tobytes() + edit_N.tobytes() + num_tokens.to_bytes(8)
        last = self._last.get(place)
        if last is None or last[0] != key:
            delta_NH = self._delta_EH[place][torch.from_numpy(edit_N).to(device)]
            dense = len(token_N) == num_tokens and (token_N == np.arange(num_tokens)).all()
            index = None if dense else torch.from_numpy(token_N).to(device)
            last = (key, (index, delta_NH))
            self._last[place] = last
        return last[1]


def _precise(vector: torch.Tensor) -> torch.Tensor:
    """Return ``vector`` in float32 or better; gradients flow."""
    return vector.to(torch.promote_types(vector.dtype, torch.float32))


def add(x_1TH: torch.Tensor, tokens: torch.Tensor | None, delta_NH: torch.Tensor) -> torch.Tensor:
    """Return ``x`` with ``delta`` added to some of its tokens; out of place, so gradients flow."""
    if tokens is None:
        return x_1TH + delta_NH
    return x_1TH.index_add(1, tokens, delta_NH[None])
