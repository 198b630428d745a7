"""Choosing the next token of each row, with a random stream of its own per row.

A row's stream depends on its seed and the step alone, never on the batch: step t uses the t-th
uniform number of a Philox generator keyed by the row's seed, and picks the token by inverting the
cumulative distribution. So N = 16 candidates extend N = 5, and a resumed row repeats itself.

Shapes: B rows, V vocabulary, J blocks of words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from trimtab.core.types import SamplingParams
from trimtab.engine.passes.head import Head
from trimtab.engine.request import Text

_BLOCK = 128
_ROWS = 64
_FEW = 256
"""Likeliest words of all rows that are looked at before others are."""

_DEPTHS = (6.0, 9.0, 12.0)
"""How far below the likeliest word, in nats, words of a single row are looked at, step by step."""


class Sampler:
    """Picks tokens for a fixed list of rows; rows are addressed by their index in that list."""

    def __init__(self, wants: Sequence[Text], head: Head) -> None:
        """Draw every row's uniforms ahead; greedy rows draw none."""
        self._head = head
        self._params = [want.sampling for want in wants]
        self._uniforms = [
            np.random.Generator(np.random.Philox(key=want.seed)).random(want.sampling.max_tokens)
            if want.sampling.temperature > 0
            else None
            for want in wants
        ]

    def choose(
        self, hidden_BH: torch.Tensor, rows: Sequence[int], steps: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next token [B] of ``rows`` and its log-probability [B] at temperature 1.

        The log-probability is NaN where the logits are not finite.
        """
        hidden_BH = hidden_BH.to(self._head.device)
        greedy = [i for i, row in enumerate(rows) if self._uniforms[row] is None]
        drawn = [i for i, row in enumerate(rows) if self._uniforms[row] is not None]
        if not drawn:
            return self._greedy(hidden_BH)
        token_B = torch.empty(len(rows), dtype=torch.long, device=hidden_BH.device)
        logprob_B = torch.empty(len(rows), dtype=torch.float32, device=hidden_BH.device)
        if greedy:
            token_B[greedy], logprob_B[greedy] = self._greedy(hidden_BH[greedy])
        for at in range(0, len(drawn), _ROWS):
            some = drawn[at : at + _ROWS]
            logits_BV = self._head.logits(hidden_BH[some])
            token_B[some] = self.draw(logits_BV, [rows[i] for i in some], [steps[i] for i in some])
            chosen = logits_BV.gather(1, token_B[some][:, None])[:, 0]
            logprob_B[some] = (chosen - logits_BV.logsumexp(dim=1)).float()
        return token_B, logprob_B

    def _greedy(self, hidden_BH: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        token_B, logit_B, total_B = self._head.greedy(hidden_BH)
        return token_B, (logit_B - total_B).float()

    def draw(
        self, logits_BV: torch.Tensor, rows: Sequence[int], steps: Sequence[int]
    ) -> torch.Tensor:
        """Return a token [B] of each line of ``logits``, by its row's own stream."""
        params = [self._params[row] for row in rows]
        uniforms = [self._uniforms[row] for row in rows]
        # a finished row may stay in the batch beyond its own limit; its token is not used
        u = [
            0.0 if u is None else float(u[min(step, len(u) - 1)])
            for u, step in zip(uniforms, steps, strict=True)
        ]
        device = logits_BV.device
        u_B1 = torch.tensor(u, dtype=torch.float64, device=device)[:, None]
        heat_B1, most_B1, top_p_B1 = columns(params, device)
        scaled_BV = logits_BV / heat_B1.to(logits_BV.dtype)
        token_B = torch.empty(len(rows), dtype=torch.long, device=device)
        for cut in (False, True):
            some = [i for i, p in enumerate(params) if is_cut(p) == cut]
            if some and cut:
                cuts = most_B1[some], top_p_B1[some]
                token_B[some] = invert_cut_among_few(scaled_BV[some], *cuts, u_B1[some])
            elif some:
                token_B[some] = invert(scaled_BV[some], u_B1[some])
        return token_B

    def of(self, row: int) -> tuple[SamplingParams, np.ndarray | None]:
        """Return how a row chooses, and its uniforms by step; None if it draws nothing."""
        return self._params[row], self._uniforms[row]


def is_cut(params: SamplingParams) -> bool:
    """Whether some words can't be drawn."""
    return params.top_p < 1 or bool(params.top_k)


def columns(
    params: Sequence[SamplingParams], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return temperatures, numbers of likeliest words and their mass, each [B, 1]."""

    def column(values: list[float], dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor(values, dtype=dtype, device=device)[:, None]

    return (
        column([p.temperature for p in params], torch.float32),
        column([float(p.top_k or math.inf) for p in params], torch.float64),
        column([p.top_p for p in params], torch.float64),
    )


def invert(scaled_BV: torch.Tensor, u_B1: torch.Tensor) -> torch.Tensor:
    """Pick from the whole distribution, in the order of the vocabulary.

    The cumulative sum is taken over blocks of words in float64, then within the block chosen.
    """
    p_BV = (scaled_BV - scaled_BV.amax(dim=1, keepdim=True)).exp_()
    short = -p_BV.shape[1] % _BLOCK
    p_BJW = torch.nn.functional.pad(p_BV, (0, short)).unflatten(1, (-1, _BLOCK))
    cumulative_BJ = p_BJW.sum(dim=2, dtype=torch.float64).cumsum(dim=1)
    goal_B1 = u_B1 * cumulative_BJ[:, -1:]
    block_B = (cumulative_BJ <= goal_B1).sum(dim=1).clamp(max=cumulative_BJ.shape[1] - 1)
    rows = torch.arange(len(p_BV), device=p_BV.device)
    before_B1 = torch.nn.functional.pad(cumulative_BJ, (1, 0))[rows, block_B][:, None]
    inside_BW = before_B1 + p_BJW[rows, block_B].double().cumsum(dim=1)
    within_B = (inside_BW <= goal_B1).sum(dim=1)
    # rounding can leave a last sliver: never pick a word of probability zero
    last_B = (p_BJW[rows, block_B] > 0) * torch.arange(_BLOCK, device=p_BV.device)
    chosen: torch.Tensor = block_B * _BLOCK + within_B.minimum(last_B.amax(dim=1))
    return chosen


def invert_cut(
    scaled_BV: torch.Tensor, most_B1: torch.Tensor, top_p_B1: torch.Tensor, u_B1: torch.Tensor
) -> torch.Tensor:
    """Pick from the likeliest words that top-k and top-p leave, the likeliest first."""
    sorted_BV, token_BV = scaled_BV.double().sort(dim=-1, descending=True, stable=True)
    rank_V = torch.arange(scaled_BV.shape[1], device=scaled_BV.device)
    p_BV = sorted_BV.masked_fill(rank_V >= most_B1, -torch.inf).softmax(dim=-1)
    return _pick(p_BV, token_BV, top_p_B1, u_B1)[0]


def invert_cut_among_few(
    scaled_BV: torch.Tensor, most_B1: torch.Tensor, top_p_B1: torch.Tensor, u_B1: torch.Tensor
) -> torch.Tensor:
    """Do as ``invert_cut``, but look at a few words first, and at more where these don't suffice.

    Where words are equally likely the first in the vocabulary comes first, as there.
    """
    top_BK, token_BK = scaled_BV.topk(min(_FEW, scaled_BV.shape[1]), dim=-1)
    token_BK, order_BK = token_BK.sort(dim=-1)
    top_BK, again_BK = top_BK.gather(1, order_BK).sort(dim=-1, descending=True, stable=True)
    token_BK = token_BK.gather(1, again_BK)
    few, best_B1 = top_BK.shape[1], top_BK[:, :1]
    p_BK = (top_BK.double() - best_B1.double()).exp()
    p_BK = p_BK.masked_fill(torch.arange(few, device=p_BK.device) >= most_B1, 0.0)
    all_B1 = (scaled_BV - best_B1).exp_().sum(dim=-1, keepdim=True, dtype=torch.float64)
    total_B1 = torch.where(most_B1 <= few, p_BK.sum(dim=-1, keepdim=True), all_B1)
    chosen_B, num_B = _pick(p_BK / total_B1, token_BK, top_p_B1, u_B1)
    # words as likely as the last of the few may be missing
    last_B = top_BK.gather(1, (num_B - 1).clamp(min=0)[:, None])[:, 0]
    enough_B = (last_B > top_BK[:, -1]) & ((most_B1 <= few) | most_B1.isinf())[:, 0]
    for i in (~enough_B).nonzero()[:, 0].tolist():
        row = slice(i, i + 1)
        if bool(most_B1[row].isinf()):
            chosen_B[i] = _invert_deep(scaled_BV[i], total_B1[i], top_p_B1[row], u_B1[row])
        else:
            chosen_B[row] = invert_cut(scaled_BV[row], most_B1[row], top_p_B1[row], u_B1[row])
    return chosen_B


def _invert_deep(
    scaled_V: torch.Tensor, total_1: torch.Tensor, top_p_11: torch.Tensor, u_11: torch.Tensor
) -> torch.Tensor:
    """Pick from a row's likeliest words that make up ``top_p``, of which there are many.

    Those at most some nats below the likeliest are sorted: words beyond can't stay once these make
    up ``top_p``. ``total_1`` is the sum of all exponentials, the likeliest's taken as 1.
    """
    best = scaled_V.max()
    for depth in (*_DEPTHS, math.inf):
        # not "at least": where a number is not finite, no word is left out
        token_K = (~(scaled_V < best - depth)).nonzero()[:, 0]
        scaled_K = scaled_V[token_K]
        p_K = (scaled_K.double() - best.double()).exp() / total_1
        if depth == math.inf or bool(p_K.sum() > top_p_11):
            break
    order_K = _likeliest_first(scaled_K)
    return _pick(p_K[None, order_K], token_K[None, order_K], top_p_11, u_11)[0][0]


def _likeliest_first(scaled_K: torch.Tensor) -> torch.Tensor:
    """Return the order of words from the likeliest to the least, equal ones as they stand.

    Integers are sorted that hold a number's bits above and its place below: numpy does that with
    vector instructions, six times as fast as a stable sort.
    """
    # adding zero makes a negative zero equal to zero
    bits_K = (0.0 - scaled_K.float().cpu().numpy() + 0.0).view(np.int32).astype(np.int64)
    bits_K ^= (bits_K >> 63) & 0x7FFFFFFF
    packed_K = (bits_K << 32) | np.arange(len(bits_K))
    packed_K.sort()
    return torch.from_numpy(packed_K & 0xFFFFFFFF).to(scaled_K.device)


def _pick(
    p_BK: torch.Tensor, token_BK: torch.Tensor, top_p_B1: torch.Tensor, u_B1: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the token picked from the likeliest that make up ``top_p`` [B], and how many are."""
    # a token stays if the ones before it do not yet reach top_p, so the first always stays
    before_BK = p_BK.cumsum(dim=-1) - p_BK
    p_BK = p_BK.masked_fill(before_BK >= top_p_B1, 0.0)
    cumulative_BK = p_BK.cumsum(dim=-1)
    pick_B = (cumulative_BK <= u_B1 * cumulative_BK[:, -1:]).sum(dim=-1)
    # none is left if the logits are not finite, which is found out later
    num_B = (p_BK > 0).sum(dim=-1)
    last_B = (num_B - 1).clamp(min=0)
    return token_BK.gather(1, pick_B.minimum(last_B)[:, None])[:, 0], num_B
