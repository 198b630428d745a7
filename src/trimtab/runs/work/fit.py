"""The fit phase: make each artifact that a cell needs, once."""

from __future__ import annotations

from trimtab.core.files import remove_half_written
from trimtab.core.keys import derive_seed
from trimtab.core.records import write_json
from trimtab.interventions.base import INTERVENTIONS
from trimtab.runs.store import artifacts
from trimtab.runs.store.claims import Lease
from trimtab.runs.store.run import STRENGTHS, Run
from trimtab.runs.usage.progress import Progress
from trimtab.runs.work.engines import EnginePool
from trimtab.steering.fitted import FitContext, LabelledPrompt


def fit(run: Run, pool: EnginePool, progress: Progress) -> None:
    """Fit what is owed; a finished artifact is never made again."""
    owed = [a for a in run.plan.artifacts if not run.has_artifact(a.key)]
    total = len(run.plan.artifacts)
    progress.start("fit", total, total - len(owed))
    for artifact in owed:
        with Lease(run.dir, f"fit-{artifact.key}"):
            if not run.has_artifact(artifact.key):
                _fit_one(run, artifact, pool)
        progress.advance(1, 0)
    if total and not (run.dir / STRENGTHS).is_file():
        write_json(run.dir / STRENGTHS, _strengths(run))
    progress.finish()


def _strengths(run: Run) -> dict[str, dict[str, float]]:
    """Return each cell's strength in every unit, by cell key; cells without a vector have none."""
    fitted = {a.key: artifacts.load(run.artifact_dir(a.key)) for a in run.plan.artifacts}
    return {
        cell.key: INTERVENTIONS.build(cell.intervention.name, cell.intervention.config).strengths(
            fitted[cell.artifact]
        )
        for cell in run.plan.cells
        if cell.artifact is not None
    }


def _fit_one(run: Run, artifact: ArtifactPlan, pool: EnginePool) -> None:
    remove_half_written(run.artifact_dir(artifact.key))
    engine = pool.engine(artifact.model, artifact.model_identity)
    component = artifact.component
    intervention = INTERVENTIONS.build(component.name, component.config)
    context = FitContext(
        engine=engine,
        pairs=[] if artifact.pairs is None else run.pairs(artifact.pairs),
        rendering=artifact.rendering,
        seed=derive_seed(artifact.seed, artifact.key),
        prompts=[
            LabelledPrompt(sample, some.rendering, some.split, some.holds)
            for some in artifact.prompts
            for sample in run.samples(some.samples).values()
        ],
        select=run.pairs(artifact.select_pairs) if artifact.select_pairs else (),
        folder=run.artifact_dir(artifact.key),
    )
    provenance = {
        "intervention": component.name,
        "version": intervention.VERSION,
        "config": component.config,
        "model": artifact.model.id,
        "model_type": engine.loaded.model.config.model_type,
        "blocks": engine.loaded.blocks_in_body,
        "revision": artifact.model.revision,
        "model_identity": artifact.model_identity,
        "template_hash": engine.renderer.template_hash,
        "dtype": artifact.model.dtype,
        "hidden_size": engine.hidden_size,
        "num_layers": engine.num_layers,
        "pairs": artifact.pairs,
        "select_pairs": artifact.select_pairs,
        "seed": artifact.seed,
    }
    artifacts.save(run.artifact_dir(artifact.key), intervention.fit(context), provenance)
