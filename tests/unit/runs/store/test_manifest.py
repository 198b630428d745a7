"""The manifest holds what results depend on, and nothing that is secret."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.runs.store.manifest import changes, collect

SOURCE = Path(sys.modules["trimtab"].__file__ or "").parent


def test_it_is_json_without_secrets_and_equals_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    state = collect({"data": "d1"})
    text = json.dumps(state, allow_nan=False)
    assert "sk-secret" not in text
    assert str(Path.home()) not in text
    assert state["environment"]["CUDA_VISIBLE_DEVICES"] == ""
    assert state["packages"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert state["machine"]["cores"] >= 1
    assert state["machine"]["cpu"]
    assert state["inputs"] == {"data": "d1"}
    assert changes(json.loads(text), collect({"data": "d1"})) == []


def test_it_imports_none_of_the_libraries_it_names() -> None:
    code = "import sys; from trimtab.runs.store.manifest import collect; collect(); " + (
        "sys.exit(bool({'torch', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


def test_changes_ignores_what_cannot_change_results() -> None:
    old = {
        "code": {"version": "1", "source": "s", "commit": "c", "dirty": False},
        "packages": {"torch": "2.13.0", "gone": "1"},
        "machine": {"cpu": "A", "memory_gib": 1.0, "platform": "p", "gpus": []},
    }
    new = {
        "code": {"version": "1", "source": "s", "commit": "d", "dirty": True},
        "packages": {"torch": "2.14.0"},
        "machine": {"cpu": "A", "memory_gib": 2.0, "platform": "q", "gpus": ["H", "H"]},
        "environment": {"OMP_NUM_THREADS": "1"},
    }
    assert changes(old, new) == [
        "gone 1 -> none",
        "torch 2.13.0 -> 2.14.0",
        "GPUs none -> H, H",
        "OMP_NUM_THREADS none -> 1",
    ]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_that_of_the_package_and_not_of_a_repository_around_it(
    tmp_path: Path,
) -> None:
    package = tmp_path / "env" / "trimtab"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    code = (
        "import json; from trimtab.runs.store.manifest import collect; print(json.dumps(collect()))"
    )
    others = [p for p in sys.path if p and Path(p) != SOURCE.parent]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package.parent), *others])}
    env["PYTHONDONTWRITEBYTECODE"] = "1"

    def state() -> dict[str, object]:
        done = subprocess.run([sys.executable, "-c", code], env=env, stdout=-1, check=True)
        found: dict[str, object] = json.loads(done.stdout)["code"]
        return found

    (tmp_path / "README").touch()
    for command in (["init", "-q"], ["add", "README"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)
    untracked = state()
    assert (untracked["commit"], untracked["dirty"]) == (None, None)
    for command in (["add", "env"], ["commit", "-qm", "y"]):
        subprocess.run([*git, *command], check=True)
    clean = state()
    assert len(str(clean["commit"])) == 40
    assert clean == {**untracked, "commit": clean["commit"], "dirty": False}
    (package / "__init__.py").write_text('__version__ = "9"\n')
    changed = state()
    assert changed["dirty"] is True
    assert changed["version"] == "9"
    assert changed["source"] != clean["source"]
