"""How many workers fit, and what is said where none does."""

from trimtab.compute.ray.placement import Request, lacking, room

GIB = 2**30
NODES = [
    {"CPU": 4.0, "memory": 16.0 * GIB},
    {"CPU": 8.0, "GPU": 2.0, "memory": 40.0 * GIB, "node:10.0.0.2": 1.0},
]


def test_each_node_is_filled_by_what_is_scarcest_there() -> None:
    assert room(NODES, Request(2, 0, 4 * GIB)) == 2 + 4
    assert room(NODES, Request(1, 0, 12 * GIB)) == 1 + 3
    assert room(NODES, Request(2, 1, 4 * GIB)) == 2
    assert room([], Request(1, 0, GIB)) == 0


def test_what_no_node_has_is_named() -> None:
    request = Request(2, 4, 4 * GIB)
    assert room(NODES, request) == 0
    assert str(request) == "2 CPUs, 4 GPUs and 4.0 GiB of memory"
    assert lacking(NODES, request) == "the most that one has is 2 GPUs"
    assert lacking(NODES, Request(1, 0, 64 * GIB)).endswith("40.0 GiB of memory")
    assert lacking(NODES[:1], Request(1, 1, GIB)) == "the most that one has is 0 GPUs"
    apart = [{"CPU": 8.0, "memory": GIB}, {"CPU": 1.0, "memory": 8 * GIB}]
    assert lacking(apart, Request(4, 0, 4 * GIB)) == "none has all of that at once"
