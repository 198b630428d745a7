"""What a dead process left half written is swept; what somebody writes now is not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trimtab.core import temporary as temporaries
from trimtab.core.temporary import is_left_over, sweep, temporary


def test_only_what_nobody_writes_any_more_is_left_over(tmp_path: Path) -> None:
    mine = temporary(tmp_path / "a.json")
    assert not is_left_over(mine)
    code = "import sys, pathlib; from trimtab.core.temporary import temporary;"
    code += "print(temporary(pathlib.Path(sys.argv[1]) / 'b.json'))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=env
    ).stdout
    dead = Path(said.strip())
    assert is_left_over(dead)
    foreign = tmp_path / ".c.json.00000000-1-00000000.tmp"
    foreign.write_text("")
    assert not is_left_over(foreign)
    os.utime(foreign, (1, 1))
    assert is_left_over(foreign)
    assert not is_left_over(tmp_path / ".hidden.tmp")


def test_a_clock_of_this_machine_that_is_wrong_sweeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time
    foreign = tmp_path / ".c.json.00000000-1-00000000.tmp"
    foreign.write_text("")
    monkeypatch.setattr(time, "time", lambda: right() + 2 * 86400)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [foreign]


def test_where_no_boot_is_known_process_ids_of_others_tell_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporaries, "boot_id", lambda: None)
    temporaries._here.cache_clear()
    other = temporary(tmp_path / "a.json")
    other = other.with_name(other.name.replace(f"-{os.getpid()}-", f"-{2**22 + 1}-"))
    other.write_text("")
    assert is_left_over(other), "it is of this process, which has another id"
    temporaries._here.cache_clear()
    try:
        assert not is_left_over(other), "a machine of this name may write it"
    finally:
        temporaries._here.cache_clear()


def test_files_and_folders_are_swept_and_links_are_not_followed(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    name = ".x.00000000-1-00000000.tmp"
    for folder in (run / "plan", run / "claims", outside):
        folder.mkdir(parents=True)
        (folder / name).write_text("")
        os.utime(folder / name, (1, 1))
    (run / name).mkdir()
    (run / name / "half").write_text("")
    os.utime(run / name, (1, 1))
    (run / "link").symlink_to(outside)
    sweep(run, skip=("claims",))
    assert sorted(p.name for p in run.iterdir()) == ["claims", "link", "plan"]
    assert list((run / "plan").iterdir()) == []
    assert (run / "claims" / name).exists() and (outside / name).exists()
