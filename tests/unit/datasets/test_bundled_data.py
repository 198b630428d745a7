"""The bundled files keep the promises that their README makes."""

import csv
import json
import re
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "src" / "trimtab" / "datasets" / "data"
TRUTHFULQA = ROOT.parent / "shared" / "data" / "truthfulqa"

MISCONCEPTION_KEYS = {
    "id",
    "category",
    "question",
    "best_answer",
    "best_incorrect_answer",
    "correct_answers",
    "incorrect_answers",
}
NEGATION = re.compile(
    r"\b(no|not|never|none|nothing|nobody|neither|nor|cannot|without)\b|n't", re.IGNORECASE
)


def read_jsonl(name: str) -> list[dict[str, Any]]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def questions() -> list[dict[str, Any]]:
    return read_jsonl("misconceptions.jsonl")


@pytest.fixture(scope="module")
def passages() -> list[dict[str, Any]]:
    return read_jsonl("heldout.jsonl")


def pooled(questions: list[dict[str, Any]], key: str) -> list[str]:
    return [answer for record in questions for answer in record[key]]


def test_misconceptions_have_ten_categories_of_twelve(questions: list[dict[str, Any]]) -> None:
    per_category = Counter(record["category"] for record in questions)
    assert len(per_category) == 10
    assert set(per_category.values()) == {12}
    assert all(set(record) == MISCONCEPTION_KEYS for record in questions)


def test_misconceptions_are_unique(questions: list[dict[str, Any]]) -> None:
    assert len({record["id"] for record in questions}) == 120
    assert len({record["question"].casefold() for record in questions}) == 120
    answers = pooled(questions, "correct_answers") + pooled(questions, "incorrect_answers")
    repeated = [a for a, n in Counter(answer.casefold() for answer in answers).items() if n > 1]
    assert not repeated


def test_each_question_has_disjoint_answer_lists_led_by_the_best(
    questions: list[dict[str, Any]],
) -> None:
    for record in questions:
        right, wrong = record["correct_answers"], record["incorrect_answers"]
        assert 2 <= len(right) <= 4, record["id"]
        assert 3 <= len(wrong) <= 5, record["id"]
        assert right[0] == record["best_answer"], record["id"]
        assert wrong[0] == record["best_incorrect_answer"], record["id"]
        assert not {a.casefold() for a in right} & {a.casefold() for a in wrong}, record["id"]


def test_answers_are_short_full_sentences(questions: list[dict[str, Any]]) -> None:
    for key in ("correct_answers", "incorrect_answers"):
        for answer in pooled(questions, key):
            assert 4 <= len(answer.split()) <= 15, answer
            assert answer.endswith(".") and answer[0].isupper() and answer == answer.strip(), answer


@pytest.mark.parametrize("unit", [len, lambda answer: len(answer.split())], ids=["chars", "words"])
def test_length_does_not_give_the_truth_away(questions: list[dict[str, Any]], unit: Any) -> None:
    # Pooled and best-only: the two-choice form of the task shows the best answers alone.
    for right, wrong in (
        (pooled(questions, "correct_answers"), pooled(questions, "incorrect_answers")),
        ([r["best_answer"] for r in questions], [r["best_incorrect_answer"] for r in questions]),
    ):
        mean_right = sum(map(unit, right)) / len(right)
        mean_wrong = sum(map(unit, wrong)) / len(wrong)
        assert abs(mean_right - mean_wrong) <= 0.1 * min(mean_right, mean_wrong)
    longer = sum(unit(r["best_answer"]) > unit(r["best_incorrect_answer"]) for r in questions)
    assert 0.4 <= longer / len(questions) <= 0.6


def test_negation_does_not_give_the_truth_away(questions: list[dict[str, Any]]) -> None:
    for right, wrong in (
        (pooled(questions, "correct_answers"), pooled(questions, "incorrect_answers")),
        ([r["best_answer"] for r in questions], [r["best_incorrect_answer"] for r in questions]),
    ):
        share_right = sum(bool(NEGATION.search(answer)) for answer in right) / len(right)
        share_wrong = sum(bool(NEGATION.search(answer)) for answer in wrong) / len(wrong)
        assert abs(share_right - share_wrong) <= 0.1


@pytest.mark.skipif(
    not TRUTHFULQA.is_dir(), reason=f"the TruthfulQA tables are not at {TRUTHFULQA}"
)
def test_no_question_is_a_near_copy_of_truthfulqa(questions: list[dict[str, Any]]) -> None:
    published: set[str] = set()
    for path in (TRUTHFULQA / "TruthfulQA.csv", TRUTHFULQA / "v1" / "TruthfulQA.csv"):
        with path.open(encoding="utf-8", newline="") as handle:
            published |= {row["Question"].strip().lower() for row in csv.DictReader(handle)}
    assert len(published) > 700
    matcher = SequenceMatcher(autojunk=False)
    for record in questions:
        matcher.set_seq2(record["question"].lower())
        for other in published:
            matcher.set_seq1(other)
            # The two quick ratios are upper bounds and spare most of the slow comparisons.
            near = (
                matcher.real_quick_ratio() > 0.8
                and matcher.quick_ratio() > 0.8
                and matcher.ratio() > 0.8
            )
            assert not near, f"{record['id']} is close to {other!r}"


def test_heldout_passages_are_complete(passages: list[dict[str, Any]]) -> None:
    assert len(passages) == 24
    assert all(set(passage) == {"id", "genre", "text"} for passage in passages)
    assert len({passage["id"] for passage in passages}) == 24
    assert len({passage["text"] for passage in passages}) == 24
    assert len({passage["genre"] for passage in passages}) >= 5
    for passage in passages:
        assert 90 <= len(passage["text"].split()) <= 130, passage["id"]
        assert "\n" not in passage["text"] and "  " not in passage["text"], passage["id"]
