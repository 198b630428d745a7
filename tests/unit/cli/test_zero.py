"""``doctor zero``: passes what is sound, and shows the rows of what is not."""

import re
from pathlib import Path

import pytest
import yaml

from trimtab.cli import zero
from trimtab.core.errors import CheckError, ConfigError
from trimtab.core.home import home
from trimtab.models.tiny import save_tiny

LEAKY = '''
"""Adds something at strength 0, too."""

import torch

from trimtab.engine.request import Edit
from trimtab.interventions.base import Intervention, Treatment
from trimtab.steering.additive import AdditiveConfig

__all__ = ["Leaky"]


class Leaky(Intervention[AdditiveConfig]):
    """A constant beside the strength."""

    Config = AdditiveConfig

    def treat(self, fitted):
        """Return an edit that strength 0 does not turn off."""
        vector = torch.linspace(-1, 1, 32)
        return Treatment(edits=(Edit(1, vector, self.config.strength + 2.0, "generated"),))
'''

SOUND = {
    "caa": {"name": "caa", "layer": 1},
    "dac": {"name": "dac", "num_prompts": 2, "shots": 1, "steps": 3},
    "iti": {"name": "iti", "heads": 2, "strength": 3.0},
    "asked": {"name": "prompt", "system": "Be truthful."},
}
LEAKING = {"leak": {"name": "leaky", "layer": 1, "strength": 1.0}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("zero") / "tiny", "llama")


@pytest.fixture
def write(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that writes an experiment with some conditions."""
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRIMTAB_PATH", str(tmp_path / "mine"))
    (tmp_path / "mine" / "interventions").mkdir(parents=True)
    (tmp_path / "mine" / "interventions" / "leaky.py").write_text(LEAKY.lstrip())

    def make(conditions) -> Path:
        source = {"name": "truthfulqa", "source": "bundled", "limit": 6}
        data = {
            "recipe": "steer",
            "name": "zero",
            "model": {"id": str(model), "device": "cpu"},
            "tasks": {
                "texts": {**source, "form": "generation", "max_tokens": 6},
                "options": {**source, "form": "options"},
            },
            "conditions": conditions,
            "strengths": [0.5],
        }
        path = tmp_path / "zero.yaml"
        path.write_text(yaml.safe_dump(data))
        return path

    return make


def test_what_is_sound_passes_on_every_task_that_it_acts_on(write, capsys) -> None:
    zero.show(write(SOUND), (), 3)
    lines = [line for line in capsys.readouterr().out.splitlines() if ": " in line]
    checked = [
        re.fullmatch(r"pass: (.+) of .+: (\d) of (\d) rows equal \((\w+)\)", x) for x in lines
    ]
    found = {(m[1], m[4]) for m in checked if m}
    assert all(m and (m[2], m[3]) == ("3", "3") for m in checked), lines
    assert {("caa +0", "texts"), ("caa +0", "options"), ("iti, at 0", "options")} <= found
    assert ("dac, at 0", "texts") in found and ("dac, at 0", "options") not in found
    assert not any("asked" in condition for condition, _ in found), "a prompt has no strength"
    assert not (home() / "test_opened.jsonl").exists(), "nothing is judged"


def test_a_planted_fault_is_shown_with_its_rows(write, capsys) -> None:
    config = write({**LEAKING, "caa": SOUND["caa"]})
    with pytest.raises(
        CheckError, match=r"in 2 of \d+ comparisons, the first 'leak, at 0'"
    ) as error:
        zero.show(config, (), 3)
    assert error.value.exit_code == 8
    said = capsys.readouterr().out
    blocks = dict(re.findall(r"^fail: leak, at 0 of .*\((\w+)\)\n((?:  .*\n)+)", said, re.M))
    assert blocks.keys() == {"texts", "options"}
    rows = re.findall(
        r"^  sample \S+: (.+); log-probabilities differ by up to ([\d.e-]+) nats\n"
        r"    baseline:   (.+)\n    strength 0: (.+)\n",
        blocks["options"] + blocks["texts"],
        re.M,
    )
    assert len(rows) == blocks["options"].count("sample") + blocks["texts"].count("sample") >= 4
    for where, nats, baseline, other in rows:
        assert baseline != other and float(nats) > 1e-4
        assert re.match(
            r"token \d+ \(from 0\) is|option \d+ \(from 0\) differs most|one text", where
        )
    assert "pass: caa +0" in said


def test_where_the_batch_matters_it_is_a_warning_as_in_a_run(write, capsys) -> None:
    zero.show(write(LEAKING), ("model.dtype=bfloat16",), 2)
    assert re.search(r"^warn: leak, at 0 of .*reduced precision", capsys.readouterr().out, re.M)


def test_without_a_strength_there_is_nothing_to_check(write) -> None:
    with pytest.raises(ConfigError, match="no intervention has a strength"):
        zero.show(write({"asked": SOUND["asked"]}), (), 3)
