"""Files of rows: CSV and JSON lines alike, and each thing that can be wrong with them in a line."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.core.errors import DataError
from trimtab.datasets.ab import read_ab
from trimtab.datasets.dumps import read_dump
from trimtab.datasets.fields import Cells, list_field
from trimtab.datasets.files import read_json, read_rows
from trimtab.datasets.problems import read_pool
from trimtab.datasets.sources import read_questions
from trimtab.runs.imports.generations import read_generations
from trimtab.runs.imports.labels import read_labels


def file(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (r'{"question": "half \ud83d emoji"}', r"line 2: holds \\ud83d, half of a character"),
        ('{"n": ' + "9" * 5000 + "}", "line 2: holds a number of more than 4,300 digits"),
        ('{"n": ' + "[" * 100_000 + "}", "line 2: nested too deeply"),
        ('{"a": 1, "a": 2}', "line 2: the key 'a' occurs twice"),
        ("[1]", "line 2: must be an object"),
        ("{", "line 2: not valid JSON"),
        (b'{"a": "\xed\xa0\xbd"}', "line 2: not UTF-8"),
    ],
)
def test_a_bad_line_is_named_with_its_file(tmp_path: Path, line: str | bytes, words: str) -> None:
    text = line if isinstance(line, bytes) else line.encode()
    path = file(tmp_path / "rows.jsonl", b'{"question": "fine \\ud83d\\ude00"}\n' + text + b"\n")
    with pytest.raises(DataError, match=words) as error:
        read_rows(path)
    assert str(path.absolute()) in str(error.value) and "\n" not in str(error.value)


def test_the_line_of_half_a_character_in_a_list_is_found(tmp_path: Path) -> None:
    path = file(tmp_path / "list.json", '[\n"fine",\n"\\uDC00"\n]')
    with pytest.raises(DataError, match=r"list\.json line 3: holds \\udc00"):
        read_json(path)


def test_csv_says_what_json_lines_say(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"question": "Why?", "answer": "So;\nbecause", "condition": "a", "num_tokens": 3},
        {"question": "How?", "answer": None, "condition": "b", "correct_answers": ["x", "y"]},
    ]
    lines = file(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0], "correct_answers"])
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "correct_answers": ";".join(row.get("correct_answers", []))})
    table = file(tmp_path / "a.csv", text.getvalue())
    assert read_generations(table) == read_generations(lines)
    assert list_field(Cells({"k": '["a;b", "c"]'}), "k", "here") == ["a;b", "c"]


def test_labels_and_candidates_are_read_from_csv(tmp_path: Path) -> None:
    labels = file(tmp_path / "l.csv", "question,answer,label\nWhy?,So,yes\nHow?,Thus,0\n")
    assert read_labels(labels, None, None, None, 0).labels == [1, 0]
    rows = [
        (f"Anna has {n} pears?", n, f"pears: {n + k}", k == 0, k / 2)
        for n in (1, 2)
        for k in (0, 1)
    ]
    text = "question,gold,text,correct,score\n" + "".join(
        ",".join(map(str, row)) + "\n" for row in rows
    )
    (made,) = read_dump(file(tmp_path / "c.csv", text)).configurations.values()
    assert [[(c.answer, c.correct, c.score) for c in row.candidates] for row in made] == [
        [("1", True, 0.0), ("2", False, 0.5)],
        [("2", True, 0.0), ("3", False, 0.5)],
    ]


@pytest.mark.parametrize(
    ("read", "row", "accepted"),
    [
        (read_generations, {"q": "Why?"}, "question, answer, condition, num_tokens"),
        (lambda path: read_labels(path, None, None, None, 0), {"question": "Why?"}, "label"),
        (read_dump, {"question": "Why?"}, "gold, ground_truth"),
        (lambda path: read_pool(str(path)), {"text": "Why?"}, "question, Question, problem"),
        (lambda path: read_questions(str(path)), {"text": "Why?"}, "best_answer"),
        (read_ab, {"text": "Why?"}, "answer_matching_behavior"),
    ],
)
def test_a_refusal_lists_the_accepted_keys(
    tmp_path: Path, read: Any, row: dict[str, str], accepted: str
) -> None:
    path = file(tmp_path / "rows.jsonl", json.dumps(row) + "\n")
    with pytest.raises(DataError) as error:
        read(path)
    assert accepted in str(error.value) and "rows.jsonl line 1" in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("question,answer,answer\na,b,c\n", "the column 'answer' occurs twice"),
        ("question,answer\na\n", "does not have 2 fields"),
        ('question,answer\n"a,b\n', "unexpected end of data"),
        ("a,b\n1,2\n", "has none of the columns question, answer"),
    ],
)
def test_what_is_wrong_with_csv_is_told(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_generations(file(tmp_path / "some.csv", text))


_ANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_CHARS = "qa{}[]\"':,;\\\n\r\t 0129.-eE+$\u00e9\u0663"
_READERS = {
    "generations": read_generations,
    "labels": lambda path: read_labels(path, None, None, None, 0),
    "candidates": read_dump,
    "problems": lambda path: read_pool(str(path)),
    "questions": lambda path: read_questions(str(path)),
    "ab": read_ab,
}
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(_CHARS, max_size=12),
    st.lists(st.one_of(st.text(_CHARS, max_size=5), st.floats(), st.none()), max_size=3),
    st.just(10**400),
    st.just("3/4"),
    st.just([{"text": "5", "score": "nan"}]),
)
_KEYS = st.sampled_from(
    ["question", "answer", "gold", "candidates", "text", "score", "label", "correct", "energies",
     "candidate_answers", "best_answer", "correct_answers", "incorrect_answers", "num_tokens",
     "answer_matching_behavior", "answer_not_matching_behavior", "prompt", "id", "Body"]
)  # fmt: skip


@_ANY
@pytest.mark.parametrize("kind", _READERS)
@given(rows=st.lists(st.dictionaries(_KEYS, _VALUES, max_size=6), min_size=1, max_size=3))
def test_any_json_lines_are_read_or_refused(
    tmp_path: Path, kind: str, rows: list[dict[str, Any]]
) -> None:
    path = file(tmp_path / "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    try:
        _READERS[kind](path)
    except DataError as error:
        assert "\n" not in str(error)


@_ANY
@pytest.mark.parametrize("kind", ["generations", "labels", "candidates", "problems", "questions"])
@given(body=st.text(_CHARS, max_size=80))
def test_any_csv_is_read_or_refused(tmp_path: Path, kind: str, body: str) -> None:
    header = "question,answer,gold,text,label,correct,candidates\n"
    try:
        _READERS[kind](file(tmp_path / "rows.csv", header + body))
    except DataError as error:
        assert str(error)
