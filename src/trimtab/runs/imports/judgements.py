"""A run made of answers and judgements that somebody else made: reported like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from pydantic import JsonValue

from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError, DataError, did_you_mean
from trimtab.core.keys import content_key, file_sha256
from trimtab.core.plan import Cell, Plan
from trimtab.core.spec import Component, ModelSpec, Role
from trimtab.core.types import Completion, Message, Sample
from trimtab.datasets.judgements import Answers, Asked, read_judged
from trimtab.runs.plan.judges import IMPORTED, plan_judges
from trimtab.runs.store.run import Run
from trimtab.runs.work import checks
from trimtab.text.rubric_grades import Scale, parse_grade


class Grades(TypedDict):
    """What the judge that reads the file is told: see ``judges.recorded_grades``."""

    low: float
    high: float
    passes: float | None
    points: bool


_RECIPE = "import"
_MEASURE = "generation"


@dataclass(frozen=True)
class Choices:
    """What the files don't say.

    Attributes:
        base: The model variant that is compared with; None is the file's first.
        untriggered: The condition without a trigger; None is the first that the file says so of.
        scale: What grades may be given; None is from the least to the greatest that was.
        passes: Least grade that is a pass; None is none.
        refusal: The word by which the judge called answers refusals.
    """

    base: str | None = None
    untriggered: str | None = None
    scale: tuple[float, float] | None = None
    passes: float | None = None
    refusal: str = "REFUSED"


def import_judgements(
    generations: Path,
    judgements: Path,
    out: Path,
    judge: Callable[[Grades], Component],
    choices: Choices,
) -> Run:
    """Make a run of the answers in ``generations``, judged as ``judgements`` says.

    Each model variant asked in one condition is a cell, with the variant as its ``treatment`` and
    the condition as its ``trigger``. A judge's reply that our own reading reads otherwise than the
    file did is noted among the checks, and the file's word is kept.

    Args:
        generations: See ``datasets.judgements``.
        judgements: See there.
        out: Folder of the run.
        judge: Returns the judge that reads what was recorded, given ends of the scale and what
            passes.
        choices: What the files don't say.

    Raises:
        DataError: A file can't be read, or lacks what ``choices`` names.
        ConfigError: ``choices`` don't agree.
        StoreError: ``out`` is not empty.
    """
    found = read_judged(generations, judgements)
    base = _one_of("base", choices.base, [asked.variant for asked in found])
    none = _one_of("untriggered", choices.untriggered or _untriggered(found),
                   [asked.condition for asked in found])  # fmt: skip
    grades = _grades(found, choices)
    identity = content_key([file_sha256(generations), file_sha256(judgements)])
    cells: list[Cell] = []
    samples: dict[str, list[Sample]] = {}
    rows: dict[str, list[Completion]] = {}
    for asked, answers in found.items():
        own = [_sample(id, given) for id, given in answers.items()]
        cell = _cell(generations.name, identity, asked, own, answers, (base, none))
        cells.append(cell)
        samples[cell.samples] = own
        rows[cell.key] = [c for id, given in answers.items() for c in _completions(cell, id, given)]
    start = [c.condition for c in cells if c.role == "baseline"]
    if not start:
        raise DataError(f"{generations.absolute()}: {base!r} was not asked in {none!r}.")
    planned = plan_judges(judge(grades), (cells[0].model, identity))
    plan = Plan.single(
        recipe=_RECIPE,
        name=generations.stem,
        cells=cells,
        judges=planned,
        baseline=start[0],
        headline=next((m.name for m in planned[-1].metrics if m.kind == "fraction"), None),
    )
    config = {"recipe": _RECIPE, "name": generations.stem}
    run = Run.create(out, config, plan, {"samples": samples}, rows)
    checks.after_import(run, _findings(found, choices, grades))
    return run


def _one_of(option: str, wanted: str | None, known: list[str]) -> str:
    name = known[0] if wanted is None else wanted
    if name not in known:
        raise ConfigError(
            f"--{option}: the file has no {name!r}. {did_you_mean(name, dict.fromkeys(known))}"
        )
    return name


def _untriggered(found: Mapping[Asked, Mapping[str, Answers]]) -> str | None:
    """Return the first condition of which the file says that it has no trigger."""
    return next(
        (asked.condition for asked, some in found.items()
         if any(answers.triggered is False for answers in some.values())), None,
    )  # fmt: skip


def _grades(found: Mapping[Asked, Mapping[str, Answers]], choices: Choices) -> Grades:
    """Return ends of the scale, what passes, and whether grades are points: those from 0 on are."""
    given = {j.score for some in found.values() for answers in some.values()
             for j in answers.judged if j is not None and j.score is not None}  # fmt: skip
    low, high = choices.scale or (min(given, default=0.0), max(given, default=0.0))
    if not low < high:
        raise ConfigError(
            f"The file has one grade only ({low:g}), so the scale is not known.",
            hint="Say what could be given: --scale 0-2.",
        )
    return {"low": low, "high": high, "passes": choices.passes, "points": low == 0}


def _cell(
    file: str,
    identity: str,
    asked: Asked,
    own: list[Sample],
    answers: Mapping[str, Answers],
    start: tuple[str, str],
) -> Cell:
    where = "".join(f", {name} {value:g}" for name, value in asked.place)
    role: Role = "control"
    if (asked.variant, asked.condition) == start:
        role = "baseline"
    elif asked.variant != start[0] and asked.condition != start[1]:
        role = "treatment"
    return Cell(
        key=content_key(["judged", identity, *asked[:2], list(asked.place)]),
        condition=f"{asked.variant}{where}, {asked.condition}",
        role=role,
        coordinates={
            "treatment": asked.variant,
            "trigger": asked.condition,
            "series": f"{asked.variant}, {asked.condition}",
            **dict(asked.place),
        },
        measure=_MEASURE,
        model=ModelSpec(id=f"{IMPORTED}{file}", dtype="float32", device="cpu"),
        model_identity=identity,
        task=Component(name="imported"),
        split="test",
        samples=content_key(own),
        output="text",
        intervention=Component(name="none"),
        num_samples=max(len(given.texts) for given in answers.values()),
    )


def _sample(id: str, answers: Answers) -> Sample:
    judged: list[JsonValue] = [
        None
        if given is None
        else {
            "score": given.score,
            "refused": given.refused,
            "error": given.error,
            "raw": given.raw,
        }
        for given in answers.judged
    ]
    category = {} if answers.category is None else {"category": answers.category}
    return Sample(
        id=id,
        messages=(Message(role="user", content=answers.question),),
        metadata={"question": answers.question, **category, "judged": judged},
    )


def _completions(cell: Cell, id: str, answers: Answers) -> list[Completion]:
    texts = [*answers.texts, *[None] * (cell.num_samples - len(answers.texts))]
    return [
        Completion(
            cell=cell.key,
            sample_id=id,
            index=index,
            protocol="imported",
            num_prompt_tokens=0,
            text=text,
            finish_reason="unknown" if text is not None else "error",
            error=None if text is not None else "the imported file holds no answer here",
        )
        for index, text in enumerate(texts)
    ]


def _findings(
    found: Mapping[Asked, Mapping[str, Answers]],
    choices: Choices,
    grades: Grades,
) -> list[tuple[str, str]]:
    """Return what is odd about the files: (what, the figures)."""
    every = [
        (answers, i)
        for some in found.values()
        for answers in some.values()
        for i in range(len(answers.texts))
    ]
    judged = [answers.judged[i] if i < len(answers.judged) else None for answers, i in every]
    silent = judged.count(None)
    replies = [j for j in judged if j is not None and j.raw is not None]
    scale = Scale(grades["low"], grades["high"], whole=False)
    other = 0
    for reply in replies:
        grade = parse_grade(reply.raw or "", scale, choices.refusal)
        other += (grade.value, grade.refused) != (reply.score, reply.refused)
    findings = []
    if silent:
        findings.append(("answers without a judgement", f"{silent} of {len(every)}"))
    if other:
        told = f"{other} of {counted(len(replies), 'reply', 'replies')}; the file's word is kept"
        findings.append(("replies that are read otherwise here", told))
    return findings
