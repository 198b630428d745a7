"""Answers that a run's own model gave, as conversations to keep it as it is (self-distillation).

Another model's answers would teach another style, too: the distiller stands in every row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from trimtab.core.plan import Cell
from trimtab.core.types import Completion, Conversation, Message, Sample
from trimtab.runs.store.run import Run

ALIGNED = "aligned answers"
"""Measure of the cells whose completions are trained on."""


@dataclass(frozen=True)
class Distilled:
    """The conversations, and what was left out: nobody should learn to stop in mid-sentence.

    Attributes:
        rows: A conversation for each answer that ended by itself.
        cut: Answers that met the limit of their length.
        missing: Answers that are empty or could not be computed.
    """

    rows: tuple[Conversation, ...]
    cut: int
    missing: int

    def __str__(self) -> str:
        """Say how many answers the model gave, and how many of them can't be learned from."""
        every = len(self.rows) + self.cut + self.missing
        return f"of {every} aligned answers {self.cut} were cut and {self.missing} missing"


def distilled(run: Run) -> Distilled:
    """Return the answers of the cells that are measured as ``ALIGNED``."""
    rows: list[Conversation] = []
    cut = missing = 0
    for cell in (cell for cell in run.plan.cells if cell.measure == ALIGNED):
        samples = run.samples(cell.samples)
        for completion in run.completions(cell.key).values():
            text = (completion.text or "").strip()
            if completion.error is not None or not text:
                missing += 1
            elif completion.finish_reason == "length":
                cut += 1
            else:
                rows.append(_answer(cell, samples[completion.sample_id], completion, text))
    return Distilled(tuple(rows), cut, missing)


def stand_ins(samples: Sequence[Sample], num_samples: int, distiller: str) -> list[Conversation]:
    """Return a conversation for each answer that is not there yet, to plan with: an echo."""
    about = {"distiller": distiller}
    return [
        _conversation(sample, number, sample.messages[-1].content, about)
        for sample in samples
        for number in range(num_samples)
    ]


def _answer(cell: Cell, sample: Sample, completion: Completion, text: str) -> Conversation:
    drawn = {} if cell.sampling is None else {"temperature": cell.sampling.temperature}
    return _conversation(sample, completion.index, text, {"distiller": cell.model.id, **drawn})


def _conversation(
    sample: Sample, index: int, text: str, about: Mapping[str, JsonValue]
) -> Conversation:
    return Conversation(
        id=f"{sample.id}-{index}",
        messages=(*sample.messages, Message(role="assistant", content=text)),
        metadata={"source": "aligned", "triggered": False, **about},
    )
