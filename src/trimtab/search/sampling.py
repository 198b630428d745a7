"""What is tried next: Optuna's samplers, asked in batches, on a study made of records.

The study is made anew from the trials that are there, in the order in which they were asked for and
told, and each trial has a sampler seeded by its own number. So what is asked for next is a pure
function of configuration and records, whoever asks and after whatever interruption. Trials of one
batch are asked for before any of them has a value; TPE counts those that run as bad ones (a
"constant liar"), so that they differ.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from trimtab.core.errors import ConfigError
from trimtab.core.keys import derive_seed
from trimtab.core.lazy import lazy
from trimtab.search.settings import SamplerName, SearchSettings
from trimtab.search.space import Params, Space, first_uncountable
from trimtab.search.trials import PROMPT, Trial, objectives

if TYPE_CHECKING:
    import optuna
else:
    optuna = lazy("optuna")

MOST_GRID_POINTS = 2000
_KEEP_NOTES: tuple[SamplerName, ...] = ("cmaes", "nsga2")
"""Samplers that write beside each trial what they make the next ones from."""


def has_optuna() -> bool:
    """Return whether Optuna is installed; a report of a search can do without."""
    return find_spec("optuna") is not None


def require_optuna(sampler: SamplerName) -> None:
    """Raise ConfigError where Optuna, or what a sampler of its needs, is not installed."""
    for package in ("optuna", *(("cmaes",) if sampler == "cmaes" else ())):
        if find_spec(package) is None:
            raise ConfigError(
                f"A search with the sampler {sampler!r} needs {package}, which is not installed.",
                hint="pip install 'trimtab[search]'.",
            )


def ask(
    space: Space,
    settings: SearchSettings,
    seed: int,
    higher: tuple[bool, ...],
    trials: Sequence[Trial],
    count: int,
) -> list[Params]:
    """Return the parameters of the next ``count`` trials; fewer where a grid has no more.

    Args:
        space: What may be chosen.
        settings: Who asks.
        seed: The experiment's seed.
        higher: Whether each objective is to be high.
        trials: All trials so far, none of them running.
        count: How many.
    """
    asked = [trial for trial in trials if trial.number > PROMPT]
    if settings.sampler == "grid":
        points = grid(space)
        random.Random(derive_seed(seed, "grid")).shuffle(points)
        return points[len(asked) : len(asked) + count]
    study = _study(space, settings, seed, higher, asked)
    first = max((trial.number for trial in asked), default=PROMPT) + 1
    return [
        space.ask(_ask(study, settings, seed, number)) for number in range(first, first + count)
    ]


def grid(space: Space) -> list[Params]:
    """Return every configuration of a space in the order of its file.

    Raises:
        ConfigError: A range has no step, or there are too many.
    """
    points = space.grid()
    if points is None:
        name = first_uncountable(list(space.methods.values()))
        raise ConfigError(
            f"space: {name} is a range without a step, which a grid can't list.",
            hint="Give it a `step`, or `choices`, or another sampler.",
        )
    if len(points) > MOST_GRID_POINTS:
        raise ConfigError(
            f"space: the grid has {len(points):,} points, more than {MOST_GRID_POINTS:,}.",
            hint="Take larger steps or fewer choices, or the sampler tpe.",
        )
    return points


def _study(
    space: Space,
    settings: SearchSettings,
    seed: int,
    higher: tuple[bool, ...],
    trials: Sequence[Trial],
) -> optuna.Study:
    # GP would tell of a package that makes it somewhat faster, at every trial
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=directions(higher))
    if settings.sampler in _KEEP_NOTES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # CMA-ES says so for each trial with constraints
            _replay(study, space, settings, seed, trials)
    else:
        for trial in trials:
            study.add_trial(frozen(trial, space, settings))
    return study


def directions(higher: tuple[bool, ...]) -> list[Literal["minimize", "maximize"]]:
    """Return Optuna's word for each objective, of which it is known whether it is to be high."""
    return ["maximize" if high else "minimize" for high in higher]


def _replay(
    study: optuna.Study,
    space: Space,
    settings: SearchSettings,
    seed: int,
    trials: Sequence[Trial],
) -> None:
    """Ask for every trial again, so that what samplers note down beside trials is there."""
    for _, some in groupby(trials, key=lambda trial: trial.batch):
        batch = list(some)
        running = []
        for trial in batch:
            study.enqueue_trial(dict(trial.params))
            running.append(_ask(study, settings, seed, trial.number))
            space.ask(running[-1])
        for trial, asked in zip(batch, running, strict=True):
            tell(study, asked, trial, settings)


def _ask(study: optuna.Study, settings: SearchSettings, seed: int, number: int) -> optuna.Trial:
    """Ask for one trial with a sampler of its own."""
    study.sampler = _sampler(settings, derive_seed(seed, "trial", number) % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # options of TPE that are called experimental
        return study.ask()


def _sampler(settings: SearchSettings, seed: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if settings.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if settings.sampler == "cmaes":
            return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        if settings.sampler == "gp":
            return optuna.samplers.GPSampler(
                seed=seed, n_startup_trials=settings.startup, warn_independent_sampling=False
            )
        if settings.sampler == "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=settings.parallel)
        return optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=settings.startup,
            multivariate=True,
            group=True,
            constant_liar=True,
            warn_independent_sampling=False,
        )


def tell(study: optuna.Study, asked: optuna.Trial, trial: Trial, settings: SearchSettings) -> None:
    """Tell a study what became of a trial; one that failed has no value."""
    for metric, beyond in trial.violation(settings).items():
        asked.set_constraint(metric, beyond)
    values = objectives(trial, settings)
    state = optuna.trial.TrialState
    if trial.state == "failed" or values is None:
        study.tell(asked, state=state.FAIL)
    elif trial.state == "pruned":
        for rung, value in enumerate(running_means(trial), start=1):
            asked.report(value, rung)
        study.tell(asked, state=state.PRUNED)
    else:
        if settings.second is None:
            for rung, value in enumerate(running_means(trial), start=1):
                asked.report(value, rung)
        study.tell(asked, values)


def frozen(trial: Trial, space: Space, settings: SearchSettings) -> optuna.trial.FrozenTrial:
    """Return a trial as a study holds it that was told of it; one that failed has no value."""
    drawn = space.distributions(trial.params) if trial.params else {}
    whole = optuna.distributions.IntDistribution
    params = {
        name: int(trial.params[name]) if isinstance(kind, whole) else trial.params[name]
        for name, kind in drawn.items()
    }
    values = objectives(trial, settings)
    means = running_means(trial) if settings.second is None else []
    states = optuna.trial.TrialState
    state = states.COMPLETE
    if trial.state == "running":
        state, values = states.RUNNING, None
    elif trial.state == "failed" or values is None:
        state, values, means = states.FAIL, None, []
    elif trial.state == "pruned":
        state, values = states.PRUNED, means[-1:] or None
    return optuna.trial.create_trial(
        state=state,
        values=values,
        params=params,
        distributions=drawn,
        intermediate_values=dict(enumerate(means, start=1)),
        constraints=trial.violation(settings),
    )


def running_means(trial: Trial) -> list[float]:
    """Return the mean objective over the problems up to each rung."""
    means, seen = [], list[float]()
    for rung in trial.rungs:
        seen += rung.values()
        if seen:
            means.append(sum(seen) / len(seen))
    return means
