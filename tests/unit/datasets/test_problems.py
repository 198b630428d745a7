"""Number problems: what files are read, how splits are kept apart, what is asked."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.spec import Split
from trimtab.core.types import Completion
from trimtab.datasets.problems import make_problem, read_pool
from trimtab.datasets.splits import Fractions
from trimtab.judges.base import JUDGES, Item
from trimtab.tasks.base import TASKS
from trimtab.text.leaks import HeldOut

SPLITS: tuple[Split, ...] = ("fit", "select", "test")


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def question(number: int, tail: str = "") -> str:
    return f"Number {number}: how many are {number} and {number + 1}?{tail}"


@pytest.fixture
def one_file(tmp_path: Path) -> str:
    rows = [{"question": question(i), "answer": f"So\n#### {2 * i + 1:,}"} for i in range(60)]
    return write(tmp_path / "sums.jsonl", rows)


@pytest.mark.parametrize(
    ("row", "final"),
    [
        ({"question": "q?", "answer": "a <<1+1=2>>\n#### 1,002"}, "1002"),
        ({"Body": "Tom has 3.", "Question": "How many?", "Answer": "3.0", "ID": "s-1"}, "3"),
        ({"question_concat": "Tom has 3. How many?", "Answer": 3.5}, "3.5"),
        ({"question": "q?", "final_ans": "-4"}, "-4"),
        ({"sQuestion": "q?", "lSolutions": [7.0], "iIndex": 5}, "7"),
        ({"question": "q?", "ground_truth": "steps\nA: 18"}, "18"),
    ],
)
def test_published_columns_are_read(row: dict[str, Any], final: str) -> None:
    problem = make_problem(row, "here")
    assert problem.final == final
    if "Body" in row:
        assert (problem.question, problem.id) == ("Tom has 3. How many?", "s-1")


def test_what_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not end in a number"):
        make_problem({"question": "q?", "answer": "many"}, "file line 3")
    with pytest.raises(DataError, match="found: text"):
        make_problem({"text": "q?"}, "file line 3")
    with pytest.raises(DataError, match="neither a directory"):
        read_pool(str(tmp_path / "missing.txt"))
    twice = [{"id": 1, "question": f"q{i}?", "answer": i} for i in range(2)]
    with pytest.raises(DataError, match="share the id '1'"):
        read_pool(write(tmp_path / "twice.jsonl", twice))


def test_one_file_is_shared_out_by_content(one_file: str) -> None:
    config = {"source": one_file, "fractions": {"fit": 0.5, "select": 0.2, "test": 0.3}}
    ids = {s: {x.id for x in TASKS.build("gsm8k", config).samples(s)} for s in SPLITS}
    assert [len(ids[s]) for s in SPLITS] == [30, 12, 18]
    assert not ids["fit"] & ids["test"] and not ids["select"] & ids["test"]
    few = TASKS.build("gsm8k", {**config, "limit": 5}).samples("test")
    assert len(few) == 5 and {x.id for x in few} <= ids["test"]


def test_a_test_set_is_kept_and_what_overlaps_with_it_is_not_fitted_on(tmp_path: Path) -> None:
    tail = " Please count twice, as the teacher of the school will look at every sheet."
    train = [{"question": question(i), "answer": i} for i in range(40)]
    train += [{"question": question(99, tail), "answer": 1}, {"question": question(7), "answer": 7}]
    test = [{"question": question(500, tail), "answer": 2}, {"question": question(7), "answer": 7}]
    write(tmp_path / "train.jsonl", train)
    write(tmp_path / "test.jsonl", test)
    task = TASKS.build("gsm8k", {"source": str(tmp_path)})
    tested = [x.metadata["question"] for x in task.samples("test")]
    assert sorted(tested) == sorted(row["question"] for row in test)
    fitted = {x.metadata["question"] for s in ("fit", "select") for x in task.samples(s)}
    assert fitted == {question(i) for i in range(40) if i != 7}


def test_real_splits_share_no_question_and_no_thirteen_words(shared_data: Path) -> None:
    task = TASKS.build("gsm8k", {"source": str(shared_data / "gsm8k")})
    questions = {s: [str(x.metadata["question"]) for x in task.samples(s)] for s in SPLITS}
    assert len(questions["test"]) == 1319
    assert 7473 - 90 < len(questions["fit"]) + len(questions["select"]) < 7473
    for split, others in (("fit", ("select", "test")), ("select", ("test",))):
        held_out = HeldOut(q for other in others for q in questions[other])
        assert not [q for q in questions[split] if held_out.overlaps(q)]
    golds = [x.target for x in task.samples("test")]
    assert all(gold is not None and "," not in gold for gold in golds)
    assert sum(gold.startswith("-") for gold in golds if gold) == 2


def test_raw_rendering_has_shots_of_the_fit_split_and_the_published_form(one_file: str) -> None:
    config = {
        "source": one_file,
        "rendering": "raw",
        "shots": 3,
        "fractions": {"fit": 0.5, "select": 0.0, "test": 0.5},
    }
    task = TASKS.build("gsm8k", config)
    sample = task.samples("test")[0]
    assert task.protocol == "gsm8k/generation/raw-3" and task.rendering == "verbatim"
    assert sample.messages[-1].content == f"Question: {sample.metadata['question']}\nAnswer:"
    shots = sample.preamble.split("\n\n")
    assert len(shots) == 4 and shots[-1] == ""
    fitted = {f"Question: {x.metadata['question']}" for x in task.samples("fit")}
    assert {shot.partition("\nAnswer:")[0] for shot in shots[:-1]} <= fitted
    sampling = task.sampling()
    assert sampling is not None and sampling.max_tokens == 256 and "Question:" in sampling.stop


def test_a_chat_protocol_says_when_the_instruction_is_another_one(one_file: str) -> None:
    usual = TASKS.build("gsm8k", {"source": one_file})
    other = TASKS.build("gsm8k", {"source": one_file, "instruction": "Be brief.", "name": "svamp"})
    assert usual.protocol == "gsm8k/generation/chat"
    assert other.protocol.startswith("svamp/generation/chat+")
    plain = TASKS.build("gsm8k", {"source": one_file, "instruction": ""})
    sample = plain.samples("fit")[0]
    assert sample.messages[-1].content == sample.metadata["question"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"digits": 3, "steps": 4, "operations": ["+", "-", "*"], "forms": ["sum"]},
        {"forms": ["story"], "steps": 3},
    ],
)
def test_arithmetic_is_right_reproducible_and_disjoint(changes: dict[str, Any]) -> None:
    task = TASKS.build("arithmetic", {"count": 200, **changes})
    samples = {s: task.samples(s) for s in SPLITS}
    again = TASKS.build("arithmetic", {"count": 200, **changes})
    assert samples == {s: again.samples(s) for s in SPLITS}
    everything = [x for some in samples.values() for x in some]
    assert len(everything) == 200 == len({x.id for x in everything})
    for sample in everything:
        asked = str(sample.metadata["question"])
        if sample.metadata["kind"] == "sum":
            expression = asked.removeprefix("What is ").removesuffix("?")
            # the oracle: Python's own arithmetic on the expression as it is written
            assert sample.target == str(eval(expression))
        assert sample.target is not None and int(sample.target) >= 0
    tested = HeldOut(str(x.metadata["question"]) for x in samples["test"])
    assert not any(tested.overlaps(str(x.metadata["question"])) for x in samples["fit"])


def test_a_story_says_what_its_sum_is() -> None:
    config = {"count": 100, "forms": ["story"], "steps": 2}
    for sample in TASKS.build("arithmetic", config).samples("test"):
        total = None
        for sentence in str(sample.metadata["question"]).split(". "):
            number = next((int(w) for w in sentence.strip(".").split() if w.isdigit()), None)
            if number is None:
                continue
            if total is None:
                total = number
            else:
                total += number if "more" in sentence else -number
        assert str(total) == sample.target


def test_raw_arithmetic_asks_after_worked_examples_of_the_fit_split() -> None:
    config = {"count": 60, "rendering": "raw", "shots": 3}
    task = TASKS.build("arithmetic", config)
    assert task.protocol == "arithmetic/generation/raw-3"
    assert task.rendering == "verbatim"
    assert "Question:" in task.sampling().stop
    fit = {s.metadata["question"]: s.metadata["solution"] for s in task.samples("fit")}
    for sample in task.samples("test"):
        assert sample.messages[0].content == f"Question: {sample.metadata['question']}\nAnswer:"
        shots = sample.preamble.split("\n\n")[:-1]
        assert len(shots) == 3
        for shot in shots:
            question, solution = shot.removeprefix("Question: ").split("\nAnswer: ")
            assert fit[question] == solution


def test_later_numbers_of_a_sum_may_be_shorter() -> None:
    config = {"forms": ["sum"], "operations": ["+"], "digits": 3, "step_digits": 1, "count": 100}
    samples = TASKS.build("arithmetic", config).samples("test")
    terms = [map(int, re.findall(r"\d+", s.messages[0].content)) for s in samples]
    first, *later = zip(*terms, strict=True)
    assert max(first) > 99 and max(map(max, later)) < 10 and len(later) == 2


def test_arithmetic_gets_harder_and_says_when_there_is_not_enough() -> None:
    def largest(digits: int) -> int:
        config = {"digits": digits, "count": 60}
        return max(int(x.target or 0) for x in TASKS.build("arithmetic", config).samples("test"))

    assert largest(1) < 30 < largest(3)
    with pytest.raises(ConfigError, match=r"task\.count"):
        TASKS.build("arithmetic", {"digits": 1, "steps": 1, "count": 1000}).samples("fit")
    other = TASKS.build("arithmetic", {"count": 60, "seed": 1}).samples("test")
    assert other != TASKS.build("arithmetic", {"count": 60}).samples("test")


def test_a_problem_that_comes_again_is_one_problem_or_an_error(tmp_path: Path) -> None:
    rows = [{"id": i, "question": q, "answer": a} for i, (q, a) in enumerate(
        [("How many?", 3), ("how  many", "3.0"), ("How much?", 4)]
    )]  # fmt: skip
    source = write(tmp_path / "again.jsonl", rows)
    pool = read_pool(source)
    assert [problem.id for problem in pool.train] == ["0", "2"] and pool.repeats == 1
    assert "1 repeated problem of" in TASKS.build("gsm8k", {"source": source}).notes()[0]
    rows[1]["answer"] = 5
    with pytest.raises(DataError, match="line 2: the problem 'how  many' again, with another"):
        read_pool(write(tmp_path / "other.jsonl", rows))


def test_rounded_answers_need_a_tolerance_that_the_protocol_names(tmp_path: Path) -> None:
    rows = [{"question": question(i), "answer": i / 3} for i in range(20)]
    source = write(tmp_path / "thirds.jsonl", rows)
    with pytest.raises(DataError, match=r"more than two decimals.*task\.tolerance"):
        TASKS.build("gsm8k", {"source": source}).samples("test")
    config = {"source": source, "tolerance": {"rule": "relative", "value": 0.001}}
    task = TASKS.build("gsm8k", {**config, "fractions": {"fit": 0, "select": 0, "test": 1}})
    assert task.protocol == "gsm8k/generation/chat/within-relative-0.001"
    judge = JUDGES.build("number", {})
    third = next(s for s in task.samples("test") if s.target.startswith("0.33"))
    for text, right in (("#### 0.3333", 1.0), ("#### 0.33", 0.0), ("#### 1/3", 1.0)):
        completion = Completion(
            cell="c", sample_id=third.id, protocol="p", num_prompt_tokens=1, text=text,
            finish_reason="eos",
        )  # fmt: skip
        assert judge.verdict(Item(third, completion)).values["chat"] == right


def test_marks_of_thousands_must_be_told_from_decimal_marks(tmp_path: Path) -> None:
    answers = ["1.234,50", "12", "1.234.567"]
    rows = [{"question": question(i), "answer": a} for i, a in enumerate(answers)]
    found = read_pool(write(tmp_path / "comma.jsonl", rows))
    assert [problem.final for problem in found.train] == ["1234.5", "12", "1234567"]
    rows[1]["answer"] = "1,234"
    with pytest.raises(DataError, match="line 2: the answer '1,234' may mean two numbers"):
        read_pool(write(tmp_path / "both.jsonl", rows))


def test_csv_holds_the_same_problems(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('question,answer\nOne?,1\nMany?,"1,234"\n')
    lines = [{"question": "One?", "answer": "1"}, {"question": "Many?", "answer": "1,234"}]
    assert read_pool(str(tmp_path / "p.csv")) == read_pool(write(tmp_path / "p.jsonl", lines))


def test_a_source_is_read_once_until_it_is_edited(one_file: str) -> None:
    first = read_pool(one_file)
    assert read_pool(one_file) is first
    kept = [json.loads(line) for line in Path(one_file).read_text().splitlines()[:-1]]
    write(Path(one_file), kept)
    assert len(read_pool(one_file).train) == len(first.train) - 1


def test_a_split_that_is_asked_for_again_can_not_be_changed_by_who_asked(one_file: str) -> None:
    pool, shared = read_pool(one_file), Fractions(fit=0.5, select=0.25, test=0.25)
    asked = pool.split("fit", shared)
    expected = list(asked)
    asked.clear()
    assert pool.split("fit", shared) == expected
