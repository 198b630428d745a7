"""Files that are made once and whole, whoever else tries and whenever the writer dies."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from trimtab.core.config import read_yaml
from trimtab.core.errors import NonFiniteError, StoreError, TrimtabError
from trimtab.core.files import create_whole, remove_half_written, replace_file
from trimtab.core.keys import file_sha256
from trimtab.core.records import create_json, read_json
from trimtab.datasets.files import read_rows, read_text
from trimtab.models.files import read_json as read_model_json

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=ENV, stdin=pipe, stdout=pipe, text=True)


def test_a_file_is_made_once_with_its_folders_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "0001.json"
    assert create_whole(path, b"first")
    assert not create_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert [p.name for p in path.parent.iterdir()] == ["0001.json"], "no temporary file is left"


def test_of_several_processes_one_makes_each_file(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from trimtab.core.records import create_json
        sys.stdin.readline()
        for n in range(50):
            if create_json(Path(sys.argv[1]) / f"{n}.json", [sys.argv[2]] * 2000):
                print(n, flush=True)
    """
    makers = {name: start(code, tmp_path, name) for name in "abc"}
    for maker in makers.values():
        assert maker.stdin is not None
        maker.stdin.write("\n")
        maker.stdin.flush()
    made = {name: maker.communicate(timeout=60)[0].split() for name, maker in makers.items()}
    numbers = [number for some in made.values() for number in some]
    assert sorted(numbers, key=int) == [str(n) for n in range(50)]
    for name, some in made.items():
        for number in some:
            assert read_json(tmp_path / f"{number}.json") == [name] * 2000
    assert len(list(tmp_path.iterdir())) == 50


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_the_link_it_is_there_whole_or_not_at_all(tmp_path: Path, moment: str) -> None:
    code = """
        import os, signal, sys
        from pathlib import Path
        from trimtab.core.files import create_whole
        link = os.link
        def deadly(*arguments):
            if sys.argv[2] == "after":
                link(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)
        os.link = deadly
        create_whole(Path(sys.argv[1]), b"x" * 100_000)
    """
    path = tmp_path / "0001.json"
    writer = start(code, path, moment)
    writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL
    assert path.exists() == (moment == "after")
    remove_half_written(tmp_path)
    assert create_whole(path, b"x" * 100_000) == (moment == "before")
    assert path.read_bytes() == b"x" * 100_000
    assert [p.name for p in tmp_path.iterdir()] == ["0001.json"]


def test_a_full_disk_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    replace_file(tmp_path / "old.json", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for write in (create_whole, replace_file):
            with pytest.raises(StoreError, match=r"No space left.*3 more bytes.*Free space"):
                write(tmp_path / "new.json", b"new")
        with pytest.raises(StoreError, match="Free space"):
            replace_file(tmp_path / "old.json", b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("old.json", b"old")]


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".a.json.1f2e.tmp", ".clock", "b.tmp", "c.json"):
        (tmp_path / name).touch()
    remove_half_written(tmp_path)
    remove_half_written(tmp_path / "absent")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".clock", "b.tmp", "c.json"]


def test_new_json_is_written_as_all_json_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(NonFiniteError, match=r"a\.json would hold .* at 'rates\.1'"):
        create_json(path, {"rates": [0.0, float("inf")]})
    assert not path.exists()
    assert create_json(path, {"b": 0.1, "a": "é"})
    assert path.read_text(encoding="utf-8") == '{\n "a": "é",\n "b": 0.1\n}\n'
    assert not create_json(path, {"b": 0.2}) and json.loads(path.read_bytes())["b"] == 0.1


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_refused_in_one_line_and_never_waited_for(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the names of sockets are short
    path = Path(kind)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    for read in (read_text, read_rows, read_yaml, read_model_json, file_sha256):
        with pytest.raises((OSError, TrimtabError), match=f"it is a (named )?{kind}") as error:
            read(path)
        assert "\n" not in str(error.value)
