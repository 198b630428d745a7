"""Contrast pairs of solutions that a model wrote itself: one right, one wrong, to one problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from trimtab.core.keys import derive_seed
from trimtab.core.types import Completion, ContrastPair, Record, Sample, Score

LeftOut = Literal["failed", "empty", "unfinished", "unscored", "unparsed"]
"""Why a completion is no solution: an error, no text, cut at the token limit, no verdict, no
answer in it."""


class SolutionCounts(Record):
    """How many problems gave a pair, and why the others gave none.

    Attributes:
        problems: All of them.
        pairs: Those with a right and a wrong solution.
        all_right: Those whose usable solutions are all right.
        all_wrong: Those whose usable solutions are all wrong.
        none_usable: Those without a usable solution.
        left_out: Completions that are no solutions, by why.
    """

    problems: int
    pairs: int
    all_right: int
    all_wrong: int
    none_usable: int
    left_out: dict[LeftOut, int]

    def __str__(self) -> str:
        """Return the counts as a sentence without its end."""
        why = {
            "all right": self.all_right,
            "all wrong": self.all_wrong,
            "without a usable solution": self.none_usable,
        }
        none = ", ".join(f"{count} {what}" for what, count in why.items() if count)
        left = ", ".join(f"{count} {what}" for what, count in self.left_out.items())
        said = [f"{self.pairs} of {self.problems} problems gave a pair"]
        said += [none] if none else []
        said += [f"completions left out: {left}"] if left else []
        return "; ".join(said)


def solution_pairs(
    samples: Sequence[Sample],
    completions: Iterable[Completion],
    scores: Iterable[Score],
    *,
    metric: str = "correct",
    seed: int = 0,
) -> tuple[list[ContrastPair], SolutionCounts]:
    """Return one pair per problem: the right and the wrong solution that are nearest in length.

    Length is in tokens, or in characters where a completion of the problem does not know its
    tokens, so that a vector does not come to mean "longer". Equally near pairs are drawn by a hash;
    the order of the rows changes nothing.

    Args:
        samples: The problems, of one split. Completions and scores of others are passed over.
        completions: What the model wrote, of one cell or of several.
        scores: Verdicts of one judge on them, such as ``number``.
        metric: Which of its values says right (1) or wrong (0); anything else is no verdict. A
            value ``no_answer`` of 1 beside it says that the solution has no answer.
        seed: Another seed draws others among equally near pairs.

    Returns:
        The pairs, in the order of ``samples``, and the counts.
    """
    verdicts = {score.key: score for score in scores}
    usable: dict[str, dict[bool, list[Completion]]] = {
        sample.id: {True: [], False: []} for sample in samples
    }
    left: Counter[LeftOut] = Counter()
    for row in sorted(completions, key=lambda row: row.key):
        if row.sample_id not in usable:
            continue
        score = verdicts.get(row.key)
        reason = _why_not(row, score, metric)
        if reason is not None:
            left[reason] += 1
        else:
            assert score is not None
            usable[row.sample_id][score.values[metric] == 1].append(row)
    drawn = {s.id: _nearest(usable[s.id], seed) for s in samples if all(usable[s.id].values())}
    pairs = [_pair(sample, *drawn[sample.id]) for sample in samples if sample.id in drawn]
    return pairs, _counts(usable, len(pairs), left)


def _why_not(row: Completion, score: Score | None, metric: str) -> LeftOut | None:
    """Return why a completion is no solution; None if it is one."""
    if row.error is not None or row.finish_reason == "error":
        return "failed"
    if not (row.text or "").strip():
        return "empty"
    if row.finish_reason == "length":
        return "unfinished"
    if score is None or score.values.get(metric) not in (0, 1):
        return "unscored"
    return "unparsed" if score.values.get("no_answer") == 1 else None


def _nearest(
    usable: Mapping[bool, Sequence[Completion]], seed: int
) -> tuple[Completion, Completion]:
    """Return the right and the wrong solution that differ least in length."""
    rows = [*usable[True], *usable[False]]
    in_tokens = all(row.num_tokens for row in rows)

    def length(row: Completion) -> int:
        return row.num_tokens if in_tokens else len(row.text or "")

    apart = [
        (abs(length(right) - length(wrong)), right, wrong)
        for right in usable[True]
        for wrong in usable[False]
    ]
    least = min(distance for distance, _, _ in apart)
    nearest = [(right, wrong) for distance, right, wrong in apart if distance == least]
    return min(nearest, key=lambda two: derive_seed("solutions", seed, *two[0].key, *two[1].key))


def _pair(sample: Sample, right: Completion, wrong: Completion) -> ContrastPair:
    asked = sample.metadata.get("question")
    return ContrastPair(
        id=f"{sample.id}#{right.index}-{wrong.index}",
        question_id=sample.id,
        messages=sample.messages,
        positive=right.text or "",
        negative=wrong.text or "",
        preamble=sample.preamble,
        question=asked if isinstance(asked, str) else "",
    )


def _counts(
    usable: Mapping[str, Mapping[bool, Sequence[Completion]]],
    num_pairs: int,
    left: Mapping[LeftOut, int],
) -> SolutionCounts:
    found = Counter((bool(some[True]), bool(some[False])) for some in usable.values())
    return SolutionCounts(
        problems=len(usable),
        pairs=num_pairs,
        all_right=found[True, False],
        all_wrong=found[False, True],
        none_usable=found[False, False],
        left_out=dict(sorted(left.items())),
    )
