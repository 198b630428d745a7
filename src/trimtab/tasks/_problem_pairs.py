"""Contrast pairs of problems: a right solution against a wrong one, both in the task's own form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Protocol

from pydantic import Field

from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError
from trimtab.core.spec import Spec, Split
from trimtab.core.types import ContrastPair, Message
from trimtab.datasets.corruption import corrupted, is_right
from trimtab.datasets.pair_files import CORRUPTED, GIVEN_AS, PairFile
from trimtab.datasets.problems import Pool, Problem
from trimtab.datasets.splits import Fractions, spread
from trimtab.text.calculations import without_marks
from trimtab.text.tolerance import Tolerance

Solutions = tuple[str, str]
"""A right and a wrong solution."""


class PairSource(Spec):
    """What contrast pairs are made of.

    Attributes:
        source: ``corrupted``: the reference solution, and the same with a wrong number and all that
            follows from it; or a ``.jsonl`` or ``.csv`` file with ``question``, ``positive`` and
            ``negative``.
        seed: Another seed makes other mistakes, where they are made here.
    """

    source: str = Field(default=CORRUPTED, min_length=1)
    seed: int = Field(default=0, ge=0, lt=2**63)


class _Config(Protocol):
    """The part of a task's configuration that decides its pairs."""

    @property
    def pairs(self) -> PairSource: ...
    @property
    def rendering(self) -> str: ...
    @property
    def shots(self) -> int: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def fractions(self) -> Fractions: ...


class ProblemPairs:
    """The pairs of one task; what is left out of them is said by ``notes``."""

    def __init__(self, config: _Config, pool: Pool, tolerance: Tolerance | None = None) -> None:
        """Keep what decides the pairs; a file is read when they are asked for."""
        self._config = config
        self._pool = pool
        self._tolerance = tolerance
        self._notes: dict[str, None] = {}

    def of(self, split: Split, ask: Callable[[str], str], preamble: str) -> list[ContrastPair]:
        """Return the pairs of ``split``, ordered by problem.

        Problems that are worked examples in ``preamble`` are left out: their solution is there to
        be copied. A raw solution follows its prompt after a space, with its calculator marks.

        Args:
            split: Which split.
            ask: Returns the message that asks a question.
            preamble: Few-shot text.

        Raises:
            ConfigError: There are none.
            DataError: The file can't be read, or a row is malformed.
        """
        config = self._config
        lead = " " if config.rendering == "raw" else ""
        pairs = [
            ContrastPair(
                id=f"{problem.id}#{k}",
                question_id=problem.id,
                messages=(Message(role="user", content=ask(problem.question)),),
                positive=lead + right,
                negative=lead + wrong,
                preamble=preamble,
                question=problem.question,
            )
            for problem, solutions in self._solutions(split)
            for k, (right, wrong) in enumerate(solutions)
        ]
        if not pairs:
            raise ConfigError(
                f"There are no contrast pairs for the split {split!r} (`{GIVEN_AS}` is "
                f"{config.pairs.source!r}).",
                hint="Give the split a larger fraction, or more problems.",
            )
        return pairs

    def notes(self) -> tuple[str, ...]:
        """Say what was left out of the pairs that were asked for."""
        return tuple(self._notes)

    def _solutions(self, split: Split) -> Iterator[tuple[Problem, Sequence[Solutions]]]:
        if self._config.pairs.source == CORRUPTED:
            yield from self._corrupted(split)
            return
        given = {problem.id: (problem, some) for problem, some in self._file.of(split)}
        self._notes[self._file.note(self._tolerance)] = None
        for problem in self._chosen([problem for problem, _ in given.values()]):
            rows = given[problem.id][1]
            yield problem, [(row.positive, row.negative) for row in rows]

    def _corrupted(self, split: Split) -> Iterator[tuple[Problem, Sequence[Solutions]]]:
        seed, raw = self._config.pairs.seed, self._config.rendering == "raw"
        lost = 0
        for problem in self._chosen(self._pool.split(split, self._config.fractions)):
            right = problem.solution
            wrong = corrupted(problem, seed, self._tolerance)
            if wrong is None or not is_right(right, problem.final, self._tolerance):
                lost += 1
                continue
            yield problem, [(right, wrong) if raw else (without_marks(right), without_marks(wrong))]
        if lost:
            self._notes[
                f"{counted(lost, 'problem')} of the split {split!r} without a contrast pair: the "
                "reference solution is not read as right, or no number of it can be made wrong"
            ] = None

    def _chosen(self, problems: Sequence[Problem]) -> list[Problem]:
        """Return the problems that pairs are made of, ordered by id."""
        config = self._config
        shown: set[str] = set()
        if config.rendering == "raw":
            shown = {shot.id for shot in self._pool.shots(config.fractions, config.shots)}
        usable = [problem for problem in problems if problem.id not in shown]
        return sorted(spread(usable, config.limit), key=lambda problem: problem.id)

    @cached_property
    def _file(self) -> PairFile:
        return PairFile(self._config.pairs.source, self._pool, self._config.fractions)
