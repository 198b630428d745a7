"""Batches: nothing lost, limits kept, equal prompts side by side, the longest first."""

from hypothesis import given
from hypothesis import strategies as st

from trimtab.engine.batching.scheduler import Load, batches, halved, order, rung

loads = st.lists(
    st.builds(
        Load,
        prompt=st.lists(st.integers(0, 2), max_size=6).map(tuple),
        num_tokens=st.integers(0, 10),
    ),
    max_size=30,
)


@given(loads, st.integers(1, 40))
def test_every_request_lands_in_exactly_one_batch_within_limits(work, most_tokens) -> None:
    cut = batches(work, most_tokens)
    assert sorted(i for batch in cut for i in batch) == list(range(len(work)))
    for batch in cut:
        distinct = {work[i].prompt for i in batch}
        tokens = sum(map(len, distinct)) + sum(work[i].num_tokens for i in batch)
        assert len(batch) == 1 or tokens <= most_tokens


def test_equal_prompts_are_neighbours_and_long_ones_come_first() -> None:
    a, b, c = (1, 2, 3), (3, 2, 1), (1, 1, 1, 1)
    assert order([Load(p, 4) for p in (a, b, a, c, b, a)]) == [3, 0, 2, 5, 1, 4]


def test_rungs_are_near_and_few() -> None:
    for least in (1, 32, 64):
        found = {rung(number, least) for number in range(1, 2000)}
        assert len(found) <= 24
        for number in range(1, 2000):
            assert number <= rung(number, least) <= max(least, 1.5 * number)
            assert rung(rung(number, least), least) == rung(number, least)
            assert least == 1 or rung(number, least) % (least // 2) == 0


def test_a_batch_of_fixed_shape_is_halved_while_half_of_it_is_free() -> None:
    assert [halved(alive, 64) for alive in (64, 33, 32, 17, 16, 1)] == [64, 64, 32, 32, 16, 16]
    assert all(halved(alive, rows) >= alive for rows in range(1, 70) for alive in range(1, rows))
