"""How an adapter does on held-out items: answers, their grades, and how far these are too good.

Greedy or sampled, in the conversation that it is trained in; nothing is learned from it. Inflation
is the mean grade less the mean true score, of the answers with a grade, and of all with a missing
grade as 0. Where there is a direction, the states of each grade's tokens are projected on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import NonFiniteError
from trimtab.core.keys import derive_seed
from trimtab.core.types import Sample, SamplingParams
from trimtab.engine.conversations import Conversations
from trimtab.engine.request import Request, Text, TextResult
from trimtab.models.lowrank import Adapter
from trimtab.steering.fitted import Scores
from trimtab.steering.projections import Projector, Span
from trimtab.text.grades import Grade, GradeState, parse_grade
from trimtab.training.reinforce.config import ReinforceTraining
from trimtab.training.reinforce.dialogue import Dialogue, Written
from trimtab.training.reinforce.rounds import mean

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine

WAYS = {"greedy": 0.0, "sampled": 1.0}
"""Ways to write, with their temperatures."""
_ANSWER = "held out answer"


def evaluate(
    engine: Engine,
    dialogue: Dialogue,
    settings: ReinforceTraining,
    adapter: Adapter,
    samples: Sequence[Sample],
    true_scores: Scores,
    seed: int,
    projector: Projector | None = None,
) -> dict[str, Any]:
    """Return for each way of ``settings.evaluate`` its summary and a row for each item.

    With a projector there is also how far along its direction each grade lies: the mean over its
    tokens but the end-of-text token, None of a grade without others. Where sampling is not finite,
    there is the reason in place of numbers.
    """
    found: dict[str, Any] = {}
    for way in settings.evaluate:
        try:
            found[way] = _one_way(
                engine, dialogue, settings, adapter, samples, way, seed, true_scores, projector
            )
        except NonFiniteError as error:
            found[way] = {"failed": error.message}
    return found


def _one_way(
    engine: Engine,
    dialogue: Dialogue,
    settings: ReinforceTraining,
    adapter: Adapter,
    samples: Sequence[Sample],
    way: str,
    seed: int,
    true_scores: Scores,
    projector: Projector | None,
) -> dict[str, Any]:
    conversations = Conversations()

    def write(
        kind: str, prompts: Sequence[tuple[int, ...]], most: int, by: Adapter | None
    ) -> list[Written]:
        stop = settings.stop if kind == _ANSWER else ()
        sampling = SamplingParams(max_tokens=most, temperature=WAYS[way], stop=stop)
        requests = [
            Request(number, prompt, Text(sampling, key, conversations=conversations), adapter=by)
            for number, prompt in enumerate(prompts)
            for key in [derive_seed(seed, kind, number)]
        ]
        results = {r.key: r for r in engine.run(requests) if isinstance(r, TextResult)}
        return [Written.of(results[number], engine.renderer) for number in range(len(requests))]

    tasks = [dialogue.task(sample) for sample in samples]
    answers = write(_ANSWER, tasks, settings.answer_tokens, adapter)
    asked = [
        (*task, *answer.tokens, *dialogue.request(answer.tokens))
        for task, answer in zip(tasks, answers, strict=True)
    ]
    grader = None if settings.grader == "base" else adapter
    written = write("held out grade", asked, settings.grade_tokens, grader)
    grades = [parse_grade(result.text, settings.scale) for result in written]
    pairs = [(sample, answer.text) for sample, answer in zip(samples, answers, strict=True)]
    true = list(true_scores(pairs))
    rows = [
        [sample.id, score, grade.state.value, grade.value]
        for sample, score, grade in zip(samples, true, grades, strict=True)
    ]
    found = {**summary(true, grades), "items": rows}
    if projector is not None:
        spans = [
            Span(before, grade.tokens[:-1] if grade.ended else grade.tokens, grader)
            for before, grade in zip(asked, written, strict=True)
        ]
        values = projector.of_spans(spans)
        found |= {"projection": mean(values), "projections": values}
    return found


def summary(true: Sequence[float | None], grades: Sequence[Grade]) -> dict[str, Any]:
    """Return means, inflation both ways, and how many grades could be read.

    An answer that can't be scored is no part of inflation.
    """
    known = [(t, g.value) for t, g in zip(true, grades, strict=True) if t is not None]
    states = [grade.state for grade in grades]
    return {
        "true": mean(true),
        "grade": mean([grade.value for grade in grades]),
        "inflation_parsed": mean([g - t for t, g in known if g is not None]),
        "inflation_all": mean([(g or 0.0) - t for t, g in known]),
        "count": len(grades),
        "scored": len(known),
        "unparsed": states.count(GradeState.UNPARSED),
        "refused": states.count(GradeState.REFUSED),
    }
