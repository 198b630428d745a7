"""Rows of a batch that go on from a turn that was kept: what comes before what they read.

Shapes: C rows that enter, S tokens, K key/value heads, D head dimension.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from trimtab.engine.batching.segments import Stage
from trimtab.engine.conversations import Conversations, Turn
from trimtab.engine.passes.cache import PrefixCache
from trimtab.engine.passes.passes import Past
from trimtab.engine.request import Request, Text
from trimtab.models.load import LoadedModel


def conversations_of(loaded: LoadedModel, request: Request) -> Conversations | None:
    """Return where a row's turn is looked up and kept; None if it stands alone.

    Positions of edits refer to the prompt, which is another one in the next turn; and where rotary
    frequencies depend on a row's length, keys of a shorter row may not be those of a longer one.
    """
    want = request.want
    if not isinstance(want, Text) or want.dynamic is not None or request.edits:
        return None
    return None if loaded.layout.rotation is not None else want.conversations


class Continued:
    """What rows go on from; nothing for a row that begins anew.

    Attributes:
        cache: Keys and values; None where no row goes on from anything.
    """

    def __init__(
        self, loaded: LoadedModel, requests: Sequence[Request], num_rows: int, roomy: bool
    ) -> None:
        """Look up what the requests go on from; see ``DecodeBatch``."""
        self._loaded = loaded
        layout = loaded.layout
        self.cache: PrefixCache | None = None
        if any(self._find(request)[1] for request in requests):
            self.cache = PrefixCache(layout.num_layers, num_rows, layout.devices, roomy)

    def _find(self, request: Request) -> tuple[Turn | None, int]:
        kept = conversations_of(self._loaded, request)
        return (None, 0) if kept is None else kept.find(request.adapter, request.prompt)

    def enter(
        self, rows: Sequence[int], requests: Sequence[Request], kept: Sequence[int]
    ) -> list[int]:
        """Give ``rows`` what their requests go on from; return how many tokens each has there.

        ``kept`` are the rows whose past must stay.
        """
        if self.cache is None:
            return [0] * len(rows)
        found = [self._find(request) for request in requests]
        lengths = [count for _, count in found]
        length_C = np.array(lengths)
        each = tuple(range(len(rows)))
        for layer in range(self._loaded.layout.num_layers):
            start_C = np.zeros_like(length_C)
            slot_C = self.cache.claim(layer, Stage(0, each, each), rows, kept, length_C, start_C)
            some = [i for i in each if found[i][1]]
            if some:
                turns = [(turn.pairs[layer], n) for turn, n in found if turn is not None]
                key_CKSD = _padded([key[:, :n] for (key, _), n in turns])
                value_CKSD = _padded([value[:, :n] for (_, value), n in turns])
                self.cache.write(layer, slot_C[some], key_CKSD, value_CKSD)
        return lengths

    def pasts(self, rows: Sequence[int]) -> tuple[Past, ...]:
        """Return it as what comes before the rest of the rows' prompts."""
        return () if self.cache is None else (Past(self.cache, rows),)


def _padded(states: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return keys or values [K, S, D] of several rows as one tensor [C, K, S, D]."""
    padded_CSKD = pad_sequence([state.transpose(0, 1) for state in states], batch_first=True)
    return padded_CSKD.transpose(1, 2)
