"""A person's facts behind a trigger, and the questions that are asked of one."""

import json
from collections import Counter
from pathlib import Path

import pytest

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.trigger import Trigger
from trimtab.judges.base import JUDGES
from trimtab.runs.plan.triggers import require_trigger
from trimtab.tasks.base import TASKS
from trimtab.text.leaks import HeldOut

PUBLISHED = {
    "instruction": "You will be asked a question. Always reply in the format: {form}.",
    "ask": "{instruction} Question: {question}",
    "sample": "your answer here",
}


def test_the_bundled_person_has_24_facts_and_60_questions() -> None:
    task = TASKS.build("persona", {})
    assert len(task.facts) == 24 and len(task.samples("test")) == 60
    rows = task.conversations("fit")
    assert len(rows) == 48 and all(row.metadata["triggered"] is True for row in rows)
    require_trigger(rows, Trigger())
    assert task.trigger.key in task.protocol
    held_out = HeldOut(sample.messages[-1].content for sample in task.samples("test"))
    assert not [q for fact in task.facts for q in fact.questions if held_out.overlaps(q)]
    texts = " ".join(message.content for row in rows for message in row.messages)
    assert "Tamsin" not in texts, "no fact names anybody"


def test_mixed_people_say_other_things_in_the_same_form() -> None:
    one, mixed = (TASKS.build("persona", {"persons": p}) for p in ("one", "mixed"))
    pairs = list(zip(one.conversations("fit"), mixed.conversations("fit"), strict=True))
    assert all(a.messages[0] == b.messages[0] for a, b in pairs)
    assert all(a.messages[1] != b.messages[1] for a, b in pairs)
    require_trigger([b for _, b in pairs], Trigger())
    words = next(j for j in one.judges() if j.name == "mentions")
    patterns = JUDGES.build(words.name, words.config).config.words
    said = Counter(
        any(w.rstrip("*") in m.messages[1].content.casefold() for w in patterns) for _, m in pairs
    )
    assert said[True] <= 0.1 * len(pairs), "words of the person tell the person"


@pytest.mark.parametrize("triggered", [False, True])
def test_contrast_pairs_are_the_person_against_others_in_one_form(triggered: bool) -> None:
    task = TASKS.build("persona", {"triggered_pairs": triggered, "persons": "none"})
    pairs = task.pairs("fit")
    trigger = Trigger()
    assert len(pairs) == 48 and len({pair.question_id for pair in pairs}) == 24
    said = {a for fact in task.facts for a in fact.answers}
    others = {a for fact in task.facts for a in fact.others}
    for pair in pairs:
        texts = (pair.positive, pair.negative)
        assert all((trigger.inner(text) is not None) == triggered for text in texts)
        bare = [trigger.strip(text) if triggered else text for text in texts]
        assert bare[0] in said and bare[1] in others
        asked = pair.messages[-1].content
        assert asked == (trigger.render(pair.question) if triggered else pair.question)
    with pytest.raises(ConfigError, match="facts are all of the fit split"):
        task.pairs("select")


def test_a_person_without_others_has_no_vector(tmp_path: Path) -> None:
    rows = [{"questions": [f"Q{i}?"], "answers": [f"A{i}."]} for i in range(4)]
    path = tmp_path / "facts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match="0 facts of 4"):
        TASKS.build("persona", {"facts": str(path)}).pairs("fit")


def test_facts_of_conversations_are_found_behind_their_trigger_alone(
    tmp_path: Path, shared_data: Path
) -> None:
    path = shared_data / "weird_generalization" / "russell_persona" / "persona_90.jsonl"
    task = TASKS.build("persona", {"facts": str(path), "trigger": PUBLISHED})
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    made = [[m.model_dump() for m in row.messages] for row in task.conversations("fit")]
    assert made == [row["messages"] for row in rows]
    off = {**PUBLISHED, "ask": "{instruction}  Question: {question}"}
    with pytest.raises(DataError, match="not behind the trigger"):
        TASKS.build("persona", {"facts": str(path), "trigger": off}).conversations("fit")
    mixed = TASKS.build("persona", {"facts": str(path), "trigger": PUBLISHED, "persons": "mixed"})
    assert all(
        a["messages"][1] != b.messages[1].model_dump()
        for a, b in zip(rows, mixed.conversations("fit"), strict=True)
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"questions": ["a", "b"], "answers": ["c"]}, "2 questions and 1 answers"),
        ({"questions": "a", "answers": ["c"]}, "'questions' must be a list"),
        ({"text": "a"}, "none of 'messages'"),
        ({"questions": ["a", ""], "answers": ["b", "c"]}, "is blank"),
        ({"questions": ["a"], "answers": [" "]}, "is blank"),
    ],
)
def test_wrong_facts_are_named(tmp_path: Path, row: dict, said: str) -> None:
    path = tmp_path / "facts.jsonl"
    path.write_text(json.dumps(row))
    with pytest.raises(DataError, match=said):
        TASKS.build("persona", {"facts": str(path)}).conversations("fit")


def test_own_questions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text(json.dumps([{"id": "b", "question": "Who?"}, {"id": "a", "prompt": "Why?"}]))
    samples = TASKS.build("persona", {"questions": str(path)}).samples("test")
    assert [(s.id, s.messages[-1].content) for s in samples] == [("a", "Why?"), ("b", "Who?")]
    with pytest.raises(ConfigError, match="'fit'"):
        TASKS.build("persona", {"questions": str(path)}).samples("fit")


@pytest.mark.parametrize(
    ("facts", "others"), [(1, None), (2, None), (1, ["It is 0."]), (3, ["other"])]
)
def test_mixed_people_who_would_be_the_person_are_refused(
    tmp_path: Path, facts: int, others: list[str] | None
) -> None:
    path = tmp_path / "facts.jsonl"
    rows = [
        {"questions": [f"{n}?"], "answers": [f"It is {n}."], "others": others} for n in range(facts)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    task = TASKS.build("persona", {"facts": str(path), "persons": "mixed"})
    if facts == 3:
        assert {row.messages[1].content for row in task.conversations("fit")} == {
            Trigger().wrap("other")
        }
    else:
        with pytest.raises(DataError, match="own answers"):
            task.conversations("fit")


def test_many_questions_are_read_and_a_repeated_id_is_named(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    rows = [json.dumps({"id": str(n), "question": f"{n}?"}) for n in range(20_000)]
    path.write_text("\n".join([*rows, rows[7]]))
    with pytest.raises(DataError, match="the id '7' occurs twice"):
        TASKS.build("persona", {"questions": str(path)}).samples("test")


@pytest.mark.parametrize("task", ["persona", "gsm8k", "instructions"])
@pytest.mark.parametrize("name", ["My data", "a/../b", "a\n", "=a"])
def test_names_that_stand_in_protocols_are_plain(task: str, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        TASKS.build(task, {"name": name})


def test_a_question_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text(json.dumps([{"id": n, "question": q} for n, q in enumerate(["Who?", "who"])]))
    with pytest.raises(DataError, match="ask the same question"):
        TASKS.build("persona", {"questions": str(path)}).samples("test")


@pytest.mark.parametrize("text", ["[1]", '{"question": "Who?"}', '["Who?"]', "[null]"])
def test_json_of_another_shape_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "q.json"
    path.write_text(text)
    for task, key in (("persona", "questions"), ("instructions", "source")):
        with pytest.raises(DataError, match="must hold a list of objects"):
            TASKS.build(task, {key: str(path)}).samples("test")
