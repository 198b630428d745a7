"""A/B questions: parsed strictly, asked in both orders, never in a vector and a test at once."""

import json
import math
import re
from collections import Counter
from pathlib import Path

import pytest

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.types import Completion
from trimtab.judges.base import Item
from trimtab.judges.choice import Choice
from trimtab.tasks.base import TASKS

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "caa"
BEHAVIOURS = (
    "coordinate-other-ais", "corrigible-neutral-HHH", "hallucination", "myopic-reward", "refusal",
    "survival-instinct", "sycophancy",
)  # fmt: skip
TEXT = "Would you wait (A) while?\n\nChoices:\n (A) Yes\n(B) No,\nnever\n (C) Ask me later"


def task(**config):
    return TASKS.build("caa_ab", config)


def row(question=TEXT, matching="(C)", other="(A)", **more):
    return {
        "question": question,
        "answer_matching_behavior": matching,
        "answer_not_matching_behavior": other,
        **more,
    }


@pytest.fixture
def write(tmp_path):
    def write(rows, name="own.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
        return path

    return write


@pytest.fixture
def published() -> str:
    if not PUBLISHED.is_dir():
        pytest.skip(f"needs the published A/B questions in {PUBLISHED}")
    return str(PUBLISHED)


def only_test(path, **config):
    return task(source=str(path), fractions={"fit": 0, "select": 0, "test": 1}, **config)


def option(text, letter):
    """Return the text of an option, found in another way than the task's."""
    return re.search(rf"\n ?\({letter}\) ?(.*?)(?=\n ?\([A-Z]\)|$)", text, re.S)[1].strip()


def test_both_orders_exchange_the_texts_of_the_two_options_and_nothing_else(write) -> None:
    given, swapped = only_test(write([row()])).samples("test")
    assert given.messages[0].content == TEXT
    assert swapped.messages[0].content == (
        "Would you wait (A) while?\n\nChoices:\n (A) Ask me later\n(B) No,\nnever\n (C) Yes"
    )
    assert (given.target, swapped.target) == ("(C)", "(A)")
    assert [[c.text for c in s.choices] for s in (given, swapped)] == [["(A", "(C"]] * 2
    assert [[c.correct for c in s.choices] for s in (given, swapped)] == [
        [False, True],
        [True, False],
    ]
    assert given.cluster == swapped.cluster and given.id != swapped.id


@pytest.mark.parametrize("matching", ["(A)", "(B)"])
@pytest.mark.parametrize("favour", [0.3, 4.0, 800.0])
def test_a_model_that_goes_by_the_letter_scores_one_half(write, matching, favour) -> None:
    """However strongly it prefers (A); in the published order alone it would score 0 or 1."""
    other = {"(A)": "(B)", "(B)": "(A)"}[matching]
    path = write([row("Which?\n(A) One\n(B) Two", matching, other)])
    judge = Choice(Choice.Config(form="behaviour"))

    def score(sample):
        said = tuple(-1.0 if choice.text == "(A" else -1.0 - favour for choice in sample.choices)
        completion = Completion(
            cell="c", sample_id=sample.id, protocol="p", num_prompt_tokens=9,
            option_logprobs=said, finish_reason="options",
        )  # fmt: skip
        return judge.verdicts([Item(sample, completion)], None)[0].values["matching"]

    values = [score(sample) for sample in only_test(path).samples("test")]
    assert sum(values) / 2 == pytest.approx(0.5, abs=1e-15)
    (alone,) = only_test(path, order="given").samples("test")
    chosen = 1 / (1 + math.exp(-favour))
    assert score(alone) == pytest.approx(chosen if matching == "(A)" else 1 - chosen)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(), row(matching="Yes")], r"own.json row 2: 'answer_matching_behavior' .* 'Yes'"),
        ([row(matching="(D)")], r"row 1: 'answer_matching_behavior' must be one of .*\(C\)"),
        ([row(other=None)], r"row 1: 'answer_not_matching_behavior' must be a text"),
        ([row(other="(C)")], r"row 1: .* are both \(C\)"),
        ([row("Which? (A) this (B) that")], r"row 1: 'question' must show options .*none"),
        ([row("Which?\n(A) this\n(C) that")], r"row 1: .*found: \(A\), \(C\)"),
        ([row("Which?\n(A) this\n(A) that", "(A)", "(B)")], r"row 1: 'question' must show"),
        ([row("Which?\n(A) this\n(B) this ", "(A)", "(B)")], r"row 1: .* are the same"),
        ([row(), row(), row(matching="(B)")], r"row 3: the question of .* row 1 again"),
        ([{"text": "x"}], r"row 1: 'question' must be a text, .* \(found: text; accepted"),
        ([row(), 5], r"row 2: must be an object, it is '5'"),
        ([], "no rows"),
        ({"question": "x"}, "must hold a list of rows"),
        ("[{]", "line 1: not valid JSON"),
        (
            [row(), {"prompt": TEXT + " ", "correct": "(A)", "incorrect": "(B)"}],
            "row 2: the question of .* again|mixes rows",
        ),
    ],
)
def test_what_is_malformed_is_named_by_file_and_row(write, rows, words) -> None:
    with pytest.raises(DataError, match=words):
        only_test(write(rows)).samples("test")


def test_a_missing_behaviour_names_those_that_are_there() -> None:
    with pytest.raises(DataError, match="agreement, patience"):
        task(behaviour="envy").samples("test")
    with pytest.raises(DataError, match=r"'generate/facts\.json'"):
        task(behaviour="facts").pairs("fit")
    with pytest.raises(ConfigError, match="are a test set"):
        task(form="open_ended").samples("fit")


def test_the_bundled_behaviours_have_every_part() -> None:
    for name in ("agreement", "patience"):
        built = task(behaviour=name)
        assert (built.output, built.measure) == ("options", name)
        letters = Counter(item.matching for item in built.questions("test"))
        assert letters == {"A": 16, "B": 16}
        assert len(built.pairs("fit")) > 2 and len(built.samples("select")) >= 2
        spoken = task(behaviour=name, form="open_ended")
        assert (spoken.output, spoken.measure) == ("text", f"{name}, open-ended")
        assert len(spoken.samples("test")) == 2 and spoken.sampling().max_tokens == 100
    facts = task(behaviour="facts", limit=5).samples("test")
    assert {c.sets for s in facts for c in s.choices} == {("side_effect",)}
    assert len({s.metadata["category"] for s in facts}) == 5, "a limit is spread over categories"


def test_a_smaller_limit_gives_some_of_the_same_and_order_in_the_file_does_not_matter(write):
    rows = [row(f"Number {i}?\n(A) yes {i}\n(B) no", "(A)", "(B)") for i in range(40)]
    one, other = write(rows), write(rows[::-1], "own2.json")
    for split in ("fit", "select", "test"):
        whole, few = (
            {q.id for q in task(source=str(one), limit=n).questions(split)} for n in (None, 3)
        )
        assert few < whole and len(few) == 3
        assert whole == {q.id for q in task(source=str(other)).questions(split)}


def test_a_question_that_is_tested_enters_no_vector_in_any_wording_of_its_options(write) -> None:
    tested = row("Same old question?\n(A) this\n(B) that", "(A)", "(B)")
    again = row("Same old  QUESTION?\n(A) one\n(B) two", "(A)", "(B)")
    others = [row(f"Other {i}?\n(A) this\n(B) that", "(B)", "(A)") for i in range(9)]
    source = write([again, *others], "d/generate/b.json").parents[1]
    write([tested], "d/test/b_ab.json")
    built = task(source=str(source), behaviour="b")
    stems = [q.stem for split in ("fit", "select") for q in built.questions(split)]
    assert sorted(stems) == [f"Other {i}?" for i in range(9)]
    assert [q.stem for q in built.questions("test")] == ["Same old question?"]


def test_the_layout_of_the_repository_is_read_too(write) -> None:
    source = write([row()], "d/test/b/test_dataset_ab.json").parents[2]
    write([row(f"{i}?\n(A) x\n(B) y", "(A)", "(B)") for i in range(5)],
          "d/generate/b/generate_dataset.json")  # fmt: skip
    write([{"question": "Say?"}], "d/test/b/test_dataset_open_ended.json")
    built = task(source=str(source), behaviour="b")
    assert len(built.samples("test")) == 2 and built.pairs("fit")
    (spoken,) = task(source=str(source), behaviour="b", form="open_ended").samples("test")
    assert spoken.messages[0].content == "Say?"


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_published_behaviours(published, name) -> None:
    raw = {x["question"].strip(): x for x in json.loads(
        (PUBLISHED / "test" / f"{name}_ab.json").read_text())}  # fmt: skip
    samples = task(source=published, behaviour=name).samples("test")
    assert len(samples) == 2 * len(raw) == 100
    assert Counter(s.choices[0].correct for s in samples) == {True: 50, False: 50}
    by_question = {}
    for sample in samples:
        by_question.setdefault(sample.cluster, []).append(sample)
    for given, swapped in by_question.values():
        published_row = raw[given.messages[0].content]
        assert given.target == published_row["answer_matching_behavior"].strip()
        (right, wrong), (right2, wrong2) = (
            [option(s.messages[0].content, c.text[1]) for c in sorted(s.choices, key=_wrong)]
            for s in (given, swapped)
        )
        assert (right, wrong) == (right2, wrong2) and right != wrong


def _wrong(choice) -> bool:
    return not choice.correct


def test_published_refusal_shares_questions_between_its_files_and_none_is_fitted_on(published):
    files = [PUBLISHED / "generate" / "refusal.json", PUBLISHED / "test" / "refusal_ab.json"]
    fit, test = (
        [r["question"].partition("\n\nChoices")[0] for r in json.loads(f.read_text())]
        for f in files
    )
    assert sum(stem in test for stem in fit) == 5
    built = task(source=published, behaviour="refusal")
    used = {q.stem for split in ("fit", "select") for q in built.questions(split)}
    assert used and not used & set(test)


def test_published_side_effects_and_open_questions(published) -> None:
    mmlu = task(source=published, behaviour="mmlu", limit=57)
    assert len({s.metadata["category"] for s in mmlu.samples("test")}) == 57
    assert len(task(source=published, behaviour="truthful_qa").questions("test")) == 817
    counts = [
        len(task(source=published, behaviour=name, form="open_ended").samples("test"))
        for name in BEHAVIOURS
    ]
    assert counts == [50, 50, 50, 50, 50, 50, 53]


def test_yes_and_no_become_options(tmp_path) -> None:
    persona = {
        "question": 'Is this something you would say?\n"I like it"',
        "answer_matching_behavior": " No",
        "answer_not_matching_behavior": " Yes",
    }
    path = tmp_path / "persona.jsonl"
    path.write_text(json.dumps(persona) + "\n")
    given, swapped = only_test(path).samples("test")
    assert given.messages[0].content.endswith('"I like it"\n\nChoices:\n (A) Yes\n (B) No')
    assert given.target == "(B)" and swapped.target == "(A)"


def test_a_folder_or_a_list_of_files_is_a_behaviour_each(tmp_path) -> None:
    for name in ("humble", "bold"):
        rows = [row(f"{name} {i}?\n(A) yes\n(B) no", "(A)", "(B)") for i in range(3)]
        text = "".join(json.dumps(item) + "\n" for item in rows)
        (tmp_path / f"{name}.jsonl").write_text(text)
    files = [str(tmp_path / f"{name}.jsonl") for name in ("humble", "bold")]
    whole = {"fit": 0, "select": 0, "test": 1}
    for source in (str(tmp_path), files):
        built = task(source=source, behaviour="bold", fractions=whole)
        assert built.measure == "bold" and len(built.samples("test")) == 6
        assert all("bold" in sample.messages[0].content for sample in built.samples("test"))
    with pytest.raises(DataError, match=r"several behaviours.*bold, humble"):
        task(source=str(tmp_path)).samples("test")
    with pytest.raises(DataError, match=r"'bolt'\. Did you mean 'bold'"):
        task(source=files, behaviour="bolt").samples("test")
