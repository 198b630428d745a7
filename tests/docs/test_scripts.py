"""The example scripts run, and show what they promise."""

import runpy
from pathlib import Path

import pytest


def test_steering_by_hand_changes_the_answer(repo: Path, capsys: pytest.CaptureFixture) -> None:
    runpy.run_path(str(repo / "examples" / "steer_by_hand.py"), run_name="__main__")
    lines = [x for x in capsys.readouterr().out.splitlines() if x[:1] in "+-"]
    texts = {line.partition(":")[0]: line.partition(":")[2] for line in lines}
    assert set(texts) == {"-0.4", "+0.0", "+0.4"}
    assert len(set(texts.values())) == 3 and "Oslo" in texts["+0.0"]
