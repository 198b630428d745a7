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
from trimtab.search.trials import PROMPT, Trial

if TYPE_CHECKING:
    import optuna
else:
    optuna = lazy("optuna")

MOST_GRID_POINTS = 2000


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
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions: list[Literal["minimize", "maximize"]] = [
        "maximize" if high else "minimize" for high in higher
    ]
    study = optuna.create_study(directions=directions)
    for _, some in groupby(trials, key=lambda trial: trial.batch):
        batch = list(some)
        running = []
        for trial in batch:
            study.enqueue_trial(dict(trial.params))
            running.append(_ask(study, settings, seed, trial.number))
            space.ask(running[-1])
        for trial, asked in zip(batch, running, strict=True):
            tell(study, asked, trial, settings)
    return study


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
        for rung, value in enumerate(running_means(trial)):
            asked.report(value, rung)
        study.tell(asked, state=state.PRUNED)
    else:
        if settings.second is None:
            for rung, value in enumerate(running_means(trial)):
                asked.report(value, rung)
        study.tell(asked, values)


def objectives(trial: Trial, settings: SearchSettings) -> list[float] | None:
    """Return the values of a trial's objectives; None if one is missing."""
    second = [] if settings.second is None else [trial.means.get(settings.second)]
    values = [trial.value, *second]
    return None if None in values else [value for value in values if value is not None]


def running_means(trial: Trial) -> list[float]:
    """Return the mean objective over the problems up to each rung."""
    means, seen = [], list[float]()
    for rung in trial.rungs:
        seen += rung.values()
        if seen:
            means.append(sum(seen) / len(seen))
    return means
