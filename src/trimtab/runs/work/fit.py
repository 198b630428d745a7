"""Make the artifacts of one fit, and write down where they come from."""

from __future__ import annotations

from typing import Any

from trimtab.core.fences import Fence
from trimtab.core.files import remove_half_written
from trimtab.core.keys import derive_seed
from trimtab.core.locks import locked
from trimtab.core.plan import FitPlan
from trimtab.core.records import write_json
from trimtab.interventions.base import INTERVENTIONS
from trimtab.judges.base import JUDGES
from trimtab.runs.store import artifacts
from trimtab.runs.store.run import STRENGTHS, Run
from trimtab.runs.work.engines import EnginePool
from trimtab.runs.work.resources import fit_context, fitted_of
from trimtab.steering.fitted import FitContext, Fitted


def make_artifacts(run: Run, fit: FitPlan, pool: EnginePool, fence: Fence) -> None:
    """Fit, and save every artifact that is not there; a fit that was killed is done again.

    ``fence`` is called before anything is written; it raises if this worker may not write any more.
    """
    for key in fit.artifacts.values():
        remove_half_written(run.artifact_dir(key))
    registry: Any = INTERVENTIONS if fit.owner == "intervention" else JUDGES
    owner = registry.build(fit.component.name, fit.component.config)
    context = fit_context(run, fit, derive_seed(fit.seed, fit.key), pool, fence)
    made: Fitted | dict[str, Fitted] | None = owner.fit(context)
    fence()
    if made is None:
        missing = [key for key in fit.artifacts.values() if not run.has_artifact(key)]
        assert not missing, f"{fit.component.name!r} wrote no artifact.json for {missing}"
        for key in fit.artifacts.values():
            artifacts.seal_all(run.artifact_dir(key))
        return
    if isinstance(made, Fitted):
        (name,) = fit.artifacts
        made = {name: made}
    assert made.keys() == fit.artifacts.keys(), f"{fit.component.name!r} made {sorted(made)}"
    about = _provenance(fit, owner.VERSION, context)
    for name, fitted in made.items():
        key = fit.artifacts[name]
        if not run.has_artifact(key):  # rows may have been made with one that is there
            fence()
            artifacts.save(run.artifact_dir(key), fitted, about)


def write_strengths(run: Run) -> None:
    """Write each cell's strength in every unit, by cell key; cells without a vector have none."""
    known = run.strengths
    found = {}
    for cell in run.plan.cells:
        fitted = cell.artifacts and all(map(run.has_artifact, cell.artifacts.values()))
        if fitted and cell.key not in known:
            acting = INTERVENTIONS.build(cell.intervention.name, cell.intervention.config)
            found[cell.key] = acting.strengths(fitted_of(run, cell.artifacts))
    if found:
        with locked(run.dir / ".strengths.lock"):  # another worker may have written meanwhile
            write_json(run.dir / STRENGTHS, {**run.strengths, **found}, sealed=True)


def _provenance(fit: FitPlan, version: int, context: FitContext) -> dict[str, Any]:
    """Return what ``artifact.json`` says of where an artifact comes from."""
    about: dict[str, Any] = {
        fit.owner: fit.component.name,
        "version": version,
        "config": fit.component.config,
        "seed": fit.seed,
        **{name: ref.key for name, ref in fit.data.items()},
        **fit.made,
    }
    if fit.model is None:
        return about
    engine = context.engine
    return {
        **about,
        "model": fit.model.id,
        "model_type": engine.loaded.model.config.model_type,
        "blocks": engine.loaded.blocks_in_body,
        "revision": fit.model.revision,
        "model_identity": fit.model_identity,
        "template_hash": engine.renderer.template_hash,
        "dtype": fit.model.dtype,
        "hidden_size": engine.hidden_size,
        "num_layers": engine.num_layers,
    }
