"""Made-up arithmetic, as bare sums and as short stories, as hard as a model needs it.

Problems are drawn from a seed by hashing, so that they are the same on every machine. No two of
them have the same terms, and none shares 13 words in a row with another, so that splits are
disjoint by both.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from pydantic import Field, field_validator

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key, derive_seed
from trimtab.core.spec import Component, Spec, Split
from trimtab.core.types import ContrastPair, Message, Sample, SamplingParams
from trimtab.datasets.problems import Pool, Problem
from trimtab.datasets.splits import Fractions, spread
from trimtab.tasks._problem_pairs import PairSource, ProblemPairs
from trimtab.tasks.base import Task
from trimtab.tasks.gsm8k import RAW_STOP, ask, asked, worked_examples
from trimtab.text.leaks import NGRAM_WORDS
from trimtab.text.overlap import words

__all__ = ["Arithmetic"]

Form = Literal["sum", "story"]
Terms = tuple[tuple[str, int], ...]

INSTRUCTION = "Answer with the number alone."
_MAX_DRAWS_PER_PROBLEM = 50
_NAMES = (
    ("Mia", "She"), ("Tom", "He"), ("Ana", "She"), ("Ben", "He"), ("Zoe", "She"), ("Sam", "He"),
    ("Eva", "She"), ("Leo", "He"), ("Ida", "She"), ("Max", "He"), ("Kim", "She"), ("Jon", "He"),
)  # fmt: skip
_ITEMS = ("apples", "marbles", "stamps", "coins", "shells", "cards", "pencils", "buttons", "books")
_MORE = ("finds {n} more", "buys {n} more", "gets {n} more", "is given {n} more")
_FEWER = ("loses {n}", "gives away {n}", "sells {n}", "drops {n}")


class _Config(Spec):
    """Which problems.

    Attributes:
        forms: ``sum`` is ``What is 23 + 45?``; ``story`` says the same in sentences.
        digits: Most digits of a number.
        step_digits: Most digits of the numbers after the first, which makes problems easier; as
            ``digits`` if not given.
        steps: Operations in a problem.
        operations: Which ones; a story has no product.
        count: Problems to draw, before they are shared out.
        seed: Another seed gives other problems.
        rendering: ``chat`` puts the question and the instruction into a chat turn; ``raw`` asks as
            the few-shot text of ``gsm8k`` does, which small models follow better.
        instruction: What a chat turn says after the question; empty for nothing.
        shots: Worked examples, of the fit split, in front of a raw question.
        limit: Most problems per split, spread over the forms; None is all.
        fractions: How problems are shared out.
        max_tokens: Most new tokens.
        pairs: What contrast pairs are made of, see ``gsm8k``.
    """

    forms: tuple[Form, ...] = Field(default=("sum", "story"), min_length=1)
    digits: int = Field(default=2, ge=1, le=9)
    step_digits: int | None = Field(default=None, ge=1, le=9)
    steps: int = Field(default=2, ge=1, le=8)
    operations: tuple[Literal["+", "-", "*"], ...] = Field(default=("+", "-"), min_length=1)
    count: int = Field(default=600, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**63)
    rendering: Literal["chat", "raw"] = "chat"
    instruction: str = INSTRUCTION
    shots: int = Field(default=5, ge=0)
    limit: int | None = Field(default=None, ge=1)
    fractions: Fractions = Fractions()
    max_tokens: int = Field(default=96, ge=1)
    pairs: PairSource = PairSource()

    @field_validator("operations")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("each operation must be listed once")
        return value


class Arithmetic(Task[_Config]):
    """Work out a sum or a short story; the answer is a whole number, never negative."""

    Config = _Config

    def __init__(self, config: _Config) -> None:
        """Keep ``config``; problems are drawn when samples are asked for."""
        super().__init__(config)
        self.rendering = "chat" if config.rendering == "chat" else "verbatim"

    @property
    def protocol(self) -> str:
        """How it is asked; which problems are drawn is in the key of the samples."""
        if self.config.rendering == "raw":
            return f"arithmetic/generation/raw-{self.config.shots}"
        return f"arithmetic/generation/chat{asked(self.config.instruction, INSTRUCTION)}"

    @cached_property
    def _pool(self) -> Pool:
        return Pool(train=tuple(_problems(self.config)))

    def samples(self, split: Split) -> list[Sample]:
        """Return the samples of ``split``, ordered by id; raise ConfigError if it is empty."""
        config = self.config
        usable = self._pool.split(split, config.fractions)
        return [
            Sample(
                id=problem.id,
                messages=(Message(role="user", content=ask(problem.question, config)),),
                target=problem.final,
                preamble=self._preamble,
                metadata={
                    "question": problem.question,
                    "solution": problem.solution,
                    "kind": problem.kind,
                },
            )
            for problem in sorted(spread(usable, config.limit), key=lambda item: item.id)
        ]

    def pairs(self, split: Split) -> list[ContrastPair]:
        """Return right and wrong solutions of ``split``, see ``pairs`` of the configuration."""
        return self._pairs.of(split, lambda question: ask(question, self.config), self._preamble)

    def notes(self) -> tuple[str, ...]:
        """Say what of the pairs is left out."""
        return self._pairs.notes()

    def judges(self) -> tuple[Component, ...]:
        """Return ``number``, which reads the answer as chat models write it."""
        return (Component(name="number"),)

    def sampling(self) -> SamplingParams:
        """Greedy; a raw answer ends where the next question would begin."""
        stop = RAW_STOP if self.config.rendering == "raw" else ()
        return SamplingParams(max_tokens=self.config.max_tokens, stop=stop)

    @cached_property
    def _pairs(self) -> ProblemPairs:
        return ProblemPairs(self.config, self._pool)

    @cached_property
    def _preamble(self) -> str:
        if self.config.rendering != "raw":
            return ""
        return worked_examples(self._pool, self.config.fractions, self.config.shots)


def _problems(config: _Config) -> Iterator[Problem]:
    """Yield ``config.count`` problems, forms in turn; raise ConfigError if there are too few."""
    terms_seen: set[tuple[Form, Terms]] = set()
    said: set[tuple[str, ...]] = set()
    made = 0
    for number in range(config.count * _MAX_DRAWS_PER_PROBLEM):
        if made == config.count:
            return
        form = config.forms[made % len(config.forms)]
        draw = _Draw(config.seed, form, number)
        terms = _terms(draw, config, form)
        # 3 + 14 and 14 + 3 are one problem; the sign of the first term is a plus
        identity = (form, tuple(sorted(terms)))
        if identity in terms_seen:
            continue
        question = _story(draw, terms) if form == "story" else _sum(terms)
        found = words(question)
        size = min(NGRAM_WORDS, len(found))
        runs = {tuple(found[i : i + size]) for i in range(len(found) - size + 1)}
        if runs & said:
            continue
        terms_seen.add(identity)
        said |= runs
        made += 1
        yield Problem(
            id=f"a-{content_key(question, 12)}",
            question=question,
            solution=_worked(terms),
            final=str(_value(terms)),
            kind=form,
        )
    if made < config.count:
        raise ConfigError(
            f"Only {made} different problems were found where `task.count` is {config.count}.",
            hint="Lower `task.count`, or raise `task.digits` or `task.steps`.",
        )


class _Draw:
    """Numbers below a bound, by hashing: the same on every machine and Python."""

    def __init__(self, *parts: object) -> None:
        self._parts = parts
        self._count = 0

    def below(self, bound: int) -> int:
        self._count += 1
        return derive_seed("arithmetic", *self._parts, self._count) % bound

    def among(self, options: tuple[str, ...]) -> str:
        return options[self.below(len(options))]


def _terms(draw: _Draw, config: _Config, form: Form) -> Terms:
    """Return the first number and the operations on it; no intermediate result is negative."""
    allowed = tuple(op for op in config.operations if form == "sum" or op != "*") or ("+",)
    terms = [("+", 1 + draw.below(10**config.digits - 1))]
    largest = 10 ** (config.step_digits or config.digits) - 1
    for _ in range(config.steps):
        so_far = _value(tuple(terms))
        op = draw.among(tuple(op for op in allowed if op != "-" or so_far > 1) or ("+",))
        bound = {"+": largest, "-": min(largest, so_far - 1), "*": 8}[op]
        terms.append((op, 1 + draw.below(bound) + (op == "*")))
    return tuple(terms)


def _value(terms: Terms) -> int:
    """Return the result, worked from left to right."""
    total = 0
    for op, number in terms:
        total = {"+": total + number, "-": total - number, "*": total * number}[op]
    return total


def _worked(terms: Terms) -> str:
    """Return a reference solution: one line per operation, then the announcement."""
    lines = []
    for count in range(1, len(terms)):
        op, number = terms[count]
        lines.append(f"{_value(terms[:count])} {op} {number} = {_value(terms[: count + 1])}")
    return "\n".join([*lines, f"The answer is {_value(terms)}"])


def _sum(terms: Terms) -> str:
    """Return the bare form; brackets say that it is worked from left to right."""
    text = str(terms[0][1])
    for index, (op, number) in enumerate(terms[1:], start=1):
        loose = op == "*" and index > 1 and terms[index - 1][0] != "*"
        text = f"({text}) * {number}" if loose else f"{text} {op} {number}"
    return f"What is {text}?"


def _story(draw: _Draw, terms: Terms) -> str:
    name, pronoun = _NAMES[draw.below(len(_NAMES))]
    item = draw.among(_ITEMS)
    steps = [
        f"{pronoun} {draw.among(_MORE if op == '+' else _FEWER).format(n=number)}."
        for op, number in terms[1:]
    ]
    start = f"{name} has {terms[0][1]} {item}."
    return " ".join([start, *steps, f"How many {item} does {name} have now?"])
