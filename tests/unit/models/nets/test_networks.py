"""The encoder against a slow one, and what its energies may and may not depend on."""

import math

import pytest
import torch
from torch.nn import functional as F

from trimtab.models.nets.networks import SIZES, Encoder, EncoderShape, Head

SHAPE = EncoderShape(layers=2, width=32, heads=4, vocabulary=50, max_length=64, dropout=0.1)


@pytest.fixture
def encoder():
    def make(**changes) -> Encoder:
        torch.manual_seed(5)
        return Encoder(SHAPE, SHAPE.vocabulary, **changes).eval()

    return make


def energy(encoder: Encoder, rows: list[list[int]], starts: list[int], pad: int = 0, fill: int = 0):
    width = max(map(len, rows)) + pad
    ids = torch.tensor([row + [fill] * (width - len(row)) for row in rows])
    with torch.no_grad():
        return encoder(ids, torch.tensor([len(r) for r in rows]), torch.tensor(starts))


def rows_of(count: int) -> tuple[list[list[int]], list[int]]:
    drawn = torch.Generator().manual_seed(1)
    lengths = torch.randint(5, 30, (count,), generator=drawn).tolist()
    rows = [torch.randint(1, 50, (n,), generator=drawn).tolist() for n in lengths]
    return rows, [n // 2 for n in lengths]


def slow(encoder: Encoder, row: list[int], start: int) -> float:
    """One row, one head, one position at a time, in float64, with complex rotations."""
    h = encoder.embedding.weight[row].double()
    width = encoder.head_width
    for _ in range(encoder.loops):
        for block in encoder.blocks:
            x = rms(h, block.norm1.weight)
            q, k, v = (x @ block.qkv.weight.double().T).split(SHAPE.width, dim=1)
            mixed = torch.zeros_like(h)
            for head in range(SHAPE.heads):
                part = slice(head * width, (head + 1) * width)
                for i in range(len(row)):
                    logits = [rotated(q[i, part], k[j, part], i - j) for j in range(len(row))]
                    weights = torch.softmax(torch.stack(logits) / math.sqrt(width), 0)
                    mixed[i, part] = weights @ v[:, part]
            h = h + mixed @ block.out.weight.double().T
            gate, up = (rms(h, block.norm2.weight) @ block.gate_up.weight.double().T).chunk(2, 1)
            h = h + (F.silu(gate) * up) @ block.down.weight.double().T
    first, _, second = encoder.energy
    inner = F.gelu(rms(h, encoder.norm.weight) @ first.weight.double().T + first.bias.double())
    each = inner @ second.weight.double().T + second.bias.double()
    return float(each[start:].mean())


def rms(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight.double()


def rotated(q: torch.Tensor, k: torch.Tensor, offset: int) -> torch.Tensor:
    half = len(q) // 2
    a, b = torch.complex(q[:half], q[half:]), torch.complex(k[:half], k[half:])
    angle = offset * 10000.0 ** (-torch.arange(half).double() / half)
    return (a * b.conj() * torch.polar(torch.ones(half).double(), angle)).real.sum()


@pytest.mark.parametrize("loops", [1, 2])
def test_it_computes_what_the_slow_one_does(encoder, loops) -> None:
    net = encoder(loops=loops)
    rows, starts = rows_of(4)
    with torch.no_grad():
        expected = [slow(net, row, start) for row, start in zip(rows, starts, strict=True)]
    assert energy(net, rows, starts).tolist() == pytest.approx(expected, abs=1e-5)


def test_padding_changes_nothing(encoder) -> None:
    net = encoder()
    rows, starts = rows_of(12)
    together = energy(net, rows, starts)
    for pad, fill in ((1, 0), (7, 3), (200, 49)):
        assert torch.allclose(energy(net, rows, starts, pad, fill), together, atol=1e-5, rtol=0)
    alone = torch.cat([energy(net, [r], [s]) for r, s in zip(rows, starts, strict=True)])
    assert torch.allclose(alone, together, atol=1e-5, rtol=0)


def test_the_order_of_tokens_matters_only_with_positions(encoder) -> None:
    rows, starts = rows_of(12)
    mixed = [row[:s] + row[s:][::-1] for row, s in zip(rows, starts, strict=True)]
    moved = (energy(encoder(), rows, starts) - energy(encoder(), mixed, starts)).abs()
    assert (moved > 5e-5).all()  # untrained energies all lie close together
    bag = encoder(positions=False)
    assert torch.allclose(energy(bag, rows, starts), energy(bag, mixed, starts), atol=1e-6, rtol=0)


def test_loops_share_their_weights(encoder) -> None:
    once, thrice = encoder(), encoder(loops=3)
    assert sum(p.numel() for p in once.parameters()) == sum(p.numel() for p in thrice.parameters())
    rows, starts = rows_of(3)
    assert not torch.allclose(energy(once, rows, starts), energy(thrice, rows, starts), atol=1e-3)


def test_sizes() -> None:
    shape = SIZES["ouroboros"]
    assert (shape.layers, shape.width, shape.heads) == (12, 512, 8)
    with torch.device("meta"):
        net = Encoder(shape, shape.vocabulary)
    assert 40e6 < sum(p.numel() for p in net.parameters()) < 65e6


def test_a_head_standardises_its_inputs_and_ignores_constants() -> None:
    head = Head(3)
    x_NW = torch.tensor([[1.0, 5.0, 100.0], [3.0, 5.0, 300.0]])
    head.standardise(x_NW)
    assert torch.allclose(
        (x_NW - head.shift) * head.scale, torch.tensor([[-1.0, 0, -1], [1, 0, 1]])
    )
    with torch.no_grad():
        changed = x_NW.clone()
        changed[:, 1] = 77.0
        assert torch.equal(head(changed), head(x_NW))
