"""The import rules hold: the contracts of pyproject.toml, and what each package may load."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Before Python 3.12 pydantic wants the typed dictionaries of typing_extensions.
PYDANTIC = {"pydantic", "pydantic_core", "typing_extensions"}
CORE_MAY_IMPORT = sys.stdlib_module_names | PYDANTIC | {"yaml", "trimtab"}

# Imported to plan a run, so none of their modules may load these.
PLANNING = ("cli", "recipes", "reports", "interventions", "tasks", "judges")
HEAVY = ("torch", "transformers", "matplotlib", "sentence_transformers", "peft", "datasets")


def _run_python(code: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_import_contracts_hold(repo: Path) -> None:
    _run_python(
        "from importlinter import cli; raise SystemExit(cli.lint_imports(no_cache=True))", repo
    )


def test_core_imports_only_what_it_may(repo: Path) -> None:
    breaches = []
    for path in sorted((repo / "src" / "trimtab" / "core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            breaches += [
                f"{path.name}:{node.lineno} {name}"
                for name in names
                if name.split(".")[0] not in CORE_MAY_IMPORT
            ]
    assert breaches == []


@pytest.mark.parametrize("package", PLANNING)
def test_planning_loads_nothing_heavy(repo: Path, package: str) -> None:
    modules = [
        ".".join(path.relative_to(repo / "src").with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((repo / "src" / "trimtab" / package).rglob("*.py"))
    ]
    guilty = json.loads(
        _run_python(
            "import importlib, json, sys\n"
            "guilty = {}\n"
            f"for name in {modules!r}:\n"
            "    importlib.import_module(name)\n"
            f"    for heavy in {HEAVY!r}:\n"
            "        if heavy in sys.modules:\n"
            "            guilty.setdefault(heavy, name)\n"
            "print(json.dumps(guilty))",
            repo,
        )
    )
    assert guilty == {}, "library: the first module after whose import it was loaded"


def test_importing_the_package_loads_no_submodule(repo: Path) -> None:
    loaded = _run_python(
        "import sys, trimtab; print(sorted(m for m in sys.modules if m.startswith('trimtab.')))",
        repo,
    )
    assert loaded.strip() == "[]"
