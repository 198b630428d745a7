"""A/B questions on a behaviour, as in the CAA repository: how probable is one letter of two.

Source: Panickssery et al. 2023 (arXiv 2312.06681) and its released data: seven behaviours, each
with questions to make a vector from (``generate``), A/B questions and open questions to test it
on, and two-option MMLU for side effects. As there, the question stands in the user's turn and the
answer begins with ``(``; the score is P(letter) over both letters, see the judge ``choice``. Where
we differ: each question is asked in both orders, and both enter the vector (``order: given`` asks
it as published); questions that are tested never enter a vector (four of the published behaviour
``refusal`` are in both files).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, JsonValue

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, Spec, Split
from trimtab.core.types import Choice, ContrastPair, Message, Sample, SamplingParams
from trimtab.datasets.ab import ABQuestion, Asked, read_ab, read_asked
from trimtab.datasets.ab_sources import FIT, OPEN, TEST, file_of, in_layout, is_layout
from trimtab.datasets.files import DATA
from trimtab.datasets.splits import Fractions, in_split, spread
from trimtab.tasks.base import Task
from trimtab.text.overlap import normalise_question

__all__ = ["CaaAB"]

A = TypeVar("A", bound=Asked)

BUNDLED = DATA / "ab"


class _Config(Spec):
    """Which questions, and how they are asked.

    Attributes:
        source: ``bundled``, a folder with ``generate/`` and ``test/`` as in the CAA repository's
            ``datasets``, a ``.json``, ``.jsonl`` or ``.csv`` file of the same rows (also those of
            persona files, answered Yes and No), or a folder or list of several.
        behaviour: Which files of several, e.g. ``sycophancy``, or ``mmlu`` for side effects; it
            names the table. Null is the name of the file, or ``agreement`` of what is bundled.
        form: ``ab`` scores the letters of two options; ``open_ended`` writes an answer.
        order: ``both`` asks each question in its published order and with its two options
            exchanged, and averages: a model that always says (A) scores exactly 1/2. Contrast
            pairs are made of both too, so a vector holds no preference for a letter. ``given`` is
            the published order alone.
        rendering: ``chat``, or ``plain`` for base models.
        limit: Most questions per split, spread over the categories; null is all.
        fractions: How a file is shared out; a folder has a test set of its own, and fit and
            select share ``generate`` in proportion.
        max_tokens: Most new tokens of an open answer.
    """

    source: str | tuple[str, ...] = Field(default="bundled", min_length=1)
    behaviour: str | None = None
    form: Literal["ab", "open_ended"] = "ab"
    order: Literal["both", "given"] = "both"
    rendering: Literal["chat", "plain"] = "chat"
    limit: int | None = Field(default=None, ge=1)
    fractions: Fractions = Fractions(fit=0.6, select=0.1, test=0.3)
    max_tokens: int = Field(default=100, ge=1)


class CaaAB(Task[_Config]):
    """The probability of the option that shows a behaviour, or open answers to judge for it."""

    Config = _Config

    def __init__(self, config: _Config) -> None:
        """Keep ``config``; files are read when samples are asked for."""
        super().__init__(config)
        self.output = "options" if config.form == "ab" else "text"
        self.rendering = config.rendering
        given = (config.source,) if isinstance(config.source, str) else config.source
        self._sources = [
            BUNDLED if source == "bundled" else Path(source).expanduser() for source in given
        ]
        fallback = "agreement" if config.source == "bundled" else None
        # a folder without a behaviour is an error of its own, raised when it is read
        self._name = config.behaviour or fallback or self._sources[0].stem
        self.measure = self._name if config.form == "ab" else f"{self._name}, open-ended"

    @property
    def protocol(self) -> str:
        """Form and rendering, and for A/B the order, e.g. ``caa_ab/ab/chat/both``."""
        config = self.config
        order = f"/{config.order}" if config.form == "ab" else ""
        return f"caa_ab/{config.form}/{config.rendering}{order}"

    def samples(self, split: Split) -> list[Sample]:
        """Return the samples of ``split``, ordered by id; both orders of a question are a cluster.

        The choices are ``(A`` and ``(B``, in this order: what an answer begins with. What they
        have in common, an opening parenthesis, cancels between them.

        Raises:
            ConfigError: The split is empty.
            DataError: A file is missing, or a row is malformed.
        """
        if self.config.form == "open_ended":
            chosen = _chosen(self._open(split), self.config.limit, self._empty(split))
            return [Sample(id=q.id, messages=_ask(q.text), cluster=q.id) for q in chosen]
        return [
            _sample(asked, f"{item.id}#{order}", cluster=item.id)
            for item in self.questions(split)
            for order, asked in self._orders(item)
        ]

    def pairs(self, split: Split) -> list[ContrastPair]:
        """Return pairs of the answers ``(A)`` and ``(B)`` to each question, in one or both orders.

        Read with ``read: letter``, the activation is that of the token of the letter, as in the
        paper (there position -2 of ``(A)``).
        """
        return [
            ContrastPair(
                id=f"{item.id}#{order}",
                question_id=item.question_id,
                messages=_ask(asked.text),
                positive=f"({asked.matching})",
                negative=f"({asked.other})",
            )
            for item in self.questions(split)
            for order, asked in self._orders(item)
        ]

    def judges(self) -> tuple[Component, ...]:
        """Return ``choice`` in the form of the rows; none for open answers, which have no target.

        A right answer is the letter of the option that shows the behaviour or, where the rows say
        so, of the one that is right.
        """
        if self.config.form == "open_ended":
            return ()
        rows = self._test if self._has_layout else self._file
        form = "side_effect" if any(row.side_effect for row in rows) else "behaviour"
        return (Component(name="choice", config={"form": form}),)

    def sampling(self) -> SamplingParams | None:
        """Greedy, as published; None for letters."""
        if self.config.form == "ab":
            return None
        return SamplingParams(max_tokens=self.config.max_tokens)

    def questions(self, split: Split) -> list[ABQuestion]:
        """Return the A/B questions of ``split``, ordered by id; raise ConfigError if empty."""
        return _chosen(self._ab(split), self.config.limit, self._empty(split))

    def _orders(self, item: ABQuestion) -> list[tuple[str, ABQuestion]]:
        given = [("given", item)]
        return given if self.config.order == "given" else [*given, ("swapped", item.swapped())]

    def _ab(self, split: Split) -> list[ABQuestion]:
        if not self._has_layout:
            return in_split(self._file, split, self.config.fractions)
        tested = self._test
        if split == "test":
            return tested
        shared = self.config.fractions.fit + self.config.fractions.select
        if not shared:
            return []
        stems = {normalise_question(item.stem) for item in tested}
        usable = [q for q in self._fit if normalise_question(q.stem) not in stems]
        fit = round(self.config.fractions.fit / shared, 9)
        return in_split(usable, split, Fractions(fit=fit, select=1 - fit, test=0))

    def _open(self, split: Split) -> list[Asked]:
        if not self._has_layout:
            return in_split(read_asked(self._path), split, self.config.fractions)
        if split != "test":
            raise ConfigError(
                f"The open questions of {self._name!r} are a test set (asked for split {split!r}).",
                hint="Fit on the form `ab`.",
            )
        return read_asked(in_layout(self._sources[0], OPEN, self._name))

    @property
    def _has_layout(self) -> bool:
        return len(self._sources) == 1 and is_layout(self._sources[0])

    @property
    def _path(self) -> Path:
        return file_of(self._sources, self.config.behaviour)

    @cached_property
    def _file(self) -> list[ABQuestion]:
        return read_ab(self._path)

    @cached_property
    def _fit(self) -> list[ABQuestion]:
        return read_ab(in_layout(self._sources[0], FIT, self._name))

    @cached_property
    def _test(self) -> list[ABQuestion]:
        return read_ab(in_layout(self._sources[0], TEST, self._name))

    def _empty(self, split: Split) -> str:
        return (
            f"The split {split!r} of {self.config.source!r}, {self._name!r}, is empty "
            f"(`task.fractions.{split}` is {self.config.fractions.of(split):g})."
        )


def _chosen(items: list[A], limit: int | None, empty: str) -> list[A]:
    if not items:
        raise ConfigError(empty, hint="Give it a larger fraction, or do not ask for it.")
    return sorted(spread(items, limit), key=lambda item: item.id)


def _sample(item: ABQuestion, id: str, cluster: str) -> Sample:
    sets = ("side_effect",) if item.side_effect else ("behaviour",)
    about: dict[str, JsonValue] = {"category": item.category} if item.category != "all" else {}
    return Sample(
        id=id,
        messages=_ask(item.text),
        target=f"({item.matching})",
        choices=tuple(
            Choice(text=f"({letter}", correct=letter == item.matching, sets=sets)
            for letter in sorted((item.matching, item.other))
        ),
        cluster=cluster,
        metadata=about,
    )


def _ask(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)
