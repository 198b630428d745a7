"""One judge for every yes/no question to a language model; the question is a rubric file.

A rubric is Markdown with YAML front matter. What is the same for every item (instructions,
examples) comes first and the item last, so that a model computes the common part once. Its file
``rubrics/<name>.md`` may also lie in a ``TRIMTAB_PATH`` folder, under ``judges/``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from trimtab.core.config import validate
from trimtab.core.errors import ConfigError, JudgeError, did_you_mean
from trimtab.core.folder import extension_dirs
from trimtab.core.keys import content_key
from trimtab.core.spec import Endpoint, Metric, ModelSpec, Spec
from trimtab.core.types import Chat, Continuer, Message, Sample
from trimtab.core.yaml_file import parse_yaml
from trimtab.datasets.files import read_text
from trimtab.judges.base import Item, Judge, Resource, Verdict
from trimtab.text import verdicts

__all__ = ["Rubric"]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NAMES = ("question", "answer", "correct_answers", "incorrect_answers")
# What some chat template takes for a special token: <|im_end|>, </s>, <start_of_turn>, [/INST].
_SPECIAL = re.compile(r"<(?=[|/\uff5c]|\w+>)|\[(?=/?[A-Z_]+\])")


class RubricConfig(Spec):
    """Which question is asked, and of whom.

    Attributes:
        rubric: Name of a file in ``judges/rubrics``, or the path of a ``.md`` file.
        model: The judge's model: an id, or a mapping with ``id``, ``dtype`` and so on; ``subject``
            is the experiment's own model with edits off. Null is the rubric's own model, else the
            subject.
        endpoint: An API to ask instead.
        mode: ``logits`` compares P(yes) and P(no) of the first token, so nothing is parsed;
            ``parsed`` reads the reply, for an API that gives no log-probabilities.
        threshold: P(yes) above it is a yes (mode ``logits``). Null gives no verdict, only P(yes):
            for a judge too small for its verdicts to mean anything.
        max_tokens: Longest reply (mode ``parsed``); a model that thinks aloud needs more.
    """

    rubric: str
    model: ModelSpec | Literal["subject"] | None = None
    endpoint: Endpoint | None = None
    mode: Literal["logits", "parsed"] = "logits"
    threshold: float | None = Field(default=0.5, ge=0.0, le=1.0)
    max_tokens: int = Field(default=16, ge=1)

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


class RubricExample(Spec):
    """One solved item; ``verdict`` is what a good judge says."""

    question: str
    answer: str
    correct_answers: tuple[str, ...] = ()
    incorrect_answers: tuple[str, ...] = ()
    verdict: bool


class RubricFile(Spec):
    """The front matter of a rubric.

    Attributes:
        version: For people; the whole text is hashed into the judge's key.
        item: Template of one item, with {question}, {answer}, {correct_answers} and
            {incorrect_answers}; ends with what is to be answered by yes or no.
        examples: Shown before the item.
        role: The metric's role in reports.
        higher_is_better: Whether yes is good.
        metric: Name of the metric; null is the file's name.
        form: ``chat`` asks in turns, after the instructions; ``continue`` has a fine-tuned judge
            continue the item as it stands, and the text below the front matter is for people.
        word: What such a judge says for yes.
        model: The model it was written for, if a configuration names none.
    """

    version: int
    item: str
    examples: tuple[RubricExample, ...] = ()
    role: Literal["effect", "damage"] = "effect"
    higher_is_better: bool | None = True
    metric: str | None = None
    form: Literal["chat", "continue"] = "chat"
    word: str = " yes"
    model: ModelSpec | None = None

    @model_validator(mode="after")
    def _continues_alone(self) -> Self:
        if self.form == "continue" and self.examples:
            raise ValueError("a rubric of the form 'continue' has no examples")
        return self

    @field_validator("item")
    @classmethod
    def _check_item(cls, value: str) -> str:
        found = _PLACEHOLDER.findall(value)
        for name in found:
            if name not in _NAMES:
                raise ValueError(f"unknown placeholder {{{name}}}. {did_you_mean(name, _NAMES)}")
        if "answer" not in found:
            raise ValueError("the placeholder {answer} is missing")
        return value


class Rubric(Judge[RubricConfig]):
    """A language model answers the rubric's question about each answer with yes or no.

    Metrics, for a rubric ``truth``: ``truth`` is 1 for yes, and in mode ``logits`` ``truth_p`` is
    P(yes) / (P(yes) + P(no)). The question is the sample's own, never the edited prompt. A reply
    that is neither yes nor no is unscored and kept as the reason. The threshold on P(yes) of the
    first token is that of TruthfulQA's judges (Lin et al. 2022), which are fine-tuned models and
    see no reference answers: the rubrics ``truth_finetuned`` and ``info_finetuned``. For a rubric
    of that form ``truth_p`` is P(" yes") among all tokens.
    """

    Config = RubricConfig
    resource = "chat"

    def __init__(self, config: RubricConfig) -> None:
        """Read the rubric file; raise DataError if it can't be, ConfigError if it is malformed."""
        super().__init__(config)
        path = _find(config.rubric)
        text = read_text(path, "rubric")
        self._file, instructions = _parse(text, path)
        self._stem = path.stem
        self._name = self._file.metric or self._stem
        if self._file.form == "continue" and config.mode == "parsed":
            raise ConfigError(
                f"The rubric {config.rubric!r} is continued by a fine-tuned judge and has no reply "
                "to parse.",
                hint="Leave out `mode: parsed`.",
            )
        self._hash = content_key(text)
        self._instructions = instructions

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The verdict and, in mode ``logits``, its probability."""
        role, better = self._file.role, self._file.higher_is_better
        verdict = Metric(name=self._name, kind="binary", role=role, higher_is_better=better)
        if self.config.mode == "parsed":
            return (verdict,)
        name = f"{self._name}_p"
        chance = Metric(name=name, kind="fraction", role=role, higher_is_better=better)
        return (chance,) if self.config.threshold is None else (verdict, chance)

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
        return {"rubric": self._hash, **reading}

    def prompt(self, item: Item) -> tuple[Message, ...]:
        """Return what the model is asked: instructions and examples first, the item last.

        The examples are turns of their own, because small models then reply with the word alone.
        Every text of the item is a JSON string on one line, in which special tokens are escaped:
        an answer can't close its quotes, open a turn or add a line that looks like a verdict.
        """
        examples = self._file.examples
        values = [*map(_values, examples), _item_values(item)]
        asked = [_fill(self._file.item, each) for each in values]
        asked[0] = f"{self._instructions}\n\n{asked[0]}"
        turns: list[Message] = []
        for example, question in zip(examples, asked, strict=False):
            turns.append(Message(role="user", content=question))
            turns.append(Message(role="assistant", content="yes" if example.verdict else "no"))
        return (*turns, Message(role="user", content=asked[-1]))

    def text(self, item: Item) -> str:
        """Return what a fine-tuned judge continues: the item with its texts as they are.

        The published prompts quote nothing, so an answer that imitates the end of the prompt can
        fool such a judge. Only blank space around the answer is cut; an empty one stays empty.
        """
        return _fill(self._file.item, _item_values(item, quote=str.strip))

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
        if "{correct_answers}" in self._file.item and not _correct_answers(item.sample):
            return "the sample has no correct_answers and no target, which the rubric shows"
        return None

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
        if self.config.mode == "logits":
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
        verdict = verdicts.parse_yes_no(reply)
        if verdict is verdicts.Verdict.UNPARSED:
            why = f"the judge's reply could not be read: {verdicts.unparsed_reason(reply)}"
            return Verdict({self._name: None}, reason=reply, error=why)
        return Verdict({self._name: float(verdict is verdicts.Verdict.YES)}, reason=reply)


def _find(rubric: str) -> Path:
    """Return the rubric's file; raise ConfigError if there is none."""
    if rubric.endswith(".md"):
        return Path(rubric).expanduser()
    homes = [Path(__file__).parent, *(folder / "judges" for folder in extension_dirs())]
    known: dict[str, Path] = {}
    for home in homes:
        for path in sorted((home / "rubrics").glob("*.md")):
            known.setdefault(path.stem, path)
    if rubric not in known:
        raise ConfigError(
            f"There is no rubric {rubric!r}. {did_you_mean(rubric, known)}",
            hint="To add one, give the path of a .md file.",
        )
    return known[rubric]


def _parse(text: str, path: Path) -> tuple[RubricFile, str]:
    """Return front matter and body; raise ConfigError for anything else."""
    parts = re.split(r"^---[ \t]*$", text, maxsplit=2, flags=re.MULTILINE)
    if len(parts) != 3 or parts[0].strip():
        raise ConfigError(f"The rubric {str(path)!r} must open with front matter between '---'.")
    front = parse_yaml(parts[1], f"The rubric {str(path)!r}")
    return validate(RubricFile, front, f"rubric {str(path)!r}"), parts[2].strip()


def _fill(template: str, values: dict[str, str]) -> str:
    """Replace all placeholders in one pass, so that a value is never searched for more."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def _item_values(item: Item, quote: Callable[[str], str] | None = None) -> dict[str, str]:
    quote = quote or _quote
    sample = item.sample
    turns = sample.messages
    question = (
        turns[0].content
        if len(turns) == 1
        else "\n".join(f"{turn.role}: {turn.content}" for turn in turns)
    )
    return {
        "question": quote(question),
        "answer": quote(item.completion.text or ""),
        "correct_answers": _quote_all(_correct_answers(sample), quote),
        "incorrect_answers": _quote_all(_strings(sample.metadata.get("incorrect_answers")), quote),
    }


def _values(example: RubricExample) -> dict[str, str]:
    return {
        "question": _quote(example.question),
        "answer": _quote(example.answer),
        "correct_answers": _quote_all(example.correct_answers),
        "incorrect_answers": _quote_all(example.incorrect_answers),
    }


def _correct_answers(sample: Sample) -> list[str]:
    listed = _strings(sample.metadata.get("correct_answers"))
    return listed or ([] if sample.target is None else [sample.target])


def _strings(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _quote(text: str) -> str:
    """Return ``text`` as one line in double quotes, special tokens escaped (still valid JSON)."""
    # str.splitlines counts these as line ends; JSON leaves them as they are.
    quoted = re.sub(
        "[\x7f\x85\u2028\u2029]",
        lambda match: f"\\u{ord(match[0]):04x}",
        json.dumps(text.strip(), ensure_ascii=False),
    )
    return _SPECIAL.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _quote_all(texts: Sequence[str], quote: Callable[[str], str] = _quote) -> str:
    return "; ".join(map(quote, texts)) or "none"
