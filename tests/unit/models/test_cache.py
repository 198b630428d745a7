import os
import threading

import pytest

from trimtab.core.keys import file_sha256
from trimtab.models import cache
from trimtab.models.cache import building, cache_dir, cached_sha256


def test_cache_dir_is_named_by_the_environment(own_cache, monkeypatch):
    assert cache_dir() == own_cache
    monkeypatch.delenv("TRIMTAB_CACHE")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(cache_dir()) == "/home/somebody/.cache/trimtab"


def test_two_builders_do_the_work_once(own_cache):
    target, built, inside = own_cache / "a" / "target", [], threading.Barrier(2, timeout=5)

    def build():
        inside.wait()
        with building(target) as folder:
            if folder is not None:
                built.append(folder)
                (folder / "file").write_text("x")

    workers = [threading.Thread(target=build) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(built) == 1
    assert (target / "file").read_text() == "x"


def test_failed_build_leaves_nothing(own_cache):
    target = own_cache / "target"
    with pytest.raises(RuntimeError), building(target) as folder:
        (folder / "half").write_text("x")
        raise RuntimeError("power cut")
    assert [p.name for p in own_cache.iterdir()] == ["target.lock"]


def test_hash_is_remembered_until_the_file_changes(own_cache, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_SETTLED_S", 0.0)
    path = tmp_path / "weights"
    path.write_text("one")
    first = cached_sha256(path)
    assert first == file_sha256(path) == cached_sha256(path)
    (note,) = (own_cache / "sha256").iterdir()
    note.write_text("f" * 64)
    assert cached_sha256(path) == "f" * 64
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert cached_sha256(path) == file_sha256(path) != first


def test_size_and_time_alone_are_not_trusted(own_cache, tmp_path, monkeypatch):
    path, other = tmp_path / "weights", tmp_path / "other"
    path.write_text("one")
    assert cached_sha256(path) == file_sha256(path)
    assert not (own_cache / "sha256").exists(), "it was written a moment ago"
    monkeypatch.setattr(cache, "_SETTLED_S", 0.0)
    first, times = cached_sha256(path), path.stat()
    path.write_text("two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    second = cached_sha256(path)
    assert second == file_sha256(path) != first
    other.write_text("six")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(path)
    assert cached_sha256(path) == file_sha256(path) != second


def test_what_a_killed_build_left_is_swept_by_the_next(own_cache):
    left = own_cache / ".building-target-abc"
    (left / "target").mkdir(parents=True)
    with building(own_cache / "target") as folder:
        (folder / "file").write_text("x")
    assert sorted(p.name for p in own_cache.iterdir()) == ["target", "target.lock"]
