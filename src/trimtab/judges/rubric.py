"""One judge for every question to a language model; the question is a rubric file.

It is answered by yes or no, by a grade on a scale, or by one of some labels.

A rubric is Markdown with YAML front matter. What is the same for every item (instructions,
examples) comes first and the item last, so that a model computes the common part once. Its file
``rubrics/<name>.md`` may also lie in a ``TRIMTAB_PATH`` folder, under ``judges/``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from trimtab.core.errors import ConfigError, JudgeError
from trimtab.core.keys import content_key
from trimtab.core.spec import Endpoint, Metric, ModelSpec, Spec
from trimtab.core.types import Chat, Continuer, Message
from trimtab.datasets.files import read_text
from trimtab.judges._grading import grading_of
from trimtab.judges._rubric_file import find_rubric, parse_rubric
from trimtab.judges._rubric_items import (
    correct_answers_of,
    example_values,
    fill,
    item_values,
    missing_fields,
)
from trimtab.judges.base import Item, Judge, Resource, Verdict
from trimtab.text import verdicts
from trimtab.text.rubric_grades import GRADE_GRAMMAR

__all__ = ["Rubric"]


class RubricConfig(Spec):
    """Which question is asked, and of whom.

    Attributes:
        rubric: Name of a file in ``judges/rubrics``, or the path of a ``.md`` file.
        model: The judge's model: an id, or a mapping with ``id``, ``dtype`` and so on; ``subject``
            is the experiment's own model with edits off. Null is the rubric's own model, else the
            subject.
        endpoint: An API to ask instead.
        mode: ``logits`` compares P(yes) and P(no) of the first token, so nothing is parsed;
            ``parsed`` reads the reply, for an API that gives no log-probabilities. Grades and
            labels are always read from the reply.
        threshold: P(yes) above it is a yes (mode ``logits``). Null gives no verdict, only P(yes):
            for a judge too small for its verdicts to mean anything.
        max_tokens: Longest reply (mode ``parsed``); a model that thinks aloud needs more.
        labels: What may be answered, in the place of the rubric's own labels.
        target: The labels that count as a yes; by default the first.
        fill: What stands for the placeholders that the rubric leaves to the configuration, e.g.
            whose voice is asked about.
    """

    rubric: str
    model: ModelSpec | Literal["subject"] | None = None
    endpoint: Endpoint | None = None
    mode: Literal["logits", "parsed"] = "logits"
    threshold: float | None = Field(default=0.5, ge=0.0, le=1.0)
    max_tokens: int = Field(default=16, ge=1)
    labels: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    fill: dict[str, str] = Field(default_factory=dict)

    @field_validator("model", mode="before")
    @classmethod
    def _model_by_id(cls, value: object) -> object:
        return {"id": value} if isinstance(value, str) and value != "subject" else value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.endpoint is not None and self.model is not None:
            raise ValueError("model and endpoint can't both be given")
        if self.threshold is None and self.mode == "parsed":
            raise ValueError("mode 'parsed' gives verdicts alone, so threshold can't be null")
        return self


class Rubric(Judge[RubricConfig]):
    """A language model answers the rubric's question about each answer.

    Metrics, for a rubric ``truth``: ``truth`` is 1 for yes, and in mode ``logits`` ``truth_p`` is
    P(yes) / (P(yes) + P(no)). The question is the sample's own, never the edited prompt. A reply
    that is neither yes nor no is unscored and kept as the reason. The threshold on P(yes) of the
    first token is that of TruthfulQA's judges (Lin et al. 2022), which are fine-tuned models and
    see no reference answers: the rubrics ``truth_finetuned`` and ``info_finetuned``. For a rubric
    of that form ``truth_p`` is P(" yes") among all tokens.

    A rubric ``recall`` with a scale gives ``recall``, the grade; ``recall_pass`` where it says what
    passes; ``recall_credit``, the share of points, where grades are points; ``recall_refused``
    where it has a word for answers that refuse. One with labels gives 1 where the label is a wanted
    one. A reply has to fit the grammar of ``text.rubric_grades`` as a whole.
    """

    Config = RubricConfig
    resource = "chat"

    def __init__(self, config: RubricConfig) -> None:
        """Read the rubric file; raise DataError if it can't be, ConfigError if it is malformed."""
        super().__init__(config)
        path = find_rubric(config.rubric)
        text = read_text(path, "rubric")
        self._file, instructions = parse_rubric(text, path)
        self._stem = path.stem
        self._name = self._file.metric or self._stem
        if self._file.form == "continue" and config.mode == "parsed":
            raise ConfigError(
                f"The rubric {config.rubric!r} is continued by a fine-tuned judge and has no reply "
                "to parse.",
                hint="Leave out `mode: parsed`.",
            )
        self._hash = content_key(text)
        self._grading = grading_of(self._name, self._file, config.labels, config.target)
        self._given = self._filled()
        self._instructions = fill(instructions, self._given)
        if self._grading is not None:
            for example in self._file.examples:
                self._grading.shown(example.verdict)

    def _filled(self) -> dict[str, str]:
        """Return what stands for the placeholders that say the same of every item."""
        given, wanted = self.config.fill, self._file.given
        if set(given) != set(wanted):
            raise ConfigError(
                f"The rubric {self.config.rubric!r} wants "
                f"{', '.join(wanted) if wanted else 'nothing'} in `fill`, and is given "
                f"{', '.join(given) if given else 'nothing'}."
            )
        labels = () if self._grading is None else self._grading.labels
        return {**given, "labels": " | ".join(labels)} if labels else dict(given)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The verdict and, in mode ``logits``, its probability; or what its grades give."""
        if self._grading is not None:
            return self._grading.metrics
        role, better = self._file.role, self._file.higher_is_better
        verdict = Metric(name=self._name, kind="binary", role=role, higher_is_better=better)
        if self.config.mode == "parsed":
            return (verdict,)
        chance = verdict.model_copy(update={"name": f"{self._name}_p", "kind": "fraction"})
        if self.config.threshold is None:
            return (chance,)
        return (verdict, verdict.read_again(chance.name, "fraction"))

    @property
    def most_written(self) -> int:
        """Of a reply that is read, by a model of ours: grades and labels always are."""
        replies = self.config.mode == "parsed" or self._grading is not None
        return self.config.max_tokens if replies and self.config.endpoint is None else 0

    @property
    def model(self) -> ModelSpec | None:
        """The configured model, else the rubric's; None for the subject and for an endpoint."""
        if self.config.model is None:
            return None if self.config.endpoint else self._file.model
        return None if self.config.model == "subject" else self.config.model

    @property
    def endpoint(self) -> Endpoint | None:
        """The configured API."""
        return self.config.endpoint

    @property
    def determining(self) -> RubricConfig:
        """The configuration with the rubric's name in the place of its file's path."""
        return self.config.model_copy(update={"rubric": self._stem})

    @property
    def fingerprint(self) -> dict[str, str]:
        """Hash of the rubric's text; in mode ``parsed`` also how replies are read."""
        reading = {"grammar": str(verdicts.GRAMMAR)} if self.config.mode == "parsed" else {}
        if self._grading is not None:
            reading = {"grammar": f"grades {GRADE_GRAMMAR}"}
        return {"rubric": self._hash, **reading}

    def prompt(self, item: Item) -> tuple[Message, ...]:
        """Return what the model is asked: instructions and examples first, the item last.

        The examples are turns of their own, because small models then reply with the word alone.
        Every text of the item is a JSON string on one line, in which special tokens are escaped:
        an answer can't close its quotes, open a turn or add a line that looks like a verdict.
        """
        examples = self._file.examples
        values = [*map(example_values, examples), item_values(item, self._file.fields)]
        asked = [fill(self._file.item, {**self._given, **each}) for each in values]
        asked[0] = f"{self._instructions}\n\n{asked[0]}"
        turns: list[Message] = []
        for example, question in zip(examples, asked, strict=False):
            turns.append(Message(role="user", content=question))
            turns.append(Message(role="assistant", content=self._said(example.verdict)))
        return (*turns, Message(role="user", content=asked[-1]))

    def _said(self, verdict: bool | float | str) -> str:
        if self._grading is not None:
            return self._grading.shown(verdict)
        return "yes" if verdict else "no"

    def text(self, item: Item) -> str:
        """Return what a fine-tuned judge continues: the item with its texts as they are.

        The published prompts quote nothing, so an answer that imitates the end of the prompt can
        fool such a judge. Only blank space around the answer is cut; an empty one stays empty.
        """
        return fill(self._file.item, item_values(item, quote=str.strip))

    def score(self, items: Sequence[Item], resource: Resource) -> Iterator[tuple[int, Verdict]]:
        """Ask about all items that have an answer at once, and pass on each reply as it comes.

        Raises:
            JudgeError: ``resource`` is not the kind of model that the rubric needs.
        """
        numbers: list[int] = []
        for number, item in enumerate(items):
            if (problem := self._problem(item)) is None:
                numbers.append(number)
            elif item.owed:
                yield number, self.unscored(problem)
        for i, verdict in self._ask(resource, [items[number] for number in numbers]):
            yield numbers[i], verdict

    def _problem(self, item: Item) -> str | None:
        if (missing := self.missing(item)) is not None:
            return missing
        if "{correct_answers}" in self._file.item and not correct_answers_of(item.sample):
            return "the sample has no correct_answers and no target, which the rubric shows"
        lacks = missing_fields(item.sample, self._file.item, self._file.fields)
        return f"the sample has no {', '.join(lacks)}, which the rubric shows" if lacks else None

    def _ask(self, model: Resource, items: Sequence[Item]) -> Iterator[tuple[int, Verdict]]:
        owed = [item.owed for item in items]
        if self._file.form == "continue":
            if not isinstance(model, Continuer):
                raise JudgeError(f"The judge 'rubric' ({self._name}) was given no language model.")
            texts = [self.text(item) for item in items]
            chances = model.next_probabilities(texts, self._file.word, owed)
            yield from ((i, self._from_probability(p)) for i, p in chances)
            return
        if not isinstance(model, Chat):
            raise JudgeError(f"The judge 'rubric' ({self._name}) was given no chat model.")
        prompts = [self.prompt(item) for item in items]
        if self.config.mode == "logits" and self._grading is None:
            chances = model.yes_probabilities(prompts, owed)
            yield from ((i, self._from_probability(p)) for i, p in chances)
        else:
            replies = model.complete(prompts, self.config.max_tokens, owed)
            yield from ((i, self._from_reply(reply)) for i, reply in replies)

    def _from_probability(self, p: float | None) -> Verdict:
        if p is None or not math.isfinite(p):
            return self.unscored(f"P(yes) could not be read (it is {p})")
        threshold = self.config.threshold
        verdict = {} if threshold is None else {self._name: float(p > threshold)}
        return Verdict({**verdict, f"{self._name}_p": p})

    def _from_reply(self, reply: str | None) -> Verdict:
        if reply is None:
            return self.unscored("the judge gave no reply")
        if self._grading is not None:
            return self._grading.verdict(reply)
        verdict = verdicts.parse_yes_no(reply)
        if verdict is verdicts.Verdict.UNPARSED:
            why = f"the judge's reply could not be read: {verdicts.unparsed_reason(reply)}"
            return Verdict({self._name: None}, reason=reply, error=why)
        return Verdict({self._name: float(verdict is verdicts.Verdict.YES)}, reason=reply)
