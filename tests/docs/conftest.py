"""The documentation's own examples, put where a reader would put them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.core import folder

_FILE = re.compile(
    r"^`((?:tasks|judges|interventions|recipes|sections)/\w+\.py)`:\n\n```python\n(.*?)^```$",
    re.M | re.S,
)


@pytest.fixture(scope="session")
def example_files(repo: Path) -> dict[str, str]:
    """Return the complete files that the pages on adding something show, by relative path."""
    pages = sorted((repo / "docs").glob("add-a*.md"))
    return {name: code for page in pages for name, code in _FILE.findall(page.read_text())}


@pytest.fixture(scope="session")
def extras(tmp_path_factory: pytest.TempPathFactory, example_files: dict[str, str]) -> Path:
    """Return a folder ``extras`` with every example file in it."""
    root = tmp_path_factory.mktemp("docs") / "extras"
    for name, code in example_files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    return root


@pytest.fixture
def beside_extras(extras: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in the folder that holds ``extras``, named in TRIMTAB_PATH; forget it afterwards."""
    monkeypatch.chdir(extras.parent)
    monkeypatch.setenv("TRIMTAB_PATH", str(extras))
    monkeypatch.setattr(folder, "_extensions", [])
    yield extras.parent
