"""Energy judges: fit one on the run's own completions when it is owed, and hand it out.

The fit reads completions of the fit and select cells and the labels another judge gave them, so it
belongs to the score phase. Its artifact lies beside those of interventions, in ``artifacts/<key>``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trimtab.core.errors import DataError, JudgeError
from trimtab.core.keys import derive_seed
from trimtab.core.spec import JudgeFit, JudgePlan
from trimtab.core.types import Energy, Sample
from trimtab.judges.base import JUDGES
from trimtab.models.load import load_model, resolve
from trimtab.runs.store.claims import Lease
from trimtab.runs.store.run import Run
from trimtab.runs.work.engines import EnginePool
from trimtab.training.rerankers.config import EnergyConfig, problem_of
from trimtab.training.rerankers.corrupt import corrupted
from trimtab.training.rerankers.energies import Ablated, EnergyModel
from trimtab.training.rerankers.fitting import (
    Data,
    Subject,
    fit_energy,
    load_energy,
    refuse_fitted_on,
)
from trimtab.training.rerankers.groups import Group
from trimtab.training.rerankers.uncertainty import Uncertainty


def ready(run: Run, judge: JudgePlan, pool: EnginePool) -> Energy:
    """Return the energy model of ``judge``, fitted first if need be, with its ablation.

    Raises:
        DataError: It was, or would be, fitted on problems of a test split; or no problem has both
            right and wrong candidates.
        JudgeError: Completions of the fit or select split are not labelled.
        ModelError: A named model reads pairs in another layout, or needs another language model.
    """
    config = JUDGES.build(judge.component.name, judge.component.config).config
    assert isinstance(config, EnergyConfig)
    subject = _subject(judge, pool)
    if config.kind == "uncertainty":
        assert subject is not None, "planning resolves its model"
        return Uncertainty(subject.engine())
    if judge.fit is None:
        assert config.trained is not None, "planning wants a fit or a trained model"
        folder = Path(config.trained)
        model: EnergyModel = load_energy(folder, subject)
    else:
        folder = run.artifact_dir(judge.fit.key)
        model = _fitted(run, judge.fit, config, subject, folder)
    refuse_fitted_on(folder, _test_problems(run))
    if config.ablation == "none":
        return model
    return Ablated(model, config.ablation, model.others)


def _fitted(
    run: Run, fit: JudgeFit, config: EnergyConfig, subject: Subject | None, folder: Path
) -> EnergyModel:
    if run.has_artifact(fit.key):
        return load_energy(folder, subject)
    samples = [_groups(run, fit, cells) for cells in (fit.fit, fit.select)]
    golds = config.candidates == "synthetic"
    used = [_synthetic(run, cells, fit.seed) for cells in (fit.fit, fit.select)] if golds else None
    learned, chosen = used or samples
    data = Data(learned, chosen, _test_problems(run), samples[1] if golds else ())
    with Lease(run.dir, f"fit-{fit.key}"):
        seed = derive_seed(fit.seed, fit.key)
        return fit_energy(config, data, folder=folder, seed=seed, subject=subject)


def _subject(judge: JudgePlan, pool: EnginePool) -> Subject | None:
    spec, identity = judge.model, judge.model_identity
    if spec is None or identity is None:
        return None
    return Subject(
        identity,
        engine=lambda: pool.engine(spec, identity),
        # A verifier changes its model, so it can't be the one that others share.
        loaded=lambda: load_model(resolve(spec)),
    )


def _groups(run: Run, fit: JudgeFit, cells: Sequence[str]) -> list[Group]:
    """Return each problem's labelled candidates; those without text or label are left out."""
    rows: dict[str, list[tuple[str, bool]]] = {problem_of(s): [] for s in _samples(run, cells)}
    for cell in cells:
        samples = run.samples(_sample_key(run, cell))
        labels = run.scores(fit.labels, cell)
        completions = run.completions(cell)
        owed = len(completions.keys() - labels.keys())
        if owed:
            raise JudgeError(
                f"{owed} completions to learn from are not labelled by {fit.labels}.",
                hint=f"Run `trimtab score {run.dir}` when that judge works.",
            )
        for key, completion in completions.items():
            label = labels[key].values.get(fit.metric)
            if completion.text is not None and completion.error is None and label is not None:
                problem = problem_of(samples[completion.sample_id])
                rows[problem].append((completion.text, label == 1.0))
    return [
        Group(problem, tuple(t for t, _ in some), tuple(right for _, right in some))
        for problem, some in rows.items()
    ]


def _synthetic(run: Run, cells: Sequence[str], seed: int) -> list[Group]:
    """Return gold solutions with a corrupted copy each; raise DataError if there is no gold."""
    found: dict[str, Group] = {}
    for sample in _samples(run, cells):
        solution = sample.metadata.get("solution")
        if not isinstance(solution, str):
            raise DataError(
                f"The sample {sample.id!r} has no gold solution to corrupt.",
                hint="Use `candidates: samples`, or a task with solutions (gsm8k).",
            )
        problem = problem_of(sample)
        found[problem] = corrupted(problem, solution, seed)
    return list(found.values())


def _samples(run: Run, cells: Sequence[str]) -> Iterator[Sample]:
    for cell in cells:
        yield from run.samples(_sample_key(run, cell)).values()


def _sample_key(run: Run, cell: str) -> str:
    return next(known.samples for known in run.plan.cells if known.key == cell)


def _test_problems(run: Run) -> list[str]:
    keys = {c.samples for c in run.plan.cells if c.split == "test" and c.output == "text"}
    return sorted({problem_of(s) for key in keys for s in run.samples(key).values()})
