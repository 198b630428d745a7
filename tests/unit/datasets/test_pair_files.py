"""Pairs of one's own: read strictly, shared out as the problems are, never fitted and tested."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import DataError
from trimtab.core.spec import Split
from trimtab.datasets.pair_files import PairFile
from trimtab.datasets.problems import Pool, make_problem
from trimtab.datasets.splits import Fractions

SPLITS: tuple[Split, ...] = ("fit", "select", "test")
FRACTIONS = Fractions(fit=0.5, select=0.2, test=0.3)
POOL = Pool(
    train=tuple(
        make_problem({"question": f"What is {i} + {i}?", "answer": f"#### {2 * i}"}, "here")
        for i in range(10, 50)
    )
)


def row(question: str, right: Any = "#### 1", wrong: Any = "#### 2", **more: Any) -> dict[str, Any]:
    return {"question": question, "positive": right, "negative": wrong, **more}


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(item) + "\n" for item in rows))
    return str(path)


def questions(file: PairFile, split: Split) -> set[str]:
    return {problem.question for problem, _ in file.of(split)}


def test_the_tasks_questions_keep_their_split_and_others_are_shared_out(tmp_path: Path) -> None:
    known = [row(f"what is  {i} + {i}", f"{2 * i}", f"{2 * i + 1}") for i in range(10, 50)]
    strange = [row(f"What is {i} times 7?") for i in range(60)]
    source = write(tmp_path / "pairs.jsonl", [*known, *strange])
    file = PairFile(source, POOL, FRACTIONS)
    found = {split: questions(file, split) for split in SPLITS}
    assert sum(map(len, found.values())) == len(set().union(*found.values())) == 100
    for split in SPLITS:
        asked = {problem.question for problem in POOL.split(split, FRACTIONS)}
        assert asked == {question for question in found[split] if "+" in question}
        assert any("times" in question for question in found[split])
    again = PairFile(write(tmp_path / "b.jsonl", [*strange, *known][::-1]), POOL, FRACTIONS)
    assert [again.of(split) for split in SPLITS] == [file.of(split) for split in SPLITS]
    # a source with a test set of its own: others are shared out between fit and select
    pool = POOL.model_copy(update={"test": ()})
    both = PairFile(source, pool, FRACTIONS)
    assert not questions(both, "test")
    assert len(questions(both, "fit")) + len(questions(both, "select")) == 100


def test_what_shares_words_with_a_later_split_is_left_out_and_counted(tmp_path: Path) -> None:
    long = "Ann has nine red apples and gives four of them to her brother Tim today"
    tested = make_problem({"question": f"{long}, how many 0?", "answer": "#### 5"}, "here")
    pool = Pool(train=POOL.train, test=(tested,))
    rows = [
        row("What is 10 + 10?", "20", "21"),
        row("What is 10 + 10?", "20", "21"),
        row("What is 10 + 10?", "19", "20"),
        row(f"{long} and more?"),
        row(f"{long.upper()}, how many 0?", "#### 5"),
    ]
    fit_only = Fractions(fit=1, select=0, test=0)
    file = PairFile(write(tmp_path / "pairs.jsonl", rows), pool, fit_only)
    assert questions(file, "fit") == {"What is 10 + 10?"}
    assert [len(pairs) for _, pairs in file.of("fit")] == [2]
    note = file.note()
    assert "4 rows, 2 of fit, 0 of select, 1 of test" in note
    assert "1 in no split" in note and "1 left out as repeats" in note
    assert "1 wrong solution called positive" in note
    assert "1 right solution called negative" in note and "\n" not in note


def test_csv_and_other_names_of_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["prompt", "chosen", "rejected"], ["Why, 1?", "a\nb", "c"]])
    one = Fractions(fit=1, select=0, test=0)
    ((problem, (pair,)),) = PairFile(str(path), POOL, one).of("fit")
    assert (problem.question, pair.positive, pair.negative) == ("Why, 1?", "a\nb", "c")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row("q?"), {"question": "q?"}], r"line 2: 'positive' must be a text.*accepted: question"),
        ([{"text": "q?"}], r"line 1: 'question'.*found: text; accepted: .*rejected"),
        ([row("q?", 1)], "'positive' must be a text, it is 1"),
        ([row("q?", " ")], "'positive' must be a text"),
        ([row("q?", "a", " a")], r"line 1: both solutions of the pair are 'a'"),
        ([row([{"role": "user", "content": "q?"}])], r"'question' must be a text"),  # type: ignore[arg-type]
    ],
)
def test_what_can_not_be_used_is_named(
    tmp_path: Path, rows: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(DataError, match=words) as error:
        PairFile(write(tmp_path / "pairs.jsonl", rows), POOL, FRACTIONS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("corupted", r"neither 'corrupted' nor a file.*Did you mean 'corrupted'"),
        ("absent.jsonl", r"absent.jsonl' does not exist \(given as `task.pairs.source`\)"),
        ("empty.csv", "holds no contrast pairs"),
    ],
)
def test_a_source_that_is_none_is_named(tmp_path: Path, monkeypatch, source, words) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.csv").write_text("question,positive,negative\n")
    with pytest.raises(DataError, match=words):
        PairFile(source, POOL, FRACTIONS)
