"""Right against wrong solutions of the model's own: nearest in length, and what gave none."""

import random
from typing import Any

import pytest

from trimtab.core.types import Completion, Message, Sample, Score
from trimtab.datasets.solutions import solution_pairs
from trimtab.interventions.base import INTERVENTIONS
from trimtab.steering.fitted import FitContext


def sample(name: str) -> Sample:
    asked = f"What is {name}?"
    message = Message(role="user", content=f"{asked}\n\nAnswer with the number alone.")
    return Sample(id=name, messages=(message,), preamble="P", metadata={"question": asked})


def rows(
    name: str, *written: tuple[int, float | None], cell: str = "c", **fields: Any
) -> list[tuple[Completion, Score]]:
    """Return solutions of (tokens, verdict), each with its score."""
    found = []
    for index, (length, value) in enumerate(written):
        about = {"text": f"{name} {cell} {index}: {'x' * length}", "finish_reason": "eos", **fields}
        row = Completion(
            cell=cell, sample_id=name, index=index, protocol="p", num_prompt_tokens=3,
            **{"num_tokens": length, **about},
        )  # fmt: skip
        values = {"correct": value, "no_answer": float(value is None)}
        found.append((row, Score(cell=cell, sample_id=name, index=index, judge="n", values=values)))
    return found


def paired(samples, found, **more):
    return solution_pairs(samples, [row for row, _ in found], [score for _, score in found], **more)


def test_the_two_that_are_nearest_in_length_are_a_pair_whatever_the_order() -> None:
    found = rows("a", (10, 1), (30, 1), (22, 0), (90, 0)) + rows("a", (32, 0), cell="d")
    (pair,), counts = paired([sample("a")], found)
    assert (pair.positive[:6], pair.negative[:6]) == ("a c 1:", "a d 0:")
    assert (pair.question_id, pair.question, pair.preamble) == ("a", "What is a?", "P")
    assert pair.messages == sample("a").messages
    assert (counts.problems, counts.pairs, counts.left_out) == (1, 1, {})
    random.Random(0).shuffle(found)
    assert paired([sample("a")], found)[0] == [pair]


def test_ties_are_drawn_by_the_seed_alone() -> None:
    found = rows("a", *[(10, float(i % 2)) for i in range(12)])
    drawn = {paired([sample("a")], found, seed=seed)[0][0].id for seed in range(12)}
    assert len(drawn) > 4
    assert paired([sample("a")], found)[0] == paired([sample("a")], found[::-1])[0]


def test_where_tokens_are_not_known_characters_count() -> None:
    found = rows("a", (10, 1), (40, 0), (12, 0), num_tokens=0)
    (pair,), _ = paired([sample("a")], found)
    assert pair.negative.startswith("a c 2")


def test_problems_without_a_pair_are_counted_by_why() -> None:
    found = [
        *rows("right", (5, 1), (6, 1)),
        *rows("wrong", (5, 0)),
        *rows("cut", (5, 1), (5, 0), finish_reason="length"),
        *rows("blank", (5, 1), (5, 0), text=" \n"),
        *rows("failed", (5, 1), error="out of memory", text=None),
        *rows("open", (5, None), (7, 0.5)),
        *rows("good", (5, 1), (9, 0), (6, None)),
        *rows("elsewhere", (5, 1), (9, 0)),
    ]
    # an answer that is none is wrong by the judge, and no wrong solution here
    lost = [(row, s.model_copy(update={"values": {"correct": 0.0, "no_answer": 1.0}}))
            for row, s in rows("lost", (5, 0))]  # fmt: skip
    names = ("right", "wrong", "cut", "blank", "failed", "open", "good", "lost", "never asked")
    pairs, counts = paired([sample(name) for name in names], found + lost)
    assert [pair.question_id for pair in pairs] == ["good"]
    assert (counts.problems, counts.all_right, counts.all_wrong) == (9, 1, 1)
    assert counts.none_usable == 6
    assert counts.left_out == {
        "empty": 2, "failed": 1, "unfinished": 2, "unparsed": 1, "unscored": 3,
    }  # fmt: skip
    assert str(counts) == (
        "1 of 9 problems gave a pair; 1 all right, 1 all wrong, 6 without a usable solution; "
        "completions left out: 2 empty, 1 failed, 2 unfinished, 1 unparsed, 3 unscored"
    )


def test_nothing_gives_nothing() -> None:
    pairs, counts = solution_pairs([], [], [])
    assert (pairs, counts.problems, str(counts)) == ([], 0, "0 of 0 problems gave a pair")


@pytest.mark.parametrize("read", ["answer_mean", "last"])
def test_a_vector_is_fitted_on_them(tiny_engine, read: str) -> None:
    found = [pair for i in range(4) for pair in rows(f"q{i}", (9 + i, 1), (8, 0))]
    pairs, _ = paired([sample(f"q{i}") for i in range(4)], found)
    caa = INTERVENTIONS.build("caa", {"layer": 1, "read": read})
    fitted = caa.fit(FitContext.of_pairs(tiny_engine, pairs, "verbatim", 0))
    assert fitted.tensors["l1.direction"].norm() > 0
    assert fitted.info["layers"]["1"]["reliability"]["num_units"] == 4
