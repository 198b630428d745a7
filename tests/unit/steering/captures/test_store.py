"""The folder of captures: bounded, least recently used first, nothing that is in use."""

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from trimtab.core.errors import ConfigError, StoreError
from trimtab.core.records import write_json
from trimtab.core.temporary import temporary
from trimtab.steering.captures.store import (
    ABOUT,
    ACTIVATIONS,
    DamagedError,
    Kept,
    Store,
    most_bytes,
    name_of,
)

SIZE = 10_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "captures", 3 * SIZE + 5_000)


def add(store: Store, key: str, layers: tuple[int, ...] = (0,), used: float = 0.0) -> Kept:
    with store.adding(name_of(key, layers)) as folder:
        (folder / ACTIVATIONS).write_bytes(bytes(SIZE))
        write_json(folder / ABOUT, {"hashed": {"key": key}, "layers": list(layers), "rows": 1})
    os.utime(store.folder / name_of(key, layers) / ABOUT, (used, used))
    (one,) = [kept for kept in store.kept() if kept.folder.name == name_of(key, layers)]
    return one


def keys(store: Store) -> list[str]:
    return [kept.folder.name.partition("-")[0] for kept in store.kept()]


def test_the_least_recently_used_go_first_but_none_that_is_read(store: Store) -> None:
    a, b, _ = (add(store, key, used=number) for number, key in enumerate("abc", start=1))
    assert keys(store) == ["a", "b", "c"]
    with store.holding(a) as is_there:
        assert is_there and keys(store) == ["b", "c", "a"], "what is read was used last"
        os.utime(a.folder / ABOUT, (0, 0))
        assert store.make_room(SIZE) is None and keys(store) == ["a", "c"]
        assert not store.remove(a)
        assert "is in use" in store.make_room(3 * SIZE)
        assert keys(store) == ["a"]
    assert store.make_room(3 * SIZE) is None and keys(store) == []
    assert "allows" in store.make_room(4 * SIZE)
    with store.holding(b) as is_there:
        assert not is_there


def test_captures_that_hold_the_layers_are_found_the_smallest_first(store: Store) -> None:
    for layers in ((0, 1, 2, 3), (1, 2, 3), (0, 3)):
        add(store, "a", layers)
    add(store, "b", (1, 2))
    found = [one.layers for one in store.with_key("a", (1, 3))]
    assert found == [(1, 2, 3), (0, 1, 2, 3)]
    assert [one.layers for one in store.with_key("a", (0, 3))] == [(0, 3), (0, 1, 2, 3)]
    assert store.with_key("a", (4,)) == []


def test_what_cannot_be_read_is_not_taken_for_damaged(store: Store, monkeypatch) -> None:
    one = add(store, "a")

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(StoreError, match="No locks available") as error, store.holding(one):
        pass
    assert not isinstance(error.value, DamagedError)
    monkeypatch.undo()
    (one.folder / ACTIVATIONS).write_bytes(b"other")
    with pytest.raises(DamagedError, match="not what was written there"), store.holding(one):
        pass


def test_whoever_waits_for_a_capture_says_so(store: Store) -> None:
    told, done = threading.Event(), threading.Event()

    def second() -> None:
        with store.capturing("a", told.set):
            done.set()

    with store.capturing("a", pytest.fail):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert told.wait(30) and not done.is_set()
    waiting.join()
    assert done.is_set()


def test_what_killed_processes_left_is_swept(store: Store) -> None:
    add(store, "a")
    half = temporary(store.folder / "b-0")
    dead = half.with_name(half.name.replace(f"-{os.getpid()}-", "-4194304-"))
    for folder in (half, dead):
        folder.mkdir()
        (folder / ACTIVATIONS).write_bytes(bytes(SIZE))
    assert store.size() > 3 * SIZE and keys(store) == ["a"]
    assert store.make_room(SIZE) is None
    assert half.is_dir() and not dead.exists() and keys(store) == ["a"]


def test_what_a_full_disk_needs_is_left_to_it(store: Store, monkeypatch) -> None:
    add(store, "a")
    usage = shutil.disk_usage(store.folder)._replace(free=10**9 + SIZE - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert store.make_room(SIZE) == "the disk has 1.00 left"


def test_a_second_one_of_a_name_changes_nothing(store: Store) -> None:
    first = add(store, "a")
    inode = (first.folder / ACTIVATIONS).stat().st_ino
    again = add(store, "a")
    assert (again.folder / ACTIVATIONS).stat().st_ino == inode and len(store.kept()) == 1
    assert not [path for path in store.folder.iterdir() if path.name.endswith(".tmp")]


@pytest.mark.parametrize("said", ["much", "-1", "nan", "inf", "1,5"])
def test_a_bound_that_is_no_size_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_CACHE_GB", said)
    with pytest.raises(ConfigError, match="TRIMTAB_CACHE_GB"):
        most_bytes()
    monkeypatch.setenv("TRIMTAB_CACHE_GB", "1.5")
    assert most_bytes() == 1_500_000_000
    monkeypatch.delenv("TRIMTAB_CACHE_GB")
    assert most_bytes() == 20_000_000_000
