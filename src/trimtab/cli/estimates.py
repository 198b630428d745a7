"""What a plan will take in tokens, memory and time, told roughly. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trimtab.core.counted import counted
from trimtab.core.plan import Cell
from trimtab.core.workload import Workload
from trimtab.models.load import ResolvedModel, resolve
from trimtab.models.machine import usable_cores
from trimtab.models.memory import USUAL_ROWS, USUAL_TOKENS, estimate_bytes
from trimtab.runs.plan.amounts import Amounts, PlanRows, amounts
from trimtab.runs.plan.planner import PlannedRun

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
    found = amounts(
        plan, plan.judges, PlanRows(planned.data.samples.__getitem__, planned.data.rows)
    )
    found.of(planned.models[0].identity).written += later
    trials = f", at most {_rounded(later)} of them in what the plan grows by" * bool(later)
    written = sum(amount.written for amount in found.models.values())
    written -= found.replies + sum(work.written for work in found.trainings)
    pairs = sum(2 * len(p) for p in planned.data.pairs.values())
    lines = [
        *map(_needs, planned.models),
        f"fit: {counted(len(list(plan.artifact_keys())), 'artifact')} from {pairs} passages",
        *_training(found.trainings),
        f"generate: about {_rounded(written)} tokens{trials}",
        f"score: {counted(len(plan.judges), 'judge')} ({', '.join(j.key for j in plan.judges)})",
    ]
    models = {model.identity: model for model in planned.models}
    others = [(one.model, one.model_identity) for one in plan.judges]
    others += [(one.model, one.model_identity) for one in plan.fits]
    for spec, identity in others:
        if spec is not None and identity is not None and identity not in models:
            models[identity] = resolve(spec)
    if all(model.spec.device == "cpu" for model in models.values()):
        lines.append(_time(models, found))
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
        written = sum(w.written for w in works)
        more = f", {_rounded(read)} forward alone" if read else ""
        more += f", {_rounded(written)} written" if written else ""
        yield (
            f"train: at most {counted(updates, 'update')} in {counted(len(works), 'fit')}; about "
            f"{_rounded(learned)} tokens forward and backward{more}"
        )


def _time(models: Mapping[str, ResolvedModel], found: Amounts) -> str:
    """Return how long it takes on this machine's processor, each model at its own size."""
    flops = sum(
        2 * models[name].card.num_parameters * one.passes for name, one in found.models.items()
    )
    cores = len(usable_cores())
    minutes = flops / (cores * _FLOPS_PER_CORE) / 60
    long = "less than a minute" if minutes < 1 else counted(round(minutes), "minute")
    if minutes >= 120:
        long = counted(round(minutes / 60), "hour")
    return (
        f"time: very roughly {long} on {counted(cores, 'core')}, with answers as long as they may "
        f"be{left_out(found)}"
    )


def left_out(found: Amounts) -> str:
    """Return what of a plan is not counted, to follow a time; empty where that is nothing."""
    parts = []
    if found.untold:
        parts.append(f"training of {counted(found.untold, 'fit')}")
    if found.endpoints:
        parts.append(f"{counted(found.endpoints, 'judge')} asked at an endpoint")
    if found.encoders:
        parts.append(f"{counted(found.encoders, 'judge')} with a sentence encoder")
    return f", without {' and '.join(parts)}" * bool(parts)


def _rounded(number: float) -> str:
    """Return ``340``, ``12k`` or ``3.4M``."""
    if number < 1000:
        return f"{number:.0f}"
    return f"{number / 1000:.0f}k" if number < 999_500 else f"{number / 1e6:.1f}M"
