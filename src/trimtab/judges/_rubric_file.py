"""The file of a rubric: Markdown with YAML front matter, and where it is found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from trimtab.core.config import validate
from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.folder import extension_dirs
from trimtab.core.spec import ModelSpec, Spec
from trimtab.core.yaml_file import parse_yaml
from trimtab.text.rubric_grades import Scale

Kind = Literal["yes_no", "scale", "labels"]
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
NAMES = ("question", "answer", "correct_answers", "incorrect_answers", "target", "labels")
"""Placeholders that every item may have."""


class RubricScale(Spec):
    """Grades from ``low`` to ``high``; ``whole`` allows whole numbers alone."""

    low: float
    high: float
    whole: bool = True

    @model_validator(mode="after")
    def _rises(self) -> Self:
        _ = self.grades
        return self

    @property
    def grades(self) -> Scale:
        """The scale that replies are read on."""
        return Scale(self.low, self.high, self.whole)


class RubricExample(Spec):
    """One solved item; ``verdict`` is what a good judge says: yes or no, a grade, a label.

    ``fields`` are what it shows of a question beside question and answers.
    """

    question: str
    answer: str
    correct_answers: tuple[str, ...] = ()
    incorrect_answers: tuple[str, ...] = ()
    verdict: bool | int | float | str
    fields: dict[str, str] = Field(default_factory=dict)


class RubricFile(Spec):
    """The front matter of a rubric.

    Attributes:
        version: For people; the whole text is hashed into the judge's key.
        item: Template of one item, with {question}, {answer}, {correct_answers},
            {incorrect_answers}, {target}, {labels}, and what ``fields`` and ``given`` name; ends
            with what is to be answered.
        examples: Shown before the item.
        role: The metric's role in reports.
        higher_is_better: Whether yes is good.
        metric: Name of the metric; null is the file's name.
        form: ``chat`` asks in turns, after the instructions; ``continue`` has a fine-tuned judge
            continue the item as it stands, and the text below the front matter is for people.
        word: What such a judge says for yes.
        model: The model it was written for, if a configuration names none.
        scale: Grades that may be given, in the place of yes and no.
        passes: Least grade that is a pass; null gives grades alone.
        points: Whether grades are points, so that their share of the most is a result: a refusal
            has none of them.
        labels: Words that may be given, in the place of yes and no; a configuration may have
            others.
        refusal: The word by which the judge says that the answer is a refusal. Such an answer has
            no grade, and is no pass and not the wanted label.
        fields: What of a question's metadata the item shows, e.g. ``required_facts``. A question
            without it is unscored.
        given: What the item or the instructions show that a configuration has to give in ``fill``.
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
    scale: RubricScale | None = None
    passes: float | None = None
    points: bool = False
    labels: tuple[str, ...] = ()
    refusal: str | None = None
    fields: tuple[str, ...] = ()
    given: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What is to be answered."""
        return "scale" if self.scale is not None else "labels" if self.labels else "yes_no"

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.form == "continue" and self.examples:
            raise ValueError("a rubric of the form 'continue' has no examples")
        if self.form == "continue" and self.kind != "yes_no":
            raise ValueError("a rubric of the form 'continue' has neither scale nor labels")
        if self.scale is not None and self.labels:
            raise ValueError("scale and labels can't both be given")
        if self.kind == "yes_no" and self.refusal is not None:
            raise ValueError("refusal is for a rubric with a scale or labels")
        if self.points and self.scale is None:
            raise ValueError("points is for a rubric with a scale")
        if self.passes is not None and (
            self.scale is None or not self.scale.low < self.passes <= self.scale.high
        ):
            raise ValueError("passes must be a grade of the scale above its lowest")
        self._check_item()
        return self

    def _check_item(self) -> None:
        found = _PLACEHOLDER.findall(self.item)
        names = (*NAMES, *self.fields, *self.given)
        for name in found:
            if name not in names:
                raise ValueError(f"unknown placeholder {{{name}}}. {did_you_mean(name, names)}")
        if "answer" not in found:
            raise ValueError("the placeholder {answer} is missing")


def find_rubric(rubric: str) -> Path:
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


def parse_rubric(text: str, path: Path) -> tuple[RubricFile, str]:
    """Return front matter and body; raise ConfigError for anything else."""
    parts = re.split(r"^---[ \t]*$", text, maxsplit=2, flags=re.MULTILINE)
    if len(parts) != 3 or parts[0].strip():
        raise ConfigError(f"The rubric {str(path)!r} must open with front matter between '---'.")
    front = parse_yaml(parts[1], f"The rubric {str(path)!r}")
    return validate(RubricFile, front, f"rubric {str(path)!r}"), parts[2].strip()
