"""What units of work are handed: fitted artifacts, models, endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from trimtab.core.fences import Fence
from trimtab.core.lazy import lazy
from trimtab.core.plan import FitPlan, JudgePlan
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Sample
from trimtab.judges.base import Judge, LoadContext, Resource
from trimtab.models.load import guess_device
from trimtab.runs.rewards import scores_by
from trimtab.runs.store import artifacts
from trimtab.runs.store.run import Run
from trimtab.runs.usage.spending import ledger_of
from trimtab.runs.work.engines import EnginePool
from trimtab.steering.fitted import (
    FitContext,
    FitData,
    Fitted,
    ModelAccess,
    ScoredCompletion,
)

if TYPE_CHECKING:
    from trimtab.clients import budget, http
    from trimtab.engine import chat
else:
    budget = lazy("trimtab.clients.budget")
    http = lazy("trimtab.clients.http")
    chat = lazy("trimtab.engine.chat")


def fitted_of(run: Run, keys: Mapping[str, str]) -> dict[str, Fitted]:
    """Return the artifacts with these keys, by their names."""
    return {name: artifacts.load(run.artifact_dir(key)) for name, key in keys.items()}


def fit_context(run: Run, fit: FitPlan, seed: int, pool: EnginePool, fence: Fence) -> FitContext:
    """Return what a fit may use: the model, its inputs, and a folder that ``fence`` guards."""
    first = next(iter(fit.artifacts.values()))
    return FitContext(
        model=_access(fit.model, fit.model_identity, pool),
        seed=seed,
        data={
            name: FitData(run.data(ref), ref.split, ref.rendering, ref.label)
            for name, ref in fit.data.items()
        },
        completions={
            name: [row for cell in ref.cells for row in _scored(run, fit, cell)]
            for name, ref in fit.completions.items()
        },
        made=fitted_of(run, fit.made),
        held_out=held_out(run) if fit.completions else (),
        folder=run.artifact_dir(first),
        fence=fence,
        run_seed=fit.seed,
        note=pool.say,
        scores_by=scores_by,
    )


def _scored(run: Run, fit: FitPlan, key: str) -> list[ScoredCompletion]:
    """Return a cell's completions with the values that the fit learns from, sample by sample."""
    assert fit.reward is not None and fit.metric is not None
    cell = next(cell for cell in run.plan.cells if cell.key == key)
    completions, scores = run.completions(key), run.scores(fit.reward, key)
    rows = []
    for sample in run.samples(cell.samples).values():
        for index in range(cell.num_samples):
            row = (key, sample.id, index)
            value = scores[row].values.get(fit.metric) if row in scores else None
            rows.append(ScoredCompletion(sample, completions[row], value))
    return rows


def held_out(run: Run) -> list[Sample]:
    """Return the samples of the test splits that texts are written for."""
    keys = {c.samples for c in run.plan.cells if c.split == "test" and c.output == "text"}
    return [sample for key in sorted(keys) for sample in run.samples(key).values()]


def resource_of(run: Run, plan: JudgePlan, judge: Judge[Any], pool: EnginePool) -> Resource:
    """Return what ``judge`` is handed when it scores."""
    if judge.endpoint is not None:
        return http.HttpChat(judge.endpoint, ledger_of(run), plan.key)
    model = None if plan.model is None else _here(plan.model)
    if judge.resource == "fitted":
        folders = {name: run.artifact_dir(key) for name, key in plan.artifacts.items()}
        for folder in folders.values():
            artifacts.check(folder)
        return judge.load(
            LoadContext(
                model=_access(model, plan.model_identity, pool),
                folders=folders,
                fitted=lambda name: artifacts.load(folders[name]),
                held_out=held_out(run),
            )
        )
    if model is None or plan.model_identity is None:
        return None
    if judge.resource == "embedder":
        return pool.encoder(model, plan.model_identity, judge.encoder)
    return chat.LocalChat(pool.engine(model, plan.model_identity))


def _access(model: ModelSpec | None, identity: str | None, pool: EnginePool) -> ModelAccess | None:
    if model is None or identity is None:
        return None
    spec = None if identity in pool.loaded else model
    return ModelAccess(identity, partial(pool.engine, model, identity), spec)


def _here(model: ModelSpec) -> ModelSpec:
    """Return ``model`` on a device of this machine: a run may be scored where it was not made."""
    if model.device == "cpu" or guess_device() == model.device:
        return model
    return model.model_copy(update={"device": guess_device()})
