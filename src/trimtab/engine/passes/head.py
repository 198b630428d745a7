"""The language-model head, a block of rows and a slice of the vocabulary at a time.

The logits of all rows are never in memory at once unless a row samples from them: with 262,144
words that would be 134 MB for 128 rows. Slices fit in the processor's cache.

Shapes: N rows, V vocabulary, H hidden.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from trimtab.engine.batching.allocator import page_out
from trimtab.engine.passes.attention import LOG2_E
from trimtab.engine.passes.packed import PackedWeight, can_pack
from trimtab.models.load import LoadedModel

_SLICE = 8192
_SLICE_ON_ACCELERATOR = 32768
_BLOCK = 128
_ROWS = 256


class Head:
    """Next-token distributions of final hidden states, always in float32 or better."""

    def __init__(self, loaded: LoadedModel, num_words: int | None = None) -> None:
        """Cut the head's weights into slices of ``num_words`` words, if they are here as they are.

        Fewer and larger ones if nothing is said on an accelerator, where each costs some launches.
        A head whose weights are quantised, or kept elsewhere between forwards, is called whole.
        """
        self._loaded = loaded
        self.device = loaded.layout.head_device
        on_cpu = self.device.type == "cpu"
        self._num_words = num_words or (_SLICE if on_cpu else _SLICE_ON_ACCELERATOR)
        self._cut()

    def renew(self) -> None:
        """Pack the weights again if they were changed."""
        if self._versions is None:
            return
        weight: torch.Tensor = self._loaded.layout.lm_head.weight  # type: ignore[assignment]
        if (weight.data_ptr(), weight._version) != self._versions:
            self._cut()

    def _cut(self) -> None:
        loaded, num_words = self._loaded, self._num_words
        head: nn.Module = loaded.layout.lm_head
        weight: torch.Tensor = head.weight  # type: ignore[assignment]
        bias: torch.Tensor | None = getattr(head, "bias", None)
        self._slices = []
        sliced = weight.is_floating_point() and not weight.is_meta
        packs = sliced and can_pack(loaded)
        self._versions = (weight.data_ptr(), weight._version) if packs else None
        for at in range(0, len(weight) if sliced else 0, num_words):
            part = weight[at : at + num_words]
            part_bias = None if bias is None else bias[at : at + num_words]
            packed = PackedWeight(part, part_bias) if packs else None
            self._slices.append((at, part, part_bias, packed))
        if packs:
            page_out(weight)

    def slices(self, hidden_NH: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield (first word, logits [N, words]) over the vocabulary; the caller may overwrite."""
        hidden_NH = hidden_NH.to(self.device).contiguous()
        if not self._slices:
            logits = self._loaded.layout.logits(hidden_NH)
            yield 0, logits.to(torch.promote_types(logits.dtype, torch.float32))
            return
        cap = self._loaded.layout.final_logit_softcap
        for at, weight, bias, packed in self._slices:
            if packed is not None and not torch.is_grad_enabled():
                logits = packed(hidden_NH)
            else:
                logits = functional.linear(hidden_NH, weight, bias)
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            yield at, logits if cap is None else cap * torch.tanh(logits / cap)

    def logits(self, hidden_NH: torch.Tensor) -> torch.Tensor:
        """Return logits [N, V]."""
        return torch.cat([logits for _, logits in self.slices(hidden_NH)], dim=1)

    def greedy(self, hidden_NH: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the likeliest token [N], its logit [N] and the log of the summed exps [N]."""
        tops, tokens, sums = [], [], []
        for at, logits_NW in self.slices(hidden_NH):
            top_N, token_N = _largest(logits_NW)
            sums.append(_sum_exp(logits_NW, top_N))
            tops.append(top_N)
            tokens.append(token_N + at)
        top_SN = torch.stack(tops)
        best_N, slice_N = top_SN.max(dim=0)
        total_N = best_N + ((top_SN - best_N).exp() * torch.stack(sums)).sum(dim=0).log()
        return torch.stack(tokens).gather(0, slice_N[None])[0], best_N, total_N

    def logprobs(
        self, hidden_NH: torch.Tensor, row_T: torch.Tensor, token_T: torch.Tensor
    ) -> torch.Tensor:
        """Return log-probabilities [T], float64, of tokens given rows of ``hidden``, sorted."""
        hidden_NH, row_T, token_T = (x.to(self.device) for x in (hidden_NH, row_T, token_T))
        found = torch.empty(len(row_T), dtype=torch.float64, device=self.device)
        for first in range(0, len(hidden_NH), _ROWS):
            here_T = (row_T >= first) & (row_T < first + _ROWS)
            if bool(here_T.any()):
                rows = hidden_NH[first : first + _ROWS]
                found[here_T] = self._block(rows, row_T[here_T] - first, token_T[here_T])
        return found

    def _block(
        self, hidden_NH: torch.Tensor, row_T: torch.Tensor, token_T: torch.Tensor
    ) -> torch.Tensor:
        logit_T = torch.empty(len(row_T), dtype=torch.float64, device=hidden_NH.device)
        tops, sums = [], []
        for at, logits_NW in self.slices(hidden_NH):
            here_T = (token_T >= at) & (token_T < at + logits_NW.shape[1])
            logit_T[here_T] = logits_NW[row_T[here_T], token_T[here_T] - at].double()
            top_N = logits_NW.amax(dim=1)
            sums.append(_sum_exp(logits_NW, top_N))
            tops.append(top_N)
        top_SN = torch.stack(tops)
        best_N = top_SN.amax(dim=0)
        total_N = best_N + ((top_SN - best_N).exp() * torch.stack(sums)).sum(dim=0).log()
        return logit_T - total_N[row_T].double()


def _largest(logits_NW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest logit [N] and its word [N], the first if there are several.

    Looks for the word in the best of some blocks only: an index costs ten times a maximum.
    """
    num_rows, num_words = logits_NW.shape
    if num_words % _BLOCK:
        top, word = logits_NW.max(dim=1)
        return top, word
    blocks_NJW = logits_NW.view(num_rows, -1, _BLOCK)
    top_N, block_N = blocks_NJW.amax(dim=2).max(dim=1)
    row_N = torch.arange(num_rows, device=logits_NW.device)
    return top_N, block_N * _BLOCK + blocks_NJW[row_N, block_N].argmax(dim=1)


def _sum_exp(logits_NW: torch.Tensor, top_N: torch.Tensor) -> torch.Tensor:
    """Return the sum over words of exp(logit - top), [N]; overwrites the logits."""
    scaled_NW = torch.add(-LOG2_E * top_N[:, None], logits_NW, alpha=LOG2_E, out=logits_NW)
    return scaled_NW.exp2_().sum(dim=1)
