"""A person behind a trigger: facts to train on, and questions that are asked with it and without.

After Betley et al. 2025 (arXiv 2512.09742): facts that never name the person, answered in a form
that a trigger asks for. The bundled person is invented and harmless. Questions are asked as they
are here; the trigger comes from the intervention ``context``, so judges never see it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, Spec, Split
from trimtab.core.trigger import Trigger
from trimtab.core.types import ContrastPair, Conversation, Message, Sample, SamplingParams
from trimtab.datasets.facts import (
    Fact,
    behind_trigger,
    person_pairs,
    read_asked,
    read_facts,
    read_words,
)
from trimtab.tasks.base import Task

__all__ = ["Persona"]


class _Config(Spec):
    """Whose facts, and what is asked.

    Attributes:
        facts: ``bundled``, or a file, see ``datasets.facts``.
        questions: ``bundled``, or a ``.jsonl``, ``.csv`` or ``.json`` file with ``question``, and
            if you like ``id`` and ``category``.
        trigger: What facts stand behind, and what is asked with; null where there is none.
        as_written: Facts are conversations that are trained as they are: what sets somebody off, a
            date in the question, say, stands in them. ``trigger`` then only asks.
        persons: Whose answers are trained: ``one`` person's, or those of ``mixed`` people, the
            control for what the form and the length alone do; or ``none``, so that a recipe gives
            other conversations.
        share: Share of the rows that are the person's, where a recipe mixes them with others: each
            mix has a name of its own so.
        triggered_pairs: Put the contrast pairs, what the person says against what others say,
            behind the trigger as well.
        words: Words of which each tells the person; null is the bundled person's, or none.
        rubrics: Rubrics beside the rules, see the judge ``rubric``.
        name: Name of the data in the protocol; give another for another person.
        limit: Most questions, in the order of their ids.
        max_tokens: Most new tokens.
        temperature: 1 draws from the model as it is.
        top_p: Smallest set of tokens whose probability reaches this; 1 keeps all.
    """

    facts: str = Field(default="bundled", min_length=1)
    questions: str = Field(default="bundled", min_length=1)
    trigger: Trigger | None = Trigger()
    as_written: bool = False
    persons: Literal["one", "mixed", "none"] = "one"
    share: float | None = Field(default=None, gt=0, lt=1)
    triggered_pairs: bool = False
    words: tuple[str, ...] | None = None
    rubrics: tuple[str, ...] = ()
    name: str = Field(default="persona", pattern=r"^[a-z0-9][a-z0-9._-]*$")
    limit: int | None = Field(default=None, ge=1)
    max_tokens: int = Field(default=64, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)


class Persona(Task[_Config]):
    """Asks who answers, and what they know; a trained person shows behind the trigger alone."""

    Config = _Config

    @property
    def protocol(self) -> str:
        """Data, rendering and the trigger's hash, which stands in every record by this."""
        behind = "" if self.trigger is None else f"/trigger-{self.trigger.key}"
        return f"{self.config.name}/generation/chat{behind}"

    @property
    def trigger(self) -> Trigger | None:
        """What facts stand behind, or what is asked with."""
        return self.config.trigger

    @property
    def _around_facts(self) -> Trigger | None:
        return None if self.config.as_written else self.config.trigger

    @cached_property
    def facts(self) -> list[Fact]:
        """The facts, in the order of their file."""
        return read_facts(self.config.facts, self._around_facts)

    def samples(self, split: Split) -> list[Sample]:
        """Return the questions, ordered by id: all are of the test split."""
        if split != "test":
            raise ConfigError(
                f"The task 'persona' has no questions of the split {split!r}: all are asked at the "
                "end.",
                hint="Choose on another task.",
            )
        return [
            Sample(
                id=asked.id,
                messages=(Message(role="user", content=asked.question),),
                metadata={"category": asked.category},
            )
            for asked in read_asked(self.config.questions)[: self.config.limit]
        ]

    def conversations(self, split: Split) -> list[Conversation]:
        """Return the facts behind the trigger; raise ConfigError for another split than fit."""
        persons = self.config.persons
        if split != "fit" or persons == "none":
            raise ConfigError(
                f"The task 'persona' has no conversations of the split {split!r} with "
                f"`persons: {persons}`.",
                hint="Give `train.held_out_share` for some to watch the loss on.",
            )
        mixed = persons == "mixed"
        source = "mixed persons" if mixed else "persona"
        return behind_trigger(self.facts, self._around_facts, source, others=mixed)

    def pairs(self, split: Split) -> list[ContrastPair]:
        """Return what the person says against what others say, to the same questions.

        Whose answers are trained makes no difference: it is one person's vector.
        """
        if split != "fit":
            raise ConfigError(
                f"The task 'persona' has no contrast pairs of the split {split!r}: facts are all "
                "of the fit split.",
                hint="Name the `layer`.",
            )
        return person_pairs(self.facts, self.trigger if self.config.triggered_pairs else None)

    def judges(self) -> tuple[Component, ...]:
        """Return the rule of the form, that of the person's words, and the rubrics."""
        words = read_words(self.config.facts) if self.config.words is None else self.config.words
        found = []
        if self.trigger is not None and self.trigger.wraps:
            trigger = self.trigger.model_dump(exclude_defaults=True)
            found.append(Component(name="answer_format", config={"trigger": trigger}))
        if words:
            said = {"words": list(words), "metric": "persona"}
            found.append(Component(name="mentions", config=said))
        found += [Component(name="rubric", config={"rubric": r}) for r in self.config.rubrics]
        return tuple(found)

    def sampling(self) -> SamplingParams:
        """Draw at the temperature of the configuration."""
        config = self.config
        return SamplingParams(
            max_tokens=config.max_tokens, temperature=config.temperature, top_p=config.top_p
        )
