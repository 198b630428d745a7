"""A search as a study of Optuna's, for people who look at it with other tools.

The study is made anew from plan and records whenever it is written, and nothing reads it back: it
never decides anything. Its trials have the numbers of the search, baseline (0) and prompt (1) among
them; their times are those of their records, so that equal records give an equal study.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import optuna
from optuna.storages.journal import BaseJournalBackend

from trimtab.core.keys import content_key
from trimtab.core.plan import Cell
from trimtab.search.outcome import best_confirmed, ranked
from trimtab.search.sampling import directions, frozen
from trimtab.search.settings import SearchSettings
from trimtab.search.space import METHOD, Space
from trimtab.search.table import tried_space
from trimtab.search.trials import (
    BASELINE,
    PROMPT,
    Records,
    Trial,
    are_high,
    find_metric,
    read_confirmed,
    read_trials,
)

_OWN = {BASELINE: "baseline", PROMPT: "prompt"}
_WORKER = "trimtab"
"""Who wrote the lines of a journal; Optuna draws a name for each process."""


class Configured(Records, Protocol):
    """What is read of a run with its configuration."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved configuration of the experiment."""
        ...


@dataclass(frozen=True)
class Study:
    """What is written to a storage.

    Attributes:
        name: The experiment's, with a hash of its configuration: several studies share a storage.
        directions: Of each objective.
        metrics: Name of each objective.
        about: What is known of the search as a whole.
        trials: By number, without a gap.
    """

    name: str
    directions: Sequence[Any]
    metrics: tuple[str, ...]
    about: Mapping[str, Any]
    trials: tuple[optuna.trial.FrozenTrial, ...]


def read_study(run: Configured) -> Study | None:
    """Return the study that a run's plan and records are; None for a run without trials."""
    if not any("trial" in cell.coordinates for cell in run.plan.cells):
        return None
    settings = SearchSettings.model_validate(run.config.get("search") or {})
    trials = read_trials(run, settings)
    space = tried_space(run.config["space"], (trial.params for trial in trials))
    higher = are_high(run.judges(), settings)
    objective = find_metric(run.judges(), settings.objective).metric.name
    known = {key: value for key, value in run.config.items() if key != "search"}
    described = [known, settings.model_dump(mode="json", exclude={"storage"})]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return Study(
        name=f"{run.plan.name} {content_key([run.plan.name, described], 8)}",
        directions=directions(higher),
        metrics=(objective, *filter(None, (settings.second,))),
        about=dict(_about(run, settings, trials, higher[0])),
        trials=tuple(_numbered(run, settings, space, trials)),
    )


def journal(study: Study) -> str:
    """Return a study as the text of a journal file; equal studies give equal texts."""
    lines = _Lines()
    write(optuna.storages.JournalStorage(lines), study)
    return "".join(f"{json.dumps({**line, 'worker_id': _WORKER})}\n" for line in lines.written)


def write(storage: optuna.storages.BaseStorage, study: Study) -> None:
    """Bring a study of a storage up to date, or make it.

    Trials that have ended there stay as they are; a study of this name that says something else
    is replaced.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of objectives are called experimental
        found = optuna.study.get_all_study_names(storage)
        if study.name in found and not _goes_on(_load(storage, study), study):
            optuna.delete_study(study_name=study.name, storage=storage)
        made = optuna.create_study(
            storage=storage,
            study_name=study.name,
            directions=study.directions,
            load_if_exists=True,
        )
        if made.metric_names != list(study.metrics):
            made.set_metric_names(list(study.metrics))
        for key, value in study.about.items():
            if made.user_attrs.get(key) != value:
                made.set_user_attr(key, value)
        known = made.get_trials(deepcopy=False)
        number = storage.get_study_id_from_name(study.name)
        for old, new in zip(known, study.trials, strict=False):
            if not old.state.is_finished():
                place = storage.get_trial_id_from_study_id_trial_number(number, old.number)
                _update(storage, place, old, new)
        made.add_trials(study.trials[len(known) :])


class _Lines(BaseJournalBackend):
    """A journal in memory."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.written[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.written += json.loads(json.dumps(logs))


def _load(storage: optuna.storages.BaseStorage, study: Study) -> optuna.Study:
    return optuna.load_study(study_name=study.name, storage=storage)


def _goes_on(found: optuna.Study, study: Study) -> bool:
    """Return whether ``study`` says what a storage says of it, and perhaps more."""
    known = found.get_trials(deepcopy=False)
    names = [direction.name.lower() for direction in found.directions]
    return (
        names == list(study.directions)
        and len(known) <= len(study.trials)
        and all(
            old.params == new.params
            and old.distributions == new.distributions
            and (not old.state.is_finished() or (old.state, old.values) == (new.state, new.values))
            for old, new in zip(known, study.trials, strict=False)
        )
    )


def _update(
    storage: optuna.storages.BaseStorage,
    place: int,
    old: optuna.trial.FrozenTrial,
    new: optuna.trial.FrozenTrial,
) -> None:
    """Write what has become known of a trial that runs; ``place`` is its number in the storage."""
    for step, value in new.intermediate_values.items():
        if step not in old.intermediate_values:
            storage.set_trial_intermediate_value(place, step, value)
    for key, value in new.user_attrs.items():
        if old.user_attrs.get(key) != value:
            storage.set_trial_user_attr(place, key, value)
    for key, value in new.system_attrs.items():
        storage.set_trial_system_attr(place, key, value)
    if new.state.is_finished():
        storage.set_trial_state_values(place, new.state, new.values)


def _about(
    run: Configured, settings: SearchSettings, trials: Sequence[Trial], high: bool
) -> Iterator[tuple[str, Any]]:
    """Yield what is known of the search as a whole."""
    confirmed = read_confirmed(run, settings)
    yield "recipe", run.plan.recipe
    yield "seed", run.plan.seed
    yield "sampler", settings.sampler
    yield "pruner", settings.pruner
    if confirmed:
        yield "mean on confirm problems", {f"{n}": mean for n, mean in confirmed.items()}
    opened = any(cell.purpose == "result" for cell in run.plan.cells)
    winner = (
        best_confirmed(confirmed, ranked(trials, settings, high), high, settings.leak)
        if opened
        else None
    )
    if winner is not None:
        yield "winner", winner.number


def _numbered(
    run: Configured, settings: SearchSettings, space: Space, trials: Sequence[Trial]
) -> Iterator[optuna.trial.FrozenTrial]:
    """Yield a trial for each number; one that nobody asked for and that is not there has failed."""
    why = {n: reason for part in run.plan.fragments for n, reason in part.without.items()}
    times = _times(run)
    by_number = {trial.number: trial for trial in trials}
    first = min((start for start, _ in times.values()), default=0.0)
    for number in range(max(by_number) + 1):
        trial = by_number.get(number)
        if trial is None:
            made = optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL)
            made.user_attrs = {"why": "this experiment has no such condition"}
        else:
            made = frozen(trial, space, settings)
            made.user_attrs = dict(_told(trial, space, why.get(f"{number}")))
        start, end = times.get(number, (first, first))
        made.datetime_start = datetime.fromtimestamp(start)
        if made.state.is_finished():
            made.datetime_complete = datetime.fromtimestamp(end)
        yield made


def _told(trial: Trial, space: Space, why: str | None) -> Iterator[tuple[str, Any]]:
    """Yield what a study can't hold otherwise of a trial."""
    label = _OWN.get(trial.number) or str(trial.params.get(METHOD, next(iter(space.methods))))
    yield "method", label
    yield "batch", trial.batch
    yield "problems", len(trial.values)
    yield "intervention", trial.component.model_dump(mode="json")
    yield from trial.means.items()
    reason = trial.error or why
    if reason is not None:
        yield "why", reason


def _times(run: Configured) -> dict[int, tuple[float, float]]:
    """Return when a trial's first row was written and when its last one, by its number."""
    cells: dict[int, list[Cell]] = {}
    for cell in run.plan.cells:
        if "rung" in cell.coordinates:
            cells.setdefault(int(cell.coordinates["trial"]), []).append(cell)
    found = {}
    for number, some in cells.items():
        rows = [row.time for cell in some for row in run.completions(cell.key).values()]
        judges = [(judge, cell) for cell in some for judge in run.judges() if judge.scores(cell)]
        rows += [
            row.time for judge, cell in judges for row in run.scores(judge.key, cell.key).values()
        ]
        if rows:
            found[number] = (min(rows), max(rows))
    return found
