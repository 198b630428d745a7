"""From completions to what a reranker learns from: labels are kept, gaps are left out."""

import pytest

from trimtab.core.errors import DataError
from trimtab.core.types import Completion, Message, Sample
from trimtab.steering.fitted import ScoredCompletion
from trimtab.training.rerankers.candidates import labelled, problems, synthetic
from trimtab.training.rerankers.groups import Group


def row(question: str, text: str | None, reward: float | None, **more) -> ScoredCompletion:
    metadata = {"question": question, **more.pop("metadata", {})}
    messages = (Message(role="user", content=f"{question}\n\nThink step by step."),)
    completion = Completion(
        cell="c", sample_id=f"s-{question}", protocol="p", num_prompt_tokens=1, text=text,
        finish_reason="eos", **more,
    )  # fmt: skip
    sample = Sample(id=f"s-{question}", messages=messages, metadata=metadata)
    return ScoredCompletion(sample, completion, reward)


def test_candidates_are_grouped_by_their_bare_question_in_order() -> None:
    rows = [
        row("B?", "b1", 0.0),
        row("A?", "a1", 1.0),
        row("B?", "b2", 1.0),
        row("A?", "", 0.0),
    ]
    assert labelled(rows) == [
        Group("B?", ("b1", "b2"), (False, True)),
        Group("A?", ("a1", ""), (True, False)),
    ]


def test_what_has_no_text_or_no_label_is_left_out_and_is_not_wrong() -> None:
    rows = [
        row("A?", None, 1.0),
        row("A?", "unscored", None),
        row("A?", "broken", 0.0, error="layer 3 is not finite"),
        row("B?", "b", 1.0),
    ]
    assert labelled(rows) == [Group("A?", (), ()), Group("B?", ("b",), (True,))]
    assert labelled([]) == []


def test_synthetic_candidates_come_from_gold_solutions_once_per_problem() -> None:
    def gold(question: str, total: int) -> ScoredCompletion:
        solution = f"It is {total}.\n#### {total}"
        return row(question, "whatever", None, metadata={"solution": solution})

    rows = [gold("A?", 7), gold("A?", 7), gold("B?", 12)]
    groups = synthetic(rows, seed=3)
    assert [group.problem for group in groups] == ["A?", "B?"]
    for group, total in zip(groups, (7, 12), strict=True):
        assert group.correct == (True, False)
        assert group.texts[0] == f"It is {total}.\n#### {total}" != group.texts[1]
    assert synthetic(rows, seed=3) == groups != synthetic(rows, seed=4)
    with pytest.raises(DataError, match="'s-C\\?' has no gold solution"):
        synthetic([row("C?", "c", 1.0)], seed=0)


def test_problems_are_listed_once_and_sorted() -> None:
    samples = [row(question, None, None).sample for question in ("B?", "A?", "B?")]
    assert problems(samples) == ["A?", "B?"]
