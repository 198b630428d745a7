"""Networks of our own: those behind energies, and one that makes steering vectors.

Energies (an encoder, a head on activations, a LoRA verifier) are unbounded float32 numbers, lower
is better.

Shapes: B candidates, T tokens (padded on the right), H width, A attention heads, D = H / A.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F  # everyone's name for it

Size = Literal["small", "ouroboros"]


@dataclass(frozen=True)
class EncoderShape:
    """Numbers of an encoder.

    Attributes:
        layers: Blocks.
        width: H.
        heads: A.
        vocabulary: Most tokens of its tokenizer.
        max_length: Most tokens of a pair.
        dropout: Share of the residual updates that is dropped in training.
    """

    layers: int
    width: int
    heads: int
    vocabulary: int
    max_length: int
    dropout: float


SIZES: dict[Size, EncoderShape] = {
    "small": EncoderShape(4, 128, 4, 2048, 768, 0.1),
    "ouroboros": EncoderShape(12, 512, 8, 16384, 2048, 0.1),
}


class Encoder(nn.Module):
    """A bidirectional transformer: pre-norm, rotary positions, padding masked everywhere.

    The energy is the mean over the answer's tokens of a two-layer network on each token's state.
    The size ``ouroboros`` is that of a published reranker (12 layers, 512 wide, 8 heads), which
    had a sigmoid on its energies and let padding into the mean; here neither.
    """

    def __init__(
        self, shape: EncoderShape, vocabulary: int, *, loops: int = 1, positions: bool = True
    ) -> None:
        """Make random weights from torch's generator.

        Args:
            shape: Its size.
            vocabulary: Tokens of the tokenizer; token 0 is padding.
            loops: Times that the stack of blocks is applied, with the same weights.
            positions: Without, the states don't know where a token stands: an ablation.
        """
        super().__init__()
        self.loops = loops
        self.positions = positions
        self.head_width = shape.width // shape.heads
        self.embedding = nn.Embedding(vocabulary, shape.width)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=1e-6)
        self.energy = nn.Sequential(
            nn.Linear(shape.width, shape.width // 2), nn.GELU(), nn.Linear(shape.width // 2, 1)
        )

    def forward(
        self, ids_BT: torch.Tensor, length_B: torch.Tensor, answer_from_B: torch.Tensor
    ) -> torch.Tensor:
        """Return energies [B].

        Args:
            ids_BT: Token ids, padded on the right with anything.
            length_B: Tokens of each row without padding.
            answer_from_B: Position of the first token of each row's answer.
        """
        position_T = torch.arange(ids_BT.shape[1], device=ids_BT.device)
        real_BT = position_T < length_B[:, None]
        h_BTH = self.embedding(ids_BT)
        turn = _rotation(position_T, self.head_width) if self.positions else None
        for _ in range(self.loops):
            for block in self.blocks:
                h_BTH = block(h_BTH, real_BT[:, None, None, :], turn)
        energy_BT = self.energy(self.norm(h_BTH)).squeeze(-1)
        judged_BT = real_BT & (position_T >= answer_from_B[:, None])
        summed_B = torch.where(judged_BT, energy_BT, 0.0).sum(dim=1)
        result: torch.Tensor = summed_B / judged_BT.sum(dim=1)
        return result


class _Block(nn.Module):
    """Attention, then a gated feed-forward network."""

    def __init__(self, shape: EncoderShape) -> None:
        super().__init__()
        width, inner = shape.width, 8 * shape.width // 3 // 8 * 8
        self.heads = shape.heads
        self.norm1, self.norm2 = (nn.RMSNorm(width, eps=1e-6) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(
        self,
        h_BTH: torch.Tensor,
        mask_B11T: torch.Tensor,
        turn: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> torch.Tensor:
        batch, length, _ = h_BTH.shape
        qkv = self.qkv(self.norm1(h_BTH)).view(batch, length, 3, self.heads, -1)
        q_BATD, k_BATD, v_BATD = qkv.permute(2, 0, 3, 1, 4)
        if turn is not None:
            q_BATD, k_BATD = _turned(q_BATD, turn), _turned(k_BATD, turn)
        mixed = F.scaled_dot_product_attention(q_BATD, k_BATD, v_BATD, attn_mask=mask_B11T)
        h_BTH = h_BTH + self.dropout(self.out(mixed.transpose(1, 2).reshape(h_BTH.shape)))
        gate, up = self.gate_up(self.norm2(h_BTH)).chunk(2, dim=-1)
        result: torch.Tensor = h_BTH + self.dropout(self.down(F.silu(gate) * up))
        return result


def _rotation(position_T: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosine and sine [T, width] of rotary positions (Su et al. 2021, arXiv 2104.09864)."""
    exponent = torch.arange(0, width, 2, device=position_T.device) / width
    angle = position_T[:, None] / 10000.0**exponent
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def _turned(x_BATD: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    first, second = x_BATD.chunk(2, dim=-1)
    return x_BATD * turn[0] + torch.cat([-second, first], dim=-1) * turn[1]


def _standardise(shift: torch.Tensor, scale: torch.Tensor, x_NW: torch.Tensor) -> None:
    """Set the buffers [W] to the mean and the inverse spread of ``x_NW``."""
    x_NW = x_NW.double()
    spread = x_NW.std(dim=0, correction=0)
    shift.copy_(x_NW.mean(dim=0))
    scale.copy_(torch.where(spread > 1e-6, 1 / spread.clamp(min=1e-6), 0.0))


class Head(nn.Module):
    """A small network on a vector per candidate; its inputs are standardised by the fit split's."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, width: int, inner: int = 64) -> None:
        """Make random weights; ``inner`` 0 is a linear model.

        Args:
            width: Numbers per candidate.
            inner: Width of the layer between.
        """
        super().__init__()
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.energy = (
            nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, 1))
            if inner
            else nn.Linear(width, 1)
        )

    def standardise(self, x_NW: torch.Tensor) -> None:
        """Take mean and spread of the inputs from ``x_NW``; a constant input counts as 0."""
        _standardise(self.shift, self.scale, x_NW)

    def forward(self, x_BW: torch.Tensor) -> torch.Tensor:
        """Return energies [B] of float32 inputs [B, W]."""
        result: torch.Tensor = self.energy((x_BW - self.shift) * self.scale).squeeze(-1)
        return result


class VectorNet(nn.Module):
    """Maps a steering vector, and if asked a prompt's state, to a vector of the same length.

    The output is the input turned: a network of one hidden layer gives what is added to the
    input's direction, and the sum is scaled to the input's norm. The last layer begins at zero, so
    an untrained network returns its input.
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, hidden: int, inner: int, *, reads_state: bool) -> None:
        """Make random weights from torch's generator.

        Args:
            hidden: H, the width of the residual stream.
            inner: Width of the layer between.
            reads_state: A state is part of the input.
        """
        super().__init__()
        self.register_buffer("shift", torch.zeros(hidden))
        self.register_buffer("scale", torch.ones(hidden))
        self.reads_state = reads_state
        self.first = nn.Linear(hidden * (2 if reads_state else 1), inner)
        self.last = nn.Linear(inner, hidden)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def standardise(self, state_NH: torch.Tensor) -> None:
        """Take mean and spread of the states from ``state_NH``; a constant number counts as 0."""
        _standardise(self.shift, self.scale, state_NH)

    def forward(self, vector_BH: torch.Tensor, state_BH: torch.Tensor | None) -> torch.Tensor:
        """Return vectors [B, H], each as long as its input, none of which may be zero.

        Args:
            vector_BH: Vectors [B, H] of any length.
            state_BH: States [B, H], if the network reads them.
        """
        norm_B1 = vector_BH.norm(dim=-1, keepdim=True)
        # numbers of about unit size, whatever the width
        input_BH = vector_BH / norm_B1 * vector_BH.shape[-1] ** 0.5
        seen = input_BH
        if self.reads_state:
            assert state_BH is not None, "this network reads states"
            seen = torch.cat([input_BH, (state_BH - self.shift) * self.scale], dim=-1)
        turned_BH = input_BH + self.last(F.gelu(self.first(seen)))
        result: torch.Tensor = turned_BH / turned_BH.norm(dim=-1, keepdim=True) * norm_B1
        return result
