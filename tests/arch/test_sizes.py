"""Modules and functions stay small, say what they are for, and do not print."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "trimtab"
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60
USUAL_MODULE_LINES = 130


def _modules() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def _nodes(*kinds: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, kinds):
                yield path.relative_to(SRC), node


def test_modules_are_small() -> None:
    sizes = {str(p.relative_to(SRC)): len(p.read_text("utf-8").splitlines()) for p in _modules()}
    assert {name: size for name, size in sizes.items() if size > MAX_MODULE_LINES} == {}


def test_the_usual_module_is_small() -> None:
    sizes = [len(p.read_text("utf-8").splitlines()) for p in _modules() if p.stem != "__init__"]
    assert statistics.median(sizes) <= USUAL_MODULE_LINES


def test_functions_are_small() -> None:
    long = {
        f"{path}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path, node in _nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        if node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_nothing_prints() -> None:
    calls = [
        f"{path}:{node.lineno}"
        for path, node in _nodes(ast.Call)
        if isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == [], "the command line writes through rich, the rest through logging"


@pytest.mark.parametrize(
    "package",
    sorted({p.parent for p in _modules() if p.parent.name != "__pycache__"}),
    ids=lambda p: p.name,
)
def test_packages_say_what_they_are(package: Path) -> None:
    init = package / "__init__.py"
    assert init.is_file(), f"{package} holds modules but no __init__.py"
    assert ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")))
