"""How many tokens the models of a plan read, write and learn from: roughly, before it is done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trimtab.core.plan import Cell, DataRef, FitPlan, JudgePlan, Plan
from trimtab.core.types import Sample
from trimtab.core.workload import Workload, tokens_of
from trimtab.interventions.base import INTERVENTIONS
from trimtab.judges.base import JUDGES
from trimtab.steering.fitted import FitData


@dataclass
class Amount:
    """Tokens of one model, about.

    Attributes:
        read: Of prompts, which conditions share; of options; of pairs that are fitted on; of what
            trainings compute forward alone; and of what a judge is shown, instructions not counted.
        written: At most, as if every text had its greatest length: of cells, of trainings, and of
            judges whose replies are parsed.
        learned: Computed forward and backward.
    """

    read: float = 0.0
    written: float = 0.0
    learned: float = 0.0

    @property
    def passes(self) -> float:
        """Tokens in forward passes: one backward through weights that stay costs as much again."""
        return self.read + self.written + 2 * self.learned


@dataclass
class Amounts:
    """What a plan takes.

    Attributes:
        models: By the identity of each model, subjects and judges.
        trainings: Fits whose length is known before, and what each of them computes.
        untold: Fits that learn in steps whose number nobody knows before.
        replies: Tokens that judges write, among those of their models.
        endpoints: Judges that are asked elsewhere; what they take is not counted.
        encoders: Judges that read with a sentence encoder; what it takes is not counted, either.
    """

    models: dict[str, Amount] = field(default_factory=dict)
    trainings: list[Workload] = field(default_factory=list)
    untold: int = 0
    replies: float = 0.0
    endpoints: int = 0
    encoders: int = 0

    def of(self, identity: str) -> Amount:
        """Return what a model takes, nothing at first."""
        return self.models.setdefault(identity, Amount())


@dataclass(frozen=True)
class PlanRows:
    """Where the rows of a plan are.

    Attributes:
        samples: Returns the samples of a set, by its key.
        inputs: Returns the rows of a fit's input.
    """

    samples: Callable[[str], Collection[Sample]]
    inputs: Callable[[DataRef], Sequence[Any]]


def amounts(plan: Plan, judges: Sequence[JudgePlan], rows: PlanRows) -> Amounts:
    """Return what the cells, fits and ``judges`` of a plan take."""
    found = Amounts()
    read: set[tuple[str, str]] = set()
    for cell in plan.cells:
        one = found.of(cell.model_identity)
        samples = rows.samples(cell.samples)
        if cell.sampling is None:
            one.read += cell.num_samples * sum(map(_options, samples))
        else:
            one.written += cell.num_samples * len(samples) * cell.sampling.max_tokens
        if (cell.model_identity, cell.samples) not in read:
            read.add((cell.model_identity, cell.samples))
            one.read += sum(map(_question, samples))
    given: dict[DataRef, FitData] = {}
    for fit in plan.fits:
        for ref in fit.data.values():
            if ref not in given:  # many fits may read the same, and to read it may take long
                given[ref] = FitData(rows.inputs(ref), ref.split, ref.rendering, ref.label)
        _add_fit(found, fit, {name: given[ref] for name, ref in fit.data.items()})
    for judge in judges:
        built = JUDGES.build(judge.component.name, judge.component.config)
        found.endpoints += built.endpoint is not None
        found.encoders += built.resource == "embedder"
        if judge.model_identity is not None and built.resource != "embedder":
            one = found.of(judge.model_identity)
            for cell in filter(judge.scores, plan.cells):
                answers = cell.num_samples * len(rows.samples(cell.samples))
                one.read += _shown(cell, rows)
                one.written += answers * built.most_written
                found.replies += answers * built.most_written
    return found


def _add_fit(found: Amounts, fit: FitPlan, given: Mapping[str, FitData]) -> None:
    work = _workload(fit, given)
    if work is not None:
        found.trainings.append(work)
    elif fit.completions or any(ref.kind == "conversations" for ref in fit.data.values()):
        found.untold += 1
    if fit.model_identity is None:
        return
    one = found.of(fit.model_identity)
    if work is not None:
        one.read += work.read
        one.written += work.written
        one.learned += work.learned
    else:
        one.read += sum(map(_read, given.values()))


def _workload(fit: FitPlan, given: Mapping[str, FitData]) -> Workload | None:
    if fit.owner != "intervention":
        return None
    return INTERVENTIONS.build(fit.component.name, fit.component.config).workload(given)


def _read(data: FitData) -> float:
    """Return the tokens of pairs, whose question is read with both answers, and of prompts."""
    asked = sum(2 * tokens_of(p.messages) for p in data.pairs)
    answers = sum(tokens_of((), p.positive, p.negative) for p in data.pairs)
    return asked + answers + sum(map(_question, data.samples))


def _shown(cell: Cell, rows: PlanRows) -> float:
    """Return the tokens of a cell's questions, once each, and of its answers at their longest."""
    most = 0 if cell.sampling is None else cell.sampling.max_tokens
    samples = rows.samples(cell.samples)
    return sum(map(_question, samples)) + cell.num_samples * most * len(samples)


def _question(sample: Sample) -> float:
    """Return its tokens without few-shot text, which all samples share and is read once."""
    return tokens_of(sample.messages)


def _options(sample: Sample) -> float:
    return tokens_of((), *(choice.text for choice in sample.choices))
