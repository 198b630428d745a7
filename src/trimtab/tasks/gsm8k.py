r"""Word problems whose answer is a number: GSM8K, and files like it (SVAMP, MultiArith).

Source: Cobbe et al. 2021 (arXiv 2110.14168). ``raw`` is the few-shot protocol of lm-eval's task
``gsm8k`` 3.0 (``Question: ...\nAnswer:``, 256 tokens, its stop strings). Where we differ: the shots
are the same for every question and come from the fit split; lm-eval draws new ones for each.
Reference solutions keep their calculator marks (``<<3*4=12>>``) in the shots, as there.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Protocol

from pydantic import Field

from trimtab.core.counted import counted
from trimtab.core.keys import content_key
from trimtab.core.spec import Component, Spec, Split
from trimtab.core.types import ContrastPair, Message, Sample, SamplingParams
from trimtab.datasets.problems import Pool, Problem, read_pool
from trimtab.datasets.splits import Fractions, spread
from trimtab.tasks._problem_pairs import PairSource, ProblemPairs
from trimtab.tasks.base import Task
from trimtab.text.tolerance import Tolerance

__all__ = ["GSM8K"]

INSTRUCTION = "Reason step by step, and end with a line that holds #### and the final number alone."
RAW_STOP = ("Question:", "</s>", "<|im_end|>")
"""Where a raw answer ends: the next question begins."""


class _Config(Spec):
    """Which problems, and how they are asked.

    Attributes:
        source: A hub id (``openai/gsm8k``), a directory with ``train.jsonl`` and ``test.jsonl`` (or
            ``.csv``), or one ``.jsonl`` or ``.csv`` file.
        name: Name of the data in the protocol; give another for another data set.
        rendering: ``chat`` puts the question and the instruction into a chat turn; ``raw`` is the
            published few-shot text, for base models and published numbers.
        instruction: What a chat turn says after the question; empty for nothing.
        shots: Worked examples in front of a raw question.
        limit: Most problems per split, in the order of a hash; None is all.
        fractions: How problems are shared out. A source with a test set of its own keeps it, and
            fit and select share the rest.
        max_tokens: Most new tokens; null is 512 for chat and 256 for raw.
        tolerance: How far an answer may be off, e.g. ``{rule: relative, value: 0.001}``; it is part
            of the protocol's name. Must be stated where answers have more than two decimals.
        pairs: What contrast pairs are made of: ``{source: corrupted}`` sets the reference solution
            against the same with a wrong number; a ``.jsonl`` or ``.csv`` file has your own.
    """

    source: str = Field(default="openai/gsm8k", min_length=1)
    name: str = Field(default="gsm8k", pattern=r"^[a-z0-9][a-z0-9._-]*$")
    rendering: Literal["chat", "raw"] = "chat"
    instruction: str = INSTRUCTION
    shots: int = Field(default=5, ge=0)
    limit: int | None = Field(default=None, ge=1)
    fractions: Fractions = Fractions(fit=0.85, select=0.15, test=0)
    max_tokens: int | None = Field(default=None, ge=1)
    tolerance: Tolerance | None = None
    pairs: PairSource = PairSource()


class GSM8K(Task[_Config]):
    """Solve a word problem in writing; the answer is the number it ends in."""

    Config = _Config

    def __init__(self, config: _Config) -> None:
        """Keep ``config``; the source is read when samples are asked for."""
        super().__init__(config)
        self.rendering = "chat" if config.rendering == "chat" else "verbatim"

    @property
    def protocol(self) -> str:
        """Data, rendering, shots or instruction, and a tolerance: ``gsm8k/generation/raw-5``."""
        config = self.config
        within = "" if config.tolerance is None else f"/within-{config.tolerance.name}"
        if config.rendering == "raw":
            return f"{config.name}/generation/raw-{config.shots}{within}"
        return f"{config.name}/generation/chat{asked(config.instruction, INSTRUCTION)}{within}"

    @cached_property
    def _pool(self) -> Pool:
        return read_pool(self.config.source, rounded=self.config.tolerance is not None)

    def problems(self, split: Split) -> list[Problem]:
        """Return the problems of ``split``, ordered by id; raise ConfigError if it is empty."""
        usable = self._pool.split(split, self.config.fractions)
        return sorted(spread(usable, self.config.limit), key=lambda problem: problem.id)

    def samples(self, split: Split) -> list[Sample]:
        """Return the samples of ``split``, ordered by id; each problem is a cluster of its own."""
        stated = self.config.tolerance
        tolerance = {} if stated is None else {"tolerance": stated.model_dump(mode="json")}
        return [
            Sample(
                id=problem.id,
                messages=(Message(role="user", content=ask(problem.question, self.config)),),
                target=problem.final,
                preamble=self._preamble,
                metadata={"question": problem.question, "solution": problem.solution, **tolerance},
            )
            for problem in self.problems(split)
        ]

    def pairs(self, split: Split) -> list[ContrastPair]:
        """Return right and wrong solutions of ``split``, see ``pairs`` of the configuration."""
        return self._pairs.of(split, lambda question: ask(question, self.config), self._preamble)

    def notes(self) -> tuple[str, ...]:
        """Say how many rows repeat a problem, and what of the pairs is left out."""
        count = self._pool.repeats
        rows = counted(count, "repeated problem")
        again = f"{rows} of {self.config.source!r} left out"
        return (*((again,) if count else ()), *self._pairs.notes())

    def judges(self) -> tuple[Component, ...]:
        """Return ``number``, which reads the answer as chat models write it."""
        return (Component(name="number"),)

    def sampling(self) -> SamplingParams:
        """Greedy; a raw answer ends where the next question would begin."""
        if self.config.rendering == "raw":
            return SamplingParams(max_tokens=self.config.max_tokens or 256, stop=RAW_STOP)
        return SamplingParams(max_tokens=self.config.max_tokens or 512)

    @cached_property
    def _preamble(self) -> str:
        if self.config.rendering != "raw":
            return ""
        return worked_examples(self._pool, self.config.fractions, self.config.shots)

    @cached_property
    def _pairs(self) -> ProblemPairs:
        return ProblemPairs(self.config, self._pool, self.config.tolerance)


def asked(instruction: str, usual: str) -> str:
    """Return what an instruction adds to the name of a protocol: nothing if it is the usual one."""
    return "" if instruction == usual else f"+{content_key(instruction, 6)}"


class Asking(Protocol):
    """The part of a task's configuration that says how a question is put."""

    @property
    def rendering(self) -> str: ...
    @property
    def instruction(self) -> str: ...


def ask(question: str, asking: Asking) -> str:
    """Return a question as lm-eval's few-shot text asks it, or as the text of a chat turn."""
    if asking.rendering == "raw":
        return _raw(question)
    return f"{question}\n\n{asking.instruction}" if asking.instruction else question


def _raw(question: str) -> str:
    return f"Question: {question}\nAnswer:"


def worked_examples(pool: Pool, fractions: Fractions, num_shots: int) -> str:
    """Return the text in front of a raw question: problems of the fit split and their solutions."""
    shots = pool.shots(fractions, num_shots)
    return "".join(f"{_raw(shot.question)} {shot.solution}\n\n" for shot in shots)
