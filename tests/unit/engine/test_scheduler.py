"""Batches: nothing lost, limits kept, equal prompts side by side."""

from hypothesis import given
from hypothesis import strategies as st

from trimtab.engine.scheduler import Load, batches

loads = st.lists(
    st.builds(
        Load,
        kind=st.sampled_from(["text", "options"]),
        prompt=st.lists(st.integers(0, 2), max_size=6).map(tuple),
        num_rows=st.integers(1, 5),
        num_new=st.integers(0, 10),
    ),
    max_size=30,
)


@given(loads, st.integers(1, 12), st.integers(1, 100))
def test_every_request_lands_in_exactly_one_batch_within_limits(work, max_rows, max_slots) -> None:
    cut = batches(work, max_rows, max_slots)
    assert sorted(i for batch in cut for i in batch) == list(range(len(work)))
    for batch in cut:
        assert len({work[i].kind for i in batch}) == 1
        rows = sum(work[i].num_rows for i in batch)
        width = max(len(work[i].prompt) + work[i].num_new for i in batch)
        assert len(batch) == 1 or (rows <= max_rows and rows * width <= max_slots)


def test_equal_prompts_are_neighbours() -> None:
    a, b = (1, 2, 3), (3, 2, 1)
    work = [Load("text", p, 1, 4) for p in (a, b, a, b, a)]
    assert batches(work, 3, 1000) == [[0, 2, 4], [1, 3]]
