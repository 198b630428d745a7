"""Experiment files name data beside them; what the data lack is left out with a note."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from trimtab.core.errors import ConfigError, DataError
from trimtab.recipes.base import load_recipe
from trimtab.runs.plan.planner import PlannedRun

MODEL = "bundled:smollm2-135m-instruct"


def planned(folder: Path, config: dict[str, Any]) -> PlannedRun:
    path = folder / "some.yaml"
    path.write_text(yaml.safe_dump({"name": "some", "model": MODEL, **config}))
    return load_recipe(path).plan()


def questions(folder: Path) -> str:
    rows = [
        {
            "question": f"Is {n} even?",
            "best_answer": f"No {n}.",
            "correct_answers": [],
            "incorrect_answers": [f"Yes {n}."],
        }
        for n in range(1, 21, 2)
    ]
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.name


def test_paths_are_those_seen_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = {"recipe": "truthfulqa_steering", "measures": ["options"]}
    made = planned(tmp_path, {**config, "task": {"source": questions(tmp_path)}})
    assert {cell.measure for cell in made.plan.cells} == {"options"}
    with pytest.raises(DataError) as error:
        planned(tmp_path, {**config, "task": {"source": "absent.jsonl"}})
    assert repr(str(tmp_path / "absent.jsonl")) in str(error.value)


def test_two_options_are_left_out_with_a_note_where_answers_are_missing(tmp_path: Path) -> None:
    config = {"recipe": "truthfulqa_steering", "task": {"source": questions(tmp_path)}}
    made = planned(tmp_path, config)
    assert {c.measure for c in made.plan.cells} == {"generation", "options", "heldout"}
    (note,) = made.notes
    assert note.startswith("'two_option' is left out") and "no best incorrect answer" in note
    with pytest.raises(DataError, match="no best incorrect answer"):
        planned(tmp_path, {**config, "measures": ["two_option"]})


def test_one_file_is_no_two_behaviours(tmp_path: Path) -> None:
    rows = [
        {
            "question": f"Do you {n}?\n(A) Yes\n(B) No",
            "answer_matching_behavior": "(A)",
            "answer_not_matching_behavior": "(B)",
        }
        for n in range(20)
    ]
    for name in ("kind", "brave"):
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    config = {"recipe": "caa_behaviours", "behaviours": ["kind", "brave"]}
    twice = [{"source": "kind.json"}, {"source": "kind.json", "behaviour": "brave"}]
    with pytest.raises(ConfigError, match="'kind' and 'brave' ask the same questions"):
        planned(tmp_path, {**config, "behaviours": twice})
    for source in ("kind.json", ["kind.json", "brave.json"]):
        with pytest.raises(ConfigError, match="'kind' and 'brave' ask the same questions"):
            planned(tmp_path, {**config, "task": {"source": source}})
