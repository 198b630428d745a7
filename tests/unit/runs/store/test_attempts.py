"""Attempts are numbered without gaps or sharing, and name what changed since the last one."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.core.errors import ConfigError, StoreError
from trimtab.core.records import read_json, write_json
from trimtab.runs.store import manifest as manifests
from trimtab.runs.store.attempts import open_attempt, recorded_threads, require_same_code


def test_attempts_are_numbered_and_warn_only_of_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    first = open_attempt(tmp_path, ["trimtab", "run"], {"template": "aa"})
    second = open_attempt(tmp_path, ["trimtab", "resume"], {"template": "aa"})
    assert (first.number, first.dir, first.warnings) == (1, tmp_path / "attempts" / "0001", ())
    assert (second.number, second.warnings) == (2, ())
    manifest = read_json(second.dir / "manifest.json")
    write_json(
        second.dir / "manifest.json",
        {**manifest, "packages": {**manifest["packages"], "torch": "0.1"}},
        sealed=True,
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    third = open_attempt(tmp_path, ["trimtab", "resume"], {"template": "bb", "grown": "cc"})
    torch = manifest["packages"]["torch"]
    assert third.warnings == (
        f"torch 0.1 -> {torch}",
        "OMP_NUM_THREADS none -> 3",
        "template aa -> bb",
    )
    assert third.log_file.parent == third.dir


def test_a_worker_of_other_code_is_refused_until_that_code_is_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_same_code(tmp_path)  # nobody has begun
    open_attempt(tmp_path, ["trimtab", "run"], {})
    require_same_code(tmp_path)
    ours = manifests.code()
    monkeypatch.setattr(manifests, "code", lambda: {**ours, "source": "another"})
    with pytest.raises(ConfigError, match=f"source another.*{ours['source']}.*attempt 1"):
        require_same_code(tmp_path)
    open_attempt(tmp_path, ["trimtab", "work"], {}, other_code=True)
    with pytest.raises(ConfigError, match="attempt 1"):  # who was let in is no measure for others
        require_same_code(tmp_path)
    open_attempt(tmp_path, ["trimtab", "resume"], {})
    require_same_code(tmp_path)


def test_an_attempt_killed_at_its_start_is_skipped(tmp_path: Path) -> None:
    open_attempt(tmp_path, [], {"data": "old"})
    (tmp_path / "attempts" / "0002").mkdir()
    third = open_attempt(tmp_path, [], {"data": "new"})
    assert (third.number, third.warnings) == (3, ("data old -> new",))


def test_a_run_remembers_the_threads_it_began_with(tmp_path: Path) -> None:
    assert recorded_threads(tmp_path) is None
    open_attempt(tmp_path, [])
    assert recorded_threads(tmp_path) is None
    (tmp_path / "attempts" / "0002").mkdir()
    assert open_attempt(tmp_path, [], threads=4).number == 3
    later = open_attempt(tmp_path, [], threads=2)
    assert recorded_threads(tmp_path) == 4
    assert later.warnings == (), "the choice itself is told by who makes it"


def test_processes_never_share_an_attempt(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    code = """
        import sys
        from pathlib import Path
        from trimtab.runs.store.attempts import open_attempt
        sys.stdin.readline()
        for _ in range(4):
            print(open_attempt(Path(sys.argv[1]), ["run"]).number)
    """
    processes = [start(code, tmp_path) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    numbers = [int(n) for p in processes for n in p.communicate(timeout=60)[0].split()]
    assert sorted(numbers) == list(range(1, 13))


def test_keys_on_the_command_line_are_not_written_down(tmp_path: Path) -> None:
    command = ["run", "judge.api_key=sk-1", "--api-key", "sk-2", "max_tokens=64", "hf_token=sk-3"]
    attempt = open_attempt(tmp_path, command)
    assert "sk-" not in (attempt.dir / "manifest.json").read_text()
    kept = ["run", "judge.api_key=***", "--api-key", "***", "max_tokens=64", "hf_token=***"]
    assert read_json(attempt.dir / "manifest.json")["command"] == kept


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "attempts").write_text("a file is in the way")
    with pytest.raises(StoreError, match="attempts/0001 can't be made"):
        open_attempt(tmp_path, [])
