"""Adding a judge is one file: the one that the documentation shows."""

import re
from pathlib import Path

import pytest

from trimtab.core.errors import ConfigError
from trimtab.judges.base import JUDGES


@pytest.fixture
def documented(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the code block of docs/add-a-judge.md where its text says."""
    text = (repo / "docs" / "add-a-judge.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^`judges/shout\.py`:\n\n```python\n(.*?)^```$", text, re.S | re.M)
    (tmp_path / "judges").mkdir()
    (tmp_path / "judges" / "shout.py").write_text(block, encoding="utf-8")
    monkeypatch.setenv("TRIMTAB_PATH", str(tmp_path))


@pytest.mark.usefixtures("documented")
def test_the_documented_judge_scores(text_item) -> None:
    assert JUDGES.load("shout").__name__ == "Shout"
    judge = JUDGES.build("shout", {"min_letters": 2})
    items = [text_item("HEy! 12"), text_item("A"), text_item(None, error="lost")]
    loud, short, lost = judge.verdicts(items, None)
    assert loud.values == {"shout": pytest.approx(2 / 3)}
    assert (short.values, short.reason, short.error) == ({"shout": None}, "too few letters", None)
    assert (lost.values, lost.error) == ({"shout": None}, "lost")


@pytest.mark.usefixtures("documented")
def test_misspelt_names_and_keys_are_answered() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'shout'"):
        JUDGES.load("shuot")
    with pytest.raises(ConfigError, match="Did you mean 'min_letters'"):
        JUDGES.build("shout", {"min_leters": 2})
