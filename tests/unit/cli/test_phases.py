"""``score --judge``: which judges of a run a name, a key or YAML stands for."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from trimtab.cli import phases
from trimtab.core.errors import ConfigError
from trimtab.runs.imports.generations import create_run, read_generations
from trimtab.runs.store.run import Run
from trimtab.runs.work.score import owed


class Folders:
    def folders(self):
        return {}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    file = tmp_path / "answers.jsonl"
    rows = [{"question": f"{i}?", "answer": "Yes", "correct_answers": ["Yes"]} for i in range(3)]
    file.write_text("\n".join(map(json.dumps, rows)))
    return create_run(tmp_path / "run", "run", read_generations(file), "baseline", {})


def owed_of(run: Run) -> dict[str, int]:
    return {judge.component.name: owed(run, judge) for judge in run.judges()}


def test_a_judge_that_is_named_scores_alone_and_the_others_later(run) -> None:
    phases.choose_judges(run, ["exact"])
    phases.score_all([run], [phases.choose_judges(run, ["text_health"])])
    assert owed_of(run) == {"exact": 3, "text_health": 0}
    (exact, _) = run.judges()
    assert phases.choose_judges(run, [exact.key]) == {exact.key}
    phases.score_all([run])
    assert owed_of(run) == {"exact": 0, "text_health": 0}


def test_a_name_that_is_no_whole_configuration_stands_for_the_runs_own_judges(run) -> None:
    api = "{base_url: 'http://x/v1', model: m, api_key_env: null, price: free}"
    with pytest.raises(ConfigError, match="rubric"):
        phases.choose_judges(run, ["rubric"])
    keys = phases.choose_judges(run, [f"{{name: rubric, rubric: info, endpoint: {api}}}"])
    assert phases.choose_judges(run, ["rubric"]) == keys and len(run.judges()) == 1


def test_a_panel_brings_its_members(run) -> None:
    texts = ["{name: panel, judges: [exact, {name: exact, ignore_case: false}]}"]
    assert len(phases.choose_judges(run, texts)) == 3


def test_score_says_that_a_plan_goes_on_and_extends_it(run, monkeypatch, capsys) -> None:
    grown = [SimpleNamespace(fragment=SimpleNamespace(reason="more"), data=Folders()), None]
    monkeypatch.setattr(phases, "grower", lambda _: lambda _: grown.pop(0))
    monkeypatch.setattr(Run, "extend", lambda *_: None)
    phases.choose_judges(run, ["exact"])
    phases.score_all([run])
    said = capsys.readouterr()
    assert "The plan grows: more" in said.err and "next: trimtab fit" in said.out
    phases.score_all([run])
    assert "next: trimtab report" in capsys.readouterr().out
