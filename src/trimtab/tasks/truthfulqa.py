"""TruthfulQA: questions that tempt a model into a popular falsehood, in three forms.

Source: Lin et al. 2021 (arXiv 2109.07958), and the authors' repository of January 2025 for the
two-option form. Where we differ: options are shown to the scorer in an order that carries no
information (the published files list the right one first); the two-option form is asked in both
orders instead of one drawn at random; questions are split into fit, select and test.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field, JsonValue, ValidationInfo, field_validator

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.keys import content_key
from trimtab.core.spec import Component, Spec, Split
from trimtab.core.types import Choice, ContrastPair, Message, Sample, SamplingParams
from trimtab.datasets.primers import Preset, primer
from trimtab.datasets.questions import Question, data_key
from trimtab.datasets.sources import read_questions
from trimtab.datasets.splits import Fractions, in_split, spread
from trimtab.tasks.base import Task

__all__ = ["TruthfulQA"]


class _Config(Spec):
    """What is asked, of which questions, and how.

    Attributes:
        source: ``bundled``, a ``.csv``, ``.json`` or ``.jsonl`` file, a directory that holds
            ``TruthfulQA.csv`` and ``mc_task.json``, or a hub id (``truthfulqa/truthful_qa``).
        form: ``generation`` writes an answer; ``options`` scores published answers (MC1, MC2 and
            binary); ``two_option`` shows two answers and scores the letters, in both orders.
        rendering: ``chat`` or ``plain``; published log-probability numbers are plain.
        preset: ``qa`` puts the six-pair primer in front, as published numbers have it; with plain
            rendering only. The two-option form never has it: it shows no lettered answers.
        limit: Most questions per split, spread over the categories; None is all.
        fractions: How questions are shared out; ``{fit: 0, select: 0, test: 1}`` for a benchmark.
        max_tokens: Most new tokens of a generated answer.
        max_pairs_per_question: Most contrast pairs made of one question.
    """

    source: str = Field(default="bundled", min_length=1)
    form: Literal["generation", "options", "two_option"] = "generation"
    rendering: Literal["chat", "plain"] = "chat"
    preset: Preset = "none"
    limit: int | None = Field(default=None, ge=1)
    fractions: Fractions = Fractions()
    max_tokens: int = Field(default=50, ge=1)
    max_pairs_per_question: int = Field(default=4, ge=1)

    @field_validator("preset")
    @classmethod
    def _preset_fits(cls, preset: Preset, info: ValidationInfo) -> Preset:
        if preset == "qa" and info.data.get("rendering") == "chat":
            raise ValueError("the Q/A primer is raw text, it needs `rendering: plain`")
        return preset


class TruthfulQA(Task[_Config]):
    """Truthfulness by free answers, by scored options, or by a choice of two."""

    Config = _Config

    def __init__(self, config: _Config) -> None:
        """Keep ``config``; the source is read when samples are asked for."""
        super().__init__(config)
        self.output = "text" if config.form == "generation" else "options"
        self.measure = config.form
        self.rendering = config.rendering
        self._preset: Preset = "none" if config.form == "two_option" else config.preset

    @property
    def protocol(self) -> str:
        """Form, rendering and preset, e.g. ``truthfulqa/options/plain+qa``."""
        preset = "" if self._preset == "none" else f"+{self._preset}"
        return f"truthfulqa/{self.config.form}/{self.config.rendering}{preset}"

    @property
    def data_key(self) -> str:
        """Content hash of the source's questions, before splitting."""
        return data_key(self._all)

    @cached_property
    def _all(self) -> list[Question]:
        return read_questions(self.config.source)

    def questions(self, split: Split) -> list[Question]:
        """Return the questions of ``split``, ordered by id.

        The split is made before questions are left out, so all forms and limits agree on it.

        Raises:
            ConfigError: The split is empty.
            DataError: The source is wrong, or has no two-option questions and they are wanted.
        """
        usable = in_split(self._all, split, self.config.fractions)
        missing = self.missing()
        if missing:
            raise DataError(
                f"{missing}.", hint="Use the 790-question version, `bundled`, or another form."
            )
        if self.config.form == "two_option":
            usable = [item for item in usable if item.best_incorrect_answer]
        if not usable:
            raise ConfigError(
                f"The split {split!r} of {self.config.source!r} is empty "
                f"(`task.fractions.{split}` is {self.config.fractions.of(split):g}).",
                hint="Give it a larger fraction, or do not ask for it.",
            )
        return sorted(spread(usable, self.config.limit), key=lambda item: item.id)

    def missing(self) -> str | None:
        """Say so where no question has the second answer of the form ``two_option``."""
        paired = self.config.form == "two_option"
        if not paired or any(item.best_incorrect_answer for item in self._all):
            return None
        return (
            f"{self.config.source!r} (given as `task.source`) names no best incorrect answer, "
            f"which the form 'two_option' needs"
        )

    def notes(self) -> tuple[str, ...]:
        """Say how many questions the form ``two_option`` leaves out."""
        lacking = sum(not item.best_incorrect_answer for item in self._all)
        if self.config.form != "two_option" or not 0 < lacking < len(self._all):
            return ()
        return (
            f"'two_option' leaves out {lacking} of {len(self._all)} questions of "
            f"{self.config.source!r}: they name no best incorrect answer",
        )

    def samples(self, split: Split) -> list[Sample]:
        """Return the samples of ``split``, ordered by id; clusters are categories or questions."""
        made = {"generation": self._generation, "options": self._options}
        if self.config.form == "two_option":
            return [self._two_option(q, swap) for q in self.questions(split) for swap in (0, 1)]
        return [made[self.config.form](question) for question in self.questions(split)]

    def pairs(self, split: Split) -> list[ContrastPair]:
        """Return pairs of a right (positive) and a wrong (negative) answer, ordered by question.

        The best answers come first and are paired with each other; then each right answer with the
        wrong one at its place, as far as the shorter list goes.
        """
        return [
            ContrastPair(
                id=f"{item.id}#{k}",
                question_id=item.id,
                messages=_ask(item.question),
                positive=right,
                negative=wrong,
                preamble=primer(self._preset),
            )
            for item in self.questions(split)
            for k, (right, wrong) in enumerate(_pairs(item, self.config.max_pairs_per_question))
        ]

    def judges(self) -> tuple[Component, ...]:
        """Return ``choice`` for options; for free answers ``exact``, and ``semantic`` beside it.

        Only ``exact`` gives every published right answer 1 and every wrong one 0. It takes nothing
        but their words, so as a reward it is sparse and its mean is a lower bound. ``semantic``
        reads paraphrases; its first metric is a difference of similarities, never just 1.
        """
        if self.config.form == "generation":
            return Component(name="exact"), Component(name="semantic")
        if self.config.form == "two_option":
            return (Component(name="choice", config={"form": "two_option"}),)
        known = {name for item in self._all for name in item.option_sets()}
        sets = [name for name in ("mc1", "mc2", "binary") if name in known]
        return (Component(name="choice", config={"form": "options", "sets": sets}),)

    def sampling(self) -> SamplingParams | None:
        """Greedy; a plain answer ends at a blank line or the next ``Q:``, as published."""
        if self.config.form != "generation":
            return None
        stop = ("\n\n", "Q:") if self.config.rendering == "plain" else ()
        return SamplingParams(max_tokens=self.config.max_tokens, stop=stop)

    def _generation(self, item: Question) -> Sample:
        metadata: dict[str, JsonValue] = {
            **_about(item),
            "correct_answers": list(item.correct_answers),
            "incorrect_answers": list(item.incorrect_answers),
        }
        return Sample(
            id=item.id,
            messages=_ask(item.question),
            target=item.best_answer,
            cluster=item.cluster,
            preamble=primer(self._preset),
            metadata=metadata,
        )

    def _options(self, item: Question) -> Sample:
        return Sample(
            id=item.id,
            messages=_ask(item.question),
            target=item.best_answer,
            choices=_choices(item),
            cluster=item.cluster,
            preamble=primer(self._preset),
            metadata=_about(item),
        )

    def _two_option(self, item: Question, swap: int) -> Sample:
        assert item.best_incorrect_answer is not None
        answers = [item.best_answer, item.best_incorrect_answer]
        first, second = reversed(answers) if swap else answers
        shown = f"{item.question}\n(A) {first}\n(B) {second}\nAnswer with the letter A or B."
        sets = ("two_option",)
        return Sample(
            id=f"{item.id}#{'ba' if swap else 'ab'}",
            messages=_ask(shown),
            target="B" if swap else "A",
            choices=(
                Choice(text="A", correct=not swap, sets=sets, reference=not swap),
                Choice(text="B", correct=bool(swap), sets=sets, reference=bool(swap)),
            ),
            # Both orders of a question are one observation.
            cluster=item.id,
            metadata=_about(item),
        )


def _ask(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def _about(item: Question) -> dict[str, JsonValue]:
    about: dict[str, JsonValue] = {"category": item.category, "question": item.question}
    if item.ambiguous:
        about["ambiguous_answers"] = list(item.ambiguous)
    return about


def _choices(item: Question) -> tuple[Choice, ...]:
    """Return the union of the option sets, each text once, ordered by a hash of its text."""
    correct: dict[str, bool] = {}
    members: dict[str, list[str]] = {}
    best = ""
    for name, options in item.option_sets().items():
        for text, right in options:
            if correct.setdefault(text, right) != right:
                raise DataError(
                    f"The answer {text!r} to {item.question!r} is both correct and incorrect."
                )
            members.setdefault(text, []).append(name)
            best = text if name == "mc1" and right else best
    return tuple(
        Choice(
            text=text,
            correct=correct[text],
            sets=tuple(members[text]),
            reference=text == best,
        )
        for text in sorted(members, key=lambda text: content_key([item.question, text]))
    )


def _pairs(item: Question, most: int) -> list[tuple[str, str]]:
    right = dict.fromkeys((item.best_answer, *item.correct_answers))
    named = item.best_incorrect_answer
    wrong = dict.fromkeys((*([named] if named else []), *item.incorrect_answers))
    return list(zip(right, wrong, strict=False))[:most]
