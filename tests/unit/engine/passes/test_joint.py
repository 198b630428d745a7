"""Attention in fixed shapes against a softmax per row over the keys it sees."""

import numpy as np
import pytest
import torch

from trimtab.engine.passes.joint import Shared, attend_jointly, hide_unseen, sees_own

ROWS, HEADS, QUERIES, DIM = 5, 2, 3, 8
STEPS = [0, 3, 1, 6, 2]
SLOTS = np.array([2, 0, 2, 2, 1])
LENGTHS = np.array([4, 0, 7])
STARTS = np.array([3, 0, 0])


def slow(q, seen, softcap):
    """One row, one head: softmax over the (key, value) pairs it sees."""
    scores = torch.stack([q @ key for key, _ in seen])
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    return scores.softmax(0) @ torch.stack([value for _, value in seen])


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_each_row_sees_its_past_and_its_own(window, softcap) -> None:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    q = normal(ROWS, HEADS, QUERIES, DIM)
    past, own = (
        (normal(size, HEADS, length, DIM), normal(size, HEADS, length, DIM))
        for size, length in ((4, 9), (ROWS, 8))
    )
    # more slots and wider groups than there are: rungs leave room
    table = Shared.empty(ROWS, HEADS, (4, 4), torch.device("cpu"))
    table.fill(SLOTS, LENGTHS[SLOTS], STARTS[SLOTS])
    first = torch.from_numpy(STARTS[SLOTS] + LENGTHS[SLOTS])
    step = torch.tensor(STEPS)
    visible = [table.sees(first + step, 9, window), sees_own(step, 8, window)]
    out = attend_jointly(q, [(table, past)], own, hide_unseen(visible), softcap)
    for b in range(ROWS):
        for k in range(HEADS):
            slot, position = SLOTS[b], int(first[b]) + STEPS[b]
            keys = [(STARTS[slot] + s, (slot, k, s), past) for s in range(LENGTHS[slot])]
            keys += [(int(first[b]) + s, (b, k, s), own) for s in range(STEPS[b] + 1)]
            seen = [
                (pair[0][at], pair[1][at])
                for where, at, pair in keys
                if window is None or position - where < window
            ]
            for r in range(QUERIES):
                wanted = slow(q[b, k, r], seen, softcap)
                torch.testing.assert_close(out[b, k, r], wanted, atol=1e-5, rtol=1e-5)


def test_filling_anew_forgets_the_groups_of_before() -> None:
    used, fresh = (Shared.empty(3, 1, (3, 2), torch.device("cpu")) for _ in range(2))
    zeros = np.zeros(3, dtype=np.int64)
    used.fill(np.array([1, 1, 0]), zeros + 5, zeros + 2)
    for table in (used, fresh):
        table.fill(np.array([2, 0, 2]), zeros + 1, zeros)
    for name in ("pick_N", "place_N", "length_B", "start_B"):
        assert torch.equal(getattr(used, name), getattr(fresh, name))
