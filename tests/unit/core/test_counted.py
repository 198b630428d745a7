"""One of something, and several."""

from trimtab.core.counted import counted


def test_one_and_several() -> None:
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert counted(1, "cluster is", "clusters are") == "1 cluster is"
    assert counted(3, "cluster is", "clusters are") == "3 clusters are"
