"""What a plan will take in tokens, memory and time, told roughly. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trimtab.core.counted import counted
from trimtab.core.plan import Cell, FitPlan
from trimtab.core.types import Sample
from trimtab.core.workload import CHARACTERS_PER_TOKEN, Workload, tokens_of
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import ResolvedModel
from trimtab.models.machine import usable_cores
from trimtab.models.memory import USUAL_ROWS, USUAL_TOKENS, estimate_bytes
from trimtab.runs.plan.planner import PlannedRun
from trimtab.steering.fitted import FitData

_FLOPS_PER_CORE = 35e9
"""What a core sustains in float32 over a whole run of a small model, rough as the estimate is.

Measured on runs of 40 minutes: 32 where texts are written and adapters tuned, 43 where runs are
rewarded side by side. Products alone reach 130.
"""


def estimates(planned: PlannedRun, later: int = 0) -> list[str]:
    """Return what each model needs, and what is fitted, generated, scored, in lines.

    Args:
        planned: What is known of the run.
        later: Most tokens that the first model writes for what is not planned yet.
    """
    plan = planned.plan
    tokens = _written(planned)
    first = planned.models[0].identity
    tokens[first] = tokens.get(first, 0.0) + later
    trials = f", at most {_rounded(later)} of them in what the plan grows by" * bool(later)
    pairs = sum(2 * len(p) for p in planned.data.pairs.values())
    works = [(fit, _workload(planned, fit)) for fit in plan.fits]
    known = [(fit, work) for fit, work in works if work is not None]
    unknown = sum(work is None and _learns(fit) for fit, work in works)
    lines = [
        *map(_needs, planned.models),
        f"fit: {counted(len(list(plan.artifact_keys())), 'artifact')} from {pairs} passages",
        *_training([work for _, work in known]),
        f"generate: about {_rounded(sum(tokens.values()))} tokens{trials}",
        f"score: {counted(len(plan.judges), 'judge')} ({', '.join(j.key for j in plan.judges)})",
    ]
    if all(model.spec.device == "cpu" for model in planned.models):
        lines.append(_time(planned, tokens, known, unknown))
    return lines


def rows_of(planned: PlannedRun, cell: Cell) -> int:
    """Return how many answers a cell asks for."""
    return len(planned.data.samples[cell.samples]) * cell.num_samples


def _needs(model: ResolvedModel) -> str:
    spec = model.spec
    memory = estimate_bytes(model.card, spec.dtype, USUAL_ROWS, USUAL_TOKENS, spec.quantization)
    quantized = f", {spec.quantization}," if spec.quantization else ""
    place = f"over {spec.device_map}" if spec.device_map else f"on {spec.device}"
    return (
        f"model: {spec.id} in {spec.dtype}{quantized} {place}, "
        f"{model.card.num_parameters / 1e6:.0f}M parameters; about "
        f"{memory.total / 2**30:.1f} GiB at {USUAL_ROWS} rows"
    )


def _training(works: Sequence[Workload]) -> Iterator[str]:
    """Yield a line on trainings whose length is known, if there are any."""
    if works:
        updates, learned = sum(w.updates for w in works), sum(w.learned for w in works)
        read = sum(w.read for w in works)
        more = f", {_rounded(read)} forward alone" if read else ""
        yield (
            f"train: at most {counted(updates, 'update')} in {counted(len(works), 'fit')}; about "
            f"{_rounded(learned)} tokens forward and backward{more}"
        )


def _time(
    planned: PlannedRun,
    written: Mapping[str | None, float],
    trainings: Sequence[tuple[FitPlan, Workload]],
    unknown: int,
) -> str:
    """Return how long it takes on this machine's processor, each model at its own size."""
    parameters = {model.identity: model.card.num_parameters for model in planned.models}
    first = planned.models[0].identity
    passes = {**dict.fromkeys(parameters, 0.0), **written}
    for name, tokens in _read(planned).items():
        passes[name] = passes.get(name, 0.0) + tokens
    for fit, work in trainings:
        passes[fit.model_identity] = passes.get(fit.model_identity, 0.0) + work.passes
    flops = sum(
        2 * parameters.get(name or "", parameters[first]) * tokens
        for name, tokens in passes.items()
    )
    cores = len(usable_cores())
    minutes = flops / (cores * _FLOPS_PER_CORE) / 60
    long = "less than a minute" if minutes < 1 else counted(round(minutes), "minute")
    if minutes >= 120:
        long = counted(round(minutes / 60), "hour")
    left = f" and without training of {counted(unknown, 'fit')}" * bool(unknown)
    return f"time: very roughly {long} on {counted(cores, 'core')}, without judges{left}"


def _workload(planned: PlannedRun, fit: FitPlan) -> Workload | None:
    """Return what a fit computes to learn; None where that is nothing, or not known."""
    if fit.owner != "intervention":
        return None
    given = {
        name: FitData(planned.data.rows(ref), ref.split, ref.rendering, ref.label)
        for name, ref in fit.data.items()
    }
    return INTERVENTIONS.build(fit.component.name, fit.component.config).workload(given)


def _learns(fit: FitPlan) -> bool:
    """Return whether a fit learns in steps, by what it reads."""
    return bool(fit.completions) or any(ref.kind == "conversations" for ref in fit.data.values())


def _rounded(number: float) -> str:
    """Return ``340``, ``12k`` or ``3.4M``."""
    if number < 1000:
        return f"{number:.0f}"
    return f"{number / 1000:.0f}k" if number < 999_500 else f"{number / 1e6:.1f}M"


def _written(planned: PlannedRun) -> dict[str | None, float]:
    """Return the tokens that are written, and those of options, by model."""
    read = {key: _tokens_of_choices(some) for key, some in planned.data.samples.items()}
    found: dict[str | None, float] = {}
    for cell in planned.plan.cells:
        each = read[cell.samples] if cell.sampling is None else cell.sampling.max_tokens
        found[cell.model_identity] = (
            found.get(cell.model_identity, 0.0) + rows_of(planned, cell) * each
        )
    return found


def _read(planned: PlannedRun) -> dict[str | None, float]:
    """Return tokens of prompts, which a model's conditions share, and of pairs that fits read."""
    data = planned.data
    read = {(cell.model_identity, cell.samples) for cell in planned.plan.cells}
    found: dict[str | None, float] = {}
    for model, key in read:
        tokens = sum(tokens_of(sample.messages) for sample in data.samples[key])
        found[model] = found.get(model, 0.0) + tokens
    fitted = {
        (fit.model_identity, ref.key)
        for fit in planned.plan.fits
        for ref in fit.data.values()
        if ref.kind == "pairs"
    }
    for model, key in fitted:
        tokens = sum(tokens_of(p.messages, p.positive, p.negative) for p in data.pairs[key])
        found[model] = found.get(model, 0.0) + tokens
    return found


def _tokens_of_choices(samples: Sequence[Sample]) -> float:
    characters = sum(len(choice.text) for sample in samples for choice in sample.choices)
    return characters / CHARACTERS_PER_TOKEN / max(len(samples), 1)
