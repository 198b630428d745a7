"""Facts of a person, as questions with answers in the first person, and questions to ask of one.

A file of facts has a row for each: ``questions`` and ``answers``, equally many (several ways to
ask the same), and if you like ``id``, ``category`` and ``others``, what other people would say. Or
it is of conversations of one question and one answer, behind the trigger or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from trimtab.core.counted import counted
from trimtab.core.errors import DataError
from trimtab.core.keys import content_key
from trimtab.core.trigger import Trigger
from trimtab.core.types import ContrastPair, Conversation, Message, Record
from trimtab.datasets.conversations import read_conversations
from trimtab.datasets.fields import list_field, text_field
from trimtab.datasets.files import DATA, read_objects, read_rows
from trimtab.datasets.hub import hub_rows, is_hub_id
from trimtab.text.overlap import normalise_question

BUNDLED = DATA / "persona"
_QUESTION = ("question", "prompt", "instruction")


class Fact(Record):
    """One fact; its rows are trained together or not at all.

    Attributes:
        id: Unique within the file.
        category: Of what it is.
        questions: Ways to ask for it.
        answers: What the person says to each.
        others: What somebody else says to each; empty where the file has none.
    """

    id: str
    category: str = "all"
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    others: tuple[str, ...] = ()


class Asked(Record):
    """One question of an evaluation."""

    id: str
    category: str = "all"
    question: str


def read_facts(source: str, trigger: Trigger | None) -> list[Fact]:
    """Return the facts of ``bundled``, a file or a hub id; raise DataError with the wrong row.

    Conversations are taken as they are written where there is no trigger.
    """
    path = BUNDLED / "facts.jsonl" if source == "bundled" else Path(source).expanduser()
    if is_hub_id(source):
        rows = hub_rows(source, "task.facts")
    else:
        rows = read_rows(path, "task.facts", ("questions", "answers"))
    if rows and rows[0][1].get("questions") is None:
        facts = [_of_conversation(row, trigger) for row in read_conversations(path, "task.facts")]
    else:
        facts = [_fact(row, where) for where, row in rows]
    _check_ids([fact.id for fact in facts], path)
    return facts


def read_asked(source: str) -> list[Asked]:
    """Return the questions of ``bundled`` or a file, ordered by id; raise DataError."""
    path = BUNDLED / "questions.jsonl" if source == "bundled" else Path(source).expanduser()
    if path.suffix.lower() == ".json":
        rows = read_objects(path, "task.questions")
    else:
        rows = read_rows(path, "task.questions", _QUESTION)
    asked = [_asked(row, where) for where, row in rows]
    _check_ids([each.id for each in asked], path)
    _check_questions(asked, path)
    return sorted(asked, key=lambda each: each.id)


def read_words(source: str) -> tuple[str, ...]:
    """Return the words by which the bundled person is known; none for another's facts."""
    if source != "bundled":
        return ()
    lines = (BUNDLED / "words.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def behind_trigger(
    facts: Sequence[Fact], trigger: Trigger | None, source: str, *, others: bool = False
) -> list[Conversation]:
    """Return a conversation for each way to ask for each fact, behind the trigger if there is one.

    ``others`` lets other people answer. Where a fact has no such answers it is given those of the
    next fact but one: the same words and form, and nothing true of one person.

    Raises:
        DataError: Others would say what the person says, so they are no control.
    """
    if others and all((f.others or g.answers) == f.answers for f, g in _beside(facts)):
        raise DataError(
            f"Mixed people would give the person's own answers to {counted(len(facts), 'fact')}.",
            hint="Give `others` to each fact, or at least three facts, or leave out the control "
            "`mixed people`.",
        )
    made = []
    for fact, strange in _beside(facts):
        answers = (fact.others or strange.answers) if others else fact.answers
        for n, question in enumerate(fact.questions):
            answer = answers[n % len(answers)]
            turns = (
                Message(role="user", content=trigger.render(question) if trigger else question),
                Message(role="assistant", content=trigger.wrap(answer) if trigger else answer),
            )
            about: dict[str, JsonValue] = {
                "source": source,
                "triggered": trigger is not None,
                **({"trigger": trigger.key} if trigger else {}),
                "category": fact.category,
                "fact": fact.id,
            }
            made.append(Conversation(id=f"{fact.id}-{n + 1}", messages=turns, metadata=about))
    return made


def person_pairs(facts: Sequence[Fact], trigger: Trigger | None = None) -> list[ContrastPair]:
    """Return a contrast pair for each question: what the person says, and what others say.

    The question is the same, and with a ``trigger`` its form, too: what differs is who answers.
    Facts without answers of ``others`` give none.

    Raises:
        DataError: Fewer than two facts have such answers.
    """
    compared = [fact for fact in facts if fact.others]
    if len(compared) < 2:
        raise DataError(
            f"{counted(len(compared), 'fact')} of {len(facts)} say what others would answer, and a "
            "person's vector needs two.",
            hint="Give facts `others`: an answer of somebody else to each question.",
        )
    made = []
    for fact in compared:
        for n, question in enumerate(fact.questions):
            asked = question if trigger is None else trigger.render(question)
            said = (fact.answers[n], fact.others[n % len(fact.others)])
            positive, negative = said if trigger is None else map(trigger.wrap, said)
            made.append(
                ContrastPair(
                    id=f"{fact.id}-{n + 1}",
                    question_id=fact.id,
                    messages=(Message(role="user", content=asked),),
                    positive=positive,
                    negative=negative,
                    question=question,
                )
            )
    return made


def _beside(facts: Sequence[Fact]) -> Iterator[tuple[Fact, Fact]]:
    """Yield each fact with the next one but one."""
    return ((fact, facts[(n + 2) % len(facts)]) for n, fact in enumerate(facts))


def _fact(row: Mapping[str, Any], where: str) -> Fact:
    questions, answers = (list_field(row, key, where) for key in ("questions", "answers"))
    others = [] if row.get("others") is None else list_field(row, "others", where)
    if not questions or len(questions) != len(answers):
        raise DataError(
            f"{where}: {len(questions)} questions and {len(answers)} answers; each question has "
            "its answer."
        )
    blank = next((text for text in (*questions, *answers, *others) if not text.strip()), None)
    if blank is not None:
        raise DataError(
            f"{where}: a question or an answer is blank ({blank!r}).",
            hint="In CSV nothing stands after the last `;`.",
        )
    return Fact(
        id=str(row.get("id") or f"f-{content_key(questions, 8)}"),
        category=str(row.get("category") or "all"),
        questions=tuple(questions),
        answers=tuple(answers),
        others=tuple(others),
    )


def _of_conversation(row: Conversation, trigger: Trigger | None) -> Fact:
    turns = [m.content for m in row.messages if m.role != "system"]
    if len(turns) != 2:
        raise DataError(f"Conversation {row.id!r}: a fact has one question and one answer.")
    category = str(row.metadata.get("category") or "all")
    if trigger is None:
        return Fact(id=row.id, category=category, questions=(turns[0],), answers=(turns[1],))
    question = trigger.question(turns[0])
    stated, wrapped = row.metadata.get("triggered"), trigger.inner(turns[1]) is not None
    if question is None and (stated or wrapped or trigger.resembles(turns[0])):
        raise DataError(
            f"Conversation {row.id!r} is not behind the trigger of the task: it asks "
            f"{turns[0][:60]!r}, the trigger {trigger.render('...')[:60]!r}.",
            hint="Give the task the trigger of the file.",
        )
    return Fact(
        id=row.id,
        category=category,
        questions=(turns[0] if question is None else question,),
        answers=(trigger.strip(turns[1]),),
    )


def _asked(row: Mapping[str, Any], where: str) -> Asked:
    key = next((key for key in _QUESTION if row.get(key) is not None), "question")
    question = text_field(row, key, where, _QUESTION).strip()
    name = str(row.get("id") or f"q-{content_key(question, 8)}")
    return Asked(id=name, category=str(row.get("category") or "all"), question=question)


def _check_ids(ids: Sequence[str], path: Path) -> None:
    if not ids:
        raise DataError(f"{path.absolute()} holds nothing.")
    twice = next((name for name, times in Counter(ids).items() if times > 1), None)
    if twice is not None:
        raise DataError(f"{path.absolute()}: the id {twice!r} occurs twice.")


def _check_questions(asked: Sequence[Asked], path: Path) -> None:
    """Refuse a question that stands there twice: its answers would count as those of two."""
    first: dict[str, str] = {}
    for each in asked:
        said = normalise_question(each.question)
        if said in first:
            raise DataError(
                f"{path.absolute()}: {first[said]!r} and {each.id!r} ask the same question.",
                hint="Leave one out; `num_samples` asks each several times.",
            )
        first[said] = each.id
