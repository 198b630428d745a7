"""How many units a run owes in all, and how many tokens its models read and write for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from trimtab.core.types import Sample
from trimtab.runs.store.run import Run
from trimtab.runs.work.units import Kind, units

_CHARS_PER_TOKEN = 4


@dataclass
class Amounts:
    """Tokens of one model, about.

    Attributes:
        read: Of prompts, which conditions share, of options, and of pairs that are fitted on.
        written: At most, as if every text had its greatest length.
        learned: Of conversations that adapters learn from, once each.
    """

    read: float = 0.0
    written: float = 0.0
    learned: float = 0.0


def num_units(run: Run) -> dict[Kind, int]:
    """Return how many units of each kind the plan has as it stands."""
    return dict(Counter(unit.kind for unit in units(run)))


def amounts(run: Run) -> dict[str, Amounts]:
    """Return what each model reads and writes, by its identity; judges are not counted."""
    found: dict[str, Amounts] = {}
    shared: set[tuple[str, str]] = set()
    for cell in run.plan.cells:
        one = found.setdefault(cell.model_identity, Amounts())
        samples = run.samples(cell.samples).values()
        if cell.sampling is None:
            one.read += cell.num_samples * sum(map(_options, samples))
        else:
            one.written += cell.num_samples * len(samples) * cell.sampling.max_tokens
        if (cell.model_identity, cell.samples) not in shared:
            shared.add((cell.model_identity, cell.samples))
            one.read += sum(_tokens(*(m.content for m in sample.messages)) for sample in samples)
    for fit in run.plan.fits:
        if fit.model_identity is None:
            continue
        one = found.setdefault(fit.model_identity, Amounts())
        for ref in fit.data.values():
            if ref.kind == "pairs":
                for pair in run.pairs(ref.key):
                    asked = [message.content for message in pair.messages]
                    one.read += _tokens(*asked, *asked, pair.positive, pair.negative)
            elif ref.kind == "conversations" and ref.split == "fit":
                rows = run.data(ref)
                one.learned += sum(_tokens(*(m.content for m in row.messages)) for row in rows)
    return found


def num_trainings(run: Run) -> int:
    """Return how many fits take steps of their own, whose number no row tells."""
    kinds = ("conversations", "prompts")
    return sum(
        fit.reward is not None
        or bool(fit.completions)
        or any(ref.kind in kinds for ref in fit.data.values())
        for fit in run.plan.fits
    )


def _options(sample: Sample) -> float:
    return _tokens(*(choice.text for choice in sample.choices))


def _tokens(*texts: str) -> float:
    return sum(map(len, texts)) / _CHARS_PER_TOKEN
