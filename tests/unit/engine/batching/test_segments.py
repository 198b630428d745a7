"""Rows share what they agree on, block by block, and nothing else."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from trimtab.engine.batching.segments import Segment, common_prefix, span, stages
from trimtab.engine.request import Edit, Window

LAYERS = 4
VECTORS = [torch.ones(2), torch.zeros(2)]
edits = st.builds(
    Edit,
    layer=st.integers(0, LAYERS - 1),
    vector=st.sampled_from(VECTORS),
    strength=st.sampled_from([0.0, 1.0]),
    positions=st.sampled_from(["all", "generated", "last_prompt", Window(1, 3)]),
    site=st.sampled_from(["residual", "heads"]),
)
segments = st.builds(
    Segment,
    tokens=st.lists(st.integers(0, 1), min_size=0, max_size=3).map(tuple),
    start=st.just(2),
    num_prompt=st.just(4),
    edits=st.lists(edits, max_size=2).map(tuple),
)


def told_apart(one: Segment, other: Segment, layer: int) -> bool:
    """Whether two segments with the same past differ on their way into a block."""

    def acting(segment: Segment) -> list[tuple]:
        found = []
        for edit in segment.edits:
            before = edit.layer < layer or (edit.layer == layer and edit.site == "heads")
            where = [p for p in range(2, 2 + len(segment.tokens)) if is_in(p, edit)]
            if before and where:
                found.append((edit.layer, edit.site, id(edit.vector), edit.strength, where))
        return found

    return one.tokens != other.tokens or acting(one) != acting(other)


def is_in(position: int, edit: Edit) -> bool:
    first, stop = span(edit, 4)
    return first <= position < stop


@given(st.lists(segments, min_size=1, max_size=6))
def test_segments_share_a_block_exactly_if_nothing_tells_them_apart(rows) -> None:
    found = stages(rows, [[0] * len(rows)] * LAYERS)
    assert found[0].first_layer == 0
    for layer in range(LAYERS + 1):
        stage = [s for s in found if s.first_layer <= layer][-1]
        for i, one in enumerate(rows):
            for j, other in enumerate(rows):
                same = stage.class_of[i] == stage.class_of[j]
                assert same != told_apart(one, other, layer)
        assert [stage.class_of[owner] for owner in stage.owners] == list(range(len(stage.owners)))


def test_different_pasts_keep_equal_segments_apart() -> None:
    rows = [Segment((1, 2), 3, 4)] * 3
    below = [[0, 0, 0], [0, 0, 1], [0, 1, 2], [0, 1, 2]]
    found = stages(rows, below)
    assert [(s.first_layer, s.class_of) for s in found] == [
        (0, (0, 0, 0)),
        (1, (0, 0, 1)),
        (2, (0, 1, 2)),
    ]


def test_a_common_start_ends_before_any_edit_and_before_the_last_token() -> None:
    common = tuple(range(40))
    late, early = Edit(0, VECTORS[0], 1.0, "generated"), Edit(0, VECTORS[0], 1.0, Window(20, 22))
    assert common_prefix([((*common, 1, 2), ()), ((*common, 3), (late,))]) == 40
    assert common_prefix([((*common, 1, 2), ()), (common, (late,))]) == 39
    assert common_prefix([((*common, 1, 2), ()), ((*common, 3), (early,))]) == 20
    assert common_prefix([(common, ()), (common, (late,))]) == 0
    assert common_prefix([(common[:10], ()), (common[:9], ())]) == 0
