"""What is remembered of a round, and what the log keeps of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from trimtab.engine.reading.divergence import Drawn
from trimtab.text.grades import Grade, GradeState
from trimtab.training.reinforce.dialogue import Episode

SEGMENTS = ("answer", "grade")


@dataclass(eq=False)
class Round:
    """The episodes of a round.

    Attributes:
        episodes: Samples of an item stand together.
        grades: What was read of each grade.
        true: What each answer is worth; None where it can't be said.
        rewards: What each episode is rewarded with; None is nothing.
        advantages: What is credited; None is learned nothing from.
        baseline: The running mean of rewards before the round.
        drawn: What the adapter makes of each episode, and the lengths of its segments.
    """

    episodes: list[Episode]
    grades: list[Grade]
    true: list[float | None]
    rewards: list[float | None]
    advantages: list[float | None]
    baseline: float | None
    drawn: dict[int, tuple[Drawn, list[int]]] = field(default_factory=dict)


def told(round_: Round, ids: Sequence[str], self_graded: bool) -> dict[str, Any]:
    """Return what the log keeps of a round: means, and each episode.

    Args:
        round_: The round, all of it computed.
        ids: Of all items.
        self_graded: Whether the adapter wrote the grades.
    """
    episodes = [_episode(round_, number, ids) for number in range(len(round_.episodes))]
    grades = [grade.value for grade in round_.grades]
    states = [grade.state for grade in round_.grades]
    return {
        "reward": mean(round_.rewards),
        "true": mean(round_.true),
        "grade": mean(grades),
        "grade_all": mean([grade or 0.0 for grade in grades]),
        "inflation": mean([_less(g, t) for g, t in zip(grades, round_.true, strict=True)]),
        "inflation_all": mean(
            [_less(g or 0.0, t) for g, t in zip(grades, round_.true, strict=True)]
        ),
        "unparsed": states.count(GradeState.UNPARSED),
        "refused": states.count(GradeState.REFUSED),
        "baseline": round_.baseline,
        "entropy": mean(_over(episodes, "entropy")),
        "divergence": mean(_over(episodes, "divergence")),
        "mismatch": max((abs(x) for x, _ in mismatches(round_, self_graded)), default=None),
        "episodes": episodes,
    }


def mismatches(round_: Round, self_graded: bool) -> list[tuple[float, int]]:
    """Return recomputed less sampled log-probability per token, and tokens, of finite segments.

    Whatever samples and learns is the same adapter, so these are differences of rounding.
    """
    found = []
    for number, (drawn, lengths) in sorted(round_.drawn.items()):
        episode = round_.episodes[number]
        written = (episode.answer, episode.grade)[: 2 if self_graded else 1]
        for logprob_N, segment in zip(drawn.logprob_N.split(lengths), written, strict=True):
            difference = float(logprob_N.double().sum()) - segment.logprob
            if math.isfinite(difference):
                found.append((difference / len(segment.tokens), len(segment.tokens)))
    return found


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of what is known; None of nothing."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _less(grade: float | None, true: float | None) -> float | None:
    return None if grade is None or true is None else grade - true


def _over(episodes: Sequence[dict[str, Any]], name: str) -> list[float | None]:
    return [e[segment][name] for e in episodes for segment in SEGMENTS if name in e[segment]]


def _episode(round_: Round, number: int, ids: Sequence[str]) -> dict[str, Any]:
    episode, grade = round_.episodes[number], round_.grades[number]
    row: dict[str, Any] = {
        "item": ids[episode.item],
        "reward": round_.rewards[number],
        "true": round_.true[number],
        "advantage": round_.advantages[number],
        "grade_state": grade.state.value,
        "grade_form": grade.form,
        "grade_value": grade.value,
    }
    for name, written in zip(SEGMENTS, (episode.answer, episode.grade), strict=True):
        row[name] = {
            "text": written.text,
            "tokens": len(written.tokens),
            "ended": written.ended,
            "sampled_logprob": written.logprob,
        }
    if number in round_.drawn:
        drawn, lengths = round_.drawn[number]
        parts = zip(
            SEGMENTS,
            *(x.split(lengths) for x in (drawn.logprob_N, drawn.entropy_N, drawn.divergence_N)),
            strict=False,
        )
        for name, logprob_N, entropy_N, divergence_N in parts:
            row[name] |= {
                "logprob": _finite(logprob_N.double().sum()),
                "entropy": _finite(entropy_N.double().mean()),
                "divergence": _finite(divergence_N.double().mean()),
            }
    return row


def _finite(value: torch.Tensor) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
