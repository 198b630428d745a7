"""``trimtab cache``: what is kept can be looked at and removed, without a model."""

import json
import os
import time
from pathlib import Path

import pytest

from trimtab.cli import cache
from trimtab.core.errors import ConfigError
from trimtab.core.records import write_json
from trimtab.steering.captures.store import ABOUT, ACTIVATIONS, Store, name_of

DAY = 86400


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Three captures of a megabyte, used today, 5 and 10 days ago."""
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRIMTAB_CACHE_GB", "2")
    store = Store.here()
    for key, days in (("aa11", 0), ("ab22", 5), ("cc33", 10)):
        with store.adding(name_of(key, (0, 1, 2, 7))) as folder:
            (folder / ACTIVATIONS).write_bytes(bytes(10**6))
            asked = {"what": "answers of contrast pairs", "read": "last", "rendering": "chat"}
            hashed = {"asked": asked, "model": {"identity": key}}
            about = {"hashed": hashed, "layers": [0, 1, 2, 7], "rows": 48, "model": "tiny/llama"}
            write_json(folder / ABOUT, about, sealed=True)
        used = time.time() - days * DAY
        os.utime(store.folder / name_of(key, (0, 1, 2, 7)) / ABOUT, (used, used))
    return store


def keys(store: Store) -> list[str]:
    return [kept.folder.name.partition("-")[0] for kept in store.kept()]


def test_what_is_kept_is_listed_and_shown(store, capsys) -> None:
    cache.list_kept()
    said = capsys.readouterr().out
    lines = [line for line in said.splitlines() if "tiny/llama" in line]
    assert [line.split()[1].partition("-")[0] for line in lines] == ["aa11", "ab22", "cc33"]
    for word in ("answers of contrast", "0-2, 7", "48", "1.0", "10 days ago"):
        assert word in said
    assert "3 captures, 0.003 of 2 GB in" in said and "turned off" not in said
    cache.show_kept("ab")
    assert json.loads(capsys.readouterr().out)["hashed"]["model"] == {"identity": "ab22"}
    for wrong, words in (("a", "2 captures begin with 'a'"), ("zz", "No capture has the key")):
        with pytest.raises(ConfigError, match=words):
            cache.show_kept(wrong)


def test_a_damaged_one_is_listed_as_such_and_pruned_first(store, capsys) -> None:
    (store.kept()[-1].folder / ABOUT).write_text("{}")
    cache.list_kept()
    assert "damaged" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="is damaged"):
        cache.show_kept("aa11")
    cache.prune(100, False, None)
    assert keys(store) == ["cc33", "ab22"]


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ((7, False, None), ["ab22", "aa11"]),
        ((0, False, None), []),
        ((None, True, None), []),
        ((None, False, 0.0025), ["ab22", "aa11"]),
        ((None, False, 0.0015), ["aa11"]),
        ((None, False, 1.0), ["cc33", "ab22", "aa11"]),
    ],
)
def test_what_is_asked_for_is_removed(store, capsys, asked, left) -> None:
    cache.prune(*asked)
    assert keys(store) == left
    said = capsys.readouterr().out
    assert f"removed {(3 - len(left)) / 1000:.3f} GB; {len(left)} captures are left" in said


def test_none_that_is_read_is_removed(store, capsys) -> None:
    (first, *_) = store.kept()
    with store.holding(first):
        cache.prune(None, True, None)
    assert keys(store) == ["cc33"] and "which runs read now" in capsys.readouterr().out


@pytest.mark.parametrize("asked", [(None, False, None), (1.0, True, None), (None, True, 1.0)])
def test_one_thing_must_be_asked_for(store, asked) -> None:
    with pytest.raises(ConfigError, match="one of --older-than, --all and --to"):
        cache.prune(*asked)
    assert len(store.kept()) == 3


def test_nothing_is_there_or_it_is_off(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "none"))
    cache.list_kept()
    cache.prune(None, True, None)
    said = capsys.readouterr().out
    assert said.startswith("0 captures, 0.000 of 0 GB in") and "it is turned off" in said
    with pytest.raises(ConfigError, match="Nothing is kept"):
        cache.show_kept("a")
