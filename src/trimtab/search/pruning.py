"""Which trials of a batch end at a rung.

``wilcoxon`` and ``median`` are Optuna's pruners, asked about a study that is made of the trials'
values at this moment. ``wilcoxon`` compares problem by problem with the best trial that is complete
(the baseline and the prompt among them), which is the right test here: all trials answer the same
problems. ``median`` compares with all other trials at the same rung. ``halving`` is the synchronous
form of Jamieson and Talwalkar (AISTATS 2016): of each batch the best share goes on; Optuna's own is
its asynchronous variant, for trials that don't wait for each other.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trimtab.core.lazy import lazy
from trimtab.search.sampling import running_means
from trimtab.search.settings import SearchSettings
from trimtab.search.trials import PROMPT, Trial

if TYPE_CHECKING:
    import optuna
else:
    optuna = lazy("optuna")


def pruned(
    settings: SearchSettings, high: bool, trials: Sequence[Trial], batch: Sequence[Trial], rung: int
) -> dict[int, str]:
    """Return which trials of ``batch`` end after ``rung``, and why, by number.

    Args:
        settings: Which pruner.
        high: Whether the objective is to be high.
        trials: All trials.
        batch: Those that have passed ``rung`` and have not failed.
        rung: From 0.
    """
    if settings.pruner == "none" or not batch:
        return {}
    if settings.pruner == "halving":
        return _halving(settings, high, batch, rung)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    others = [t for t in trials if t.state != "failed" and t.value is not None]
    ended = {}
    for trial in batch:
        rivals = [other for other in others if other.number != trial.number]
        if settings.pruner == "wilcoxon":
            rivals = [other for other in rivals if other.state == "complete"]
            steps = _by_problem([*rivals, trial])
        else:
            rivals = [other for other in rivals if len(other.rungs) > rung]
            steps = {t.number: dict(enumerate(running_means(t))) for t in (*rivals, trial)}
        if rivals and _ends(settings, high, trial, rivals, steps):
            ended[trial.number] = _why(settings, high, trial, rivals, rung)
    return ended


def _halving(
    settings: SearchSettings, high: bool, batch: Sequence[Trial], rung: int
) -> dict[int, str]:
    kept = max(1, math.ceil(len(batch) / settings.reduction))
    ranked = sorted(batch, key=lambda t: (-_value(t) if high else _value(t), t.number))
    best = f"the best {kept} of {len(batch)}"
    return {
        trial.number: f"rung {rung + 1}: {_value(trial):.3g} is not among {best}"
        for trial in ranked[kept:]
    }


def _by_problem(trials: Sequence[Trial]) -> dict[int, dict[int, float]]:
    """Return each trial's value of each problem, problems numbered in one order for all."""
    problems = sorted({sample for trial in trials for sample in trial.values})
    number = {sample: place for place, sample in enumerate(problems)}
    return {
        trial.number: {number[sample]: value for sample, value in trial.values.items()}
        for trial in trials
    }


def _ends(
    settings: SearchSettings,
    high: bool,
    trial: Trial,
    rivals: Sequence[Trial],
    steps: Mapping[int, Mapping[int, float]],
) -> bool:
    """Ask Optuna about a trial that runs beside its rivals, each as complete as it is."""
    states = optuna.trial.TrialState
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls the Wilcoxon pruner experimental
        pruner: optuna.pruners.BasePruner = optuna.pruners.MedianPruner(n_startup_trials=1)
        if settings.pruner == "wilcoxon":
            pruner = optuna.pruners.WilcoxonPruner(p_threshold=settings.p_threshold)
        study = optuna.create_study(direction="maximize" if high else "minimize", pruner=pruner)
        for other in rivals:
            study.add_trial(
                optuna.trial.create_trial(
                    state=states.COMPLETE,
                    value=_value(other),
                    intermediate_values=dict(steps[other.number]),
                )
            )
        asked = study.ask()
        for step, value in steps[trial.number].items():
            asked.report(value, step)
        return bool(asked.should_prune())


def _why(
    settings: SearchSettings, high: bool, trial: Trial, rivals: Sequence[Trial], rung: int
) -> str:
    said = f"rung {rung + 1}: {_value(trial):.3g} on {len(trial.values)} problems"
    if settings.pruner == "median":
        return f"{said}, beyond the median of {len(rivals)} others"
    best = max(rivals, key=lambda t: _value(t) if high else -_value(t))
    shared = trial.values.keys() & best.values.keys()
    theirs = sum(best.values[s] for s in sorted(shared)) / max(1, len(shared))
    name = {0: "the baseline", PROMPT: "the prompt"}.get(best.number, f"trial {best.number}")
    return f"{said}, where {name} has {theirs:.3g} (Wilcoxon p < {settings.p_threshold:g})"


def _value(trial: Trial) -> float:
    assert trial.value is not None
    return trial.value
