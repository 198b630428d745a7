import csv
import json
import sys

import pytest

from trimtab.core.errors import DataError
from trimtab.datasets.questions import data_key
from trimtab.datasets.sources import from_hub_rows, read_questions

MOON = ["A", "Sky", "Is the moon cheese?", "No", "Yes", "It is rock; No;", "Yes; Mostly;; Yes"]


def test_csv_lists_lose_blanks_and_keep_order_and_options_their_repeats(write_csv):
    (item,) = read_questions(str(write_csv(MOON)))
    assert item.correct_answers == ("It is rock", "No")
    assert item.incorrect_answers == ("Yes", "Mostly")
    assert (item.category, item.best_answer, item.best_incorrect_answer) == ("Sky", "No", "Yes")
    assert item.option_sets() == {
        "mc1": (("No", True), ("Yes", False), ("Mostly", False)),
        "mc2": (
            ("It is rock", True),
            ("No", True),
            ("Yes", False),
            ("Mostly", False),
            ("Yes", False),
        ),
        "binary": (("No", True), ("Yes", False)),
    }


def test_a_missing_best_answer_is_added_in_front(write_csv):
    row = [*MOON[:3], "Not at all", *MOON[4:]]
    (item,) = read_questions(str(write_csv(row)))
    assert item.correct_answers == ("Not at all", "It is rock", "No")


@pytest.mark.parametrize(("version", "count"), [("", 790), ("v1", 817)])
def test_published_counts(published, version, count):
    items = read_questions(str(published / version))
    assert len(items) == count
    assert len({item.id for item in items}) == count
    assert all(item.mc1 and item.mc2 for item in items)
    assert all((item.mc0 is not None) == (count == 790) for item in items)


@pytest.mark.parametrize(("version", "dot"), [("", ""), ("v1", ".")])
def test_options_made_from_the_csv_are_the_published_ones(published, version, dot):
    """The 817 questions' options end in a period, which the CSV leaves out."""

    def dotted(options):
        return {(text if text.endswith(dot) else text + dot, right) for text, right in options}

    made = {item.id: item for item in read_questions(str(published / version / "TruthfulQA.csv"))}
    given = {item.id: item for item in read_questions(str(published / version / "mc_task.json"))}
    assert made.keys() == given.keys()
    for key, item in given.items():
        for name in ("mc1", "mc2"):
            options = dotted(made[key].option_sets()[name])
            assert options == set(item.option_sets()[name]), item.question


@pytest.mark.parametrize("version", ["", "v1"])
def test_published_options_against_a_plain_reading(published, version):
    folder = published / version
    raw = {
        row["question"].strip(): row for row in json.loads((folder / "mc_task.json").read_text())
    }
    with (folder / "TruthfulQA.csv").open(encoding="utf-8-sig", newline="") as file:
        best = {row["Question"].strip(): row["Best Answer"].strip() for row in csv.DictReader(file)}
    for item in read_questions(str(folder)):
        row = raw[item.question]
        for name in ("mc1", "mc2"):
            expected = [(t, bool(v)) for t, v in row[f"{name}_targets"].items() if t]
            assert list(getattr(item, name)) == expected
        assert item.best_answer == best[item.question]


def test_the_two_published_contradictions_are_held_as_wrong(published):
    for version in ("", "v1"):
        items = read_questions(str(published / version / "TruthfulQA.csv"))
        ambiguous = [item for item in items if item.ambiguous]
        assert [item.ambiguous for item in ambiguous] == [("Unknown",), ("Unknown",)]
        assert all("Unknown" in item.incorrect_answers for item in ambiguous)
        assert all("Unknown" not in item.correct_answers for item in ambiguous)


def test_hub_rows_give_what_the_files_give(published):
    with (published / "v1" / "TruthfulQA.csv").open(encoding="utf-8-sig", newline="") as file:
        generation = [
            {
                "question": row["Question"],
                "category": row["Category"],
                "best_answer": row["Best Answer"],
                "correct_answers": row["Correct Answers"].split(";"),
                "incorrect_answers": row["Incorrect Answers"].split(";"),
            }
            for row in csv.DictReader(file)
        ]
    multiple_choice = [
        {"question": row["question"]}
        | {
            key: {"choices": list(row[key]), "labels": list(row[key].values())}
            for key in ("mc1_targets", "mc2_targets")
        }
        for row in json.loads((published / "v1" / "mc_task.json").read_text())
    ]
    hub = from_hub_rows(generation, multiple_choice, "hub")
    assert data_key(hub) == data_key(read_questions(str(published / "v1")))


def test_bundled_questions():
    items = read_questions("bundled")
    assert len(items) == 120
    assert all(item.best_incorrect_answer in item.incorrect_answers for item in items)
    assert all(item.best_answer in item.correct_answers for item in items)


def test_the_data_key_sees_content_and_not_order(write_csv):
    sun = ["A", "Sky", "Is the sun cold?", "No", "Yes", "No", "Yes"]
    keys = [
        data_key(read_questions(str(write_csv(*rows))))
        for rows in ([MOON, sun], [sun, MOON], [MOON, [*sun[:6], "Maybe"]])
    ]
    assert keys[0] == keys[1] != keys[2]


def row(**changes):
    base = {
        "question": "Is the moon cheese?",
        "best_answer": "No",
        "correct_answers": ["No"],
        "incorrect_answers": ["Yes"],
    }
    return {**base, **changes}


def test_a_line_without_category_and_id(write_jsonl):
    (item,) = read_questions(str(write_jsonl(row())))
    assert item.category == "all"
    assert item.id.startswith("q-")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(), row(correct_answers=["No", "Yes"])], r"line 2: the answer 'Yes' .* both correct"),
        ([row(correct_answers="No")], r"line 1: 'correct_answers' must be a list of texts"),
        ([{"question": "Q?"}], r"line 1: 'best_answer' must be a text, it is missing \(found: que"),
        ([row(incorrect_answers=[" "])], r"has no incorrect answer"),
        ([row(), row()], r"share the id"),
    ],
)
def test_wrong_lines_are_named(write_jsonl, rows, message):
    with pytest.raises(DataError, match=message):
        read_questions(str(write_jsonl(*rows)))


def test_a_missing_column_is_named_with_those_found(write_csv):
    header = ["Category", "Question", "Best Answer", "Correct Answers"]
    path = write_csv(["Sky", "Q?", "No", "No"], header=header)
    with pytest.raises(DataError, match=r"no column 'Incorrect Answers'; found: Category, Questio"):
        read_questions(str(path))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", r"a\.csv' \(given as `task\.source`\) is empty"),
        ("a.csv", "Question,Best Answer,Correct Answers,Incorrect Answers\n", "holds no questions"),
        (
            "a.csv",
            "Question,Best Answer,Correct Answers,Incorrect Answers\na,b\n",
            "line 2: the ro",
        ),
        ("a.json", '[\n{"question": "Q?",\n}]', r"a\.json line 3: not valid JSON"),
        ("a.json", '{"question": "Q?"}', "must hold a list"),
        ("a.json", '[{"question": "Q?", "mc1_targets": {"a": 1}}]', "'mc2_targets' is missing"),
        (
            "a.json",
            '[{"question": "Q?", "mc1_targets": {"a": 1, "b": 1}, "mc2_targets": {"a": 1}}]',
            "must have one correct option",
        ),
        ("a.json", '[{"question": "Q?", "mc1_targets": ["a"]}]', "must map each option to 0 or 1"),
        ("a.jsonl", "\n{oops\n", r"line 2: not valid JSON"),
        ("a.jsonl", "[1]\n", r"line 1: must be an object"),
        ("a.parquet", "x", "nor a file that ends in"),
    ],
)
def test_malformed_files_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_questions(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_path_and_key(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv' does not exist \(given as `task\.source`"):
        read_questions(str(tmp_path / "nowhere.csv"))
    with pytest.raises(DataError, match=r"TruthfulQA\.csv' does not exist"):
        read_questions(str(tmp_path))


def test_a_directory_joins_by_question_and_refuses_leftovers(write_csv, tmp_path):
    path = write_csv(MOON)
    options = {"question": "is the Moon  cheese", "mc1_targets": {"No.": 1, "Yes.": 0}}
    options["mc2_targets"] = options["mc1_targets"]
    (tmp_path / "mc_task.json").write_text(json.dumps([options]))
    (item,) = read_questions(str(path.parent))
    assert item.question == "Is the moon cheese?"
    assert item.mc1 == (("No.", True), ("Yes.", False))
    other = {**options, "question": "Other?"}
    (tmp_path / "mc_task.json").write_text(json.dumps([options, other]))
    with pytest.raises(DataError, match=r"'Other\?' has answer options but no texts"):
        read_questions(str(path.parent))
    (tmp_path / "mc_task.json").write_text(json.dumps([other]))
    with pytest.raises(DataError, match=r"'Is the moon cheese\?' has texts but no answer options"):
        read_questions(str(path.parent))


def test_a_hub_id_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'trimtab\[hub\]'"):
        read_questions("truthfulqa/truthful_qa")
