import dataclasses

import pytest

from trimtab.core.spec import Component
from trimtab.recipes._space import read_space
from trimtab.search import sampling
from trimtab.search.sampling import ask
from trimtab.search.settings import SearchSettings
from trimtab.search.space import Space
from trimtab.search.trials import Trial

SPACE = {
    "caa": {"layer": {"low": 0, "high": 9}, "strength": {"low": -1.0, "high": 1.0}},
    "pca": {"name": "caa", "layer": {"low": 0, "high": 9}, "strength": {"low": -1.0, "high": 1.0}},
}
ALONE = {"caa": SPACE["caa"]}


def settings(**more) -> SearchSettings:
    return SearchSettings(rungs=(4,), startup=4, **more)


def told(space: Space, params: dict, number: int, batch: int, state="complete") -> Trial:
    """Return a trial whose objective is highest at strength 0.5."""
    component = space.method(params).component(params)
    value = 1 - abs(component.config["strength"] - 0.5)
    # as a plan holds them
    stored = {k: float(v) if isinstance(v, int) else v for k, v in params.items()}
    rung = {f"q{i}": value for i in range(4)}
    return Trial(number, batch, component, stored, (rung,), 1, state)


def search(space: Space, given: SearchSettings, batches: int, size: int) -> list[Trial]:
    trials = [Trial(0, 0, Component(name="none"), {}, ({"q0": 0.1},), 1, "complete")]
    for batch in range(1, batches + 1):
        for params in ask(space, given, 7, (True,), trials, size):
            trials.append(told(space, params, len(trials) + 1, batch))
    return trials


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "gp", "nsga2"])
def test_what_is_asked_next_is_a_function_of_what_was_told(sampler) -> None:
    space, given = read_space(ALONE if sampler == "cmaes" else SPACE), settings(sampler=sampler)
    trials = search(space, given, batches=3, size=4)
    for known in (1, 5, 9):
        again = ask(space, given, 7, (True,), trials[:known], 4)
        assert again == [
            {k: pytest.approx(v) for k, v in trial.params.items()}
            for trial in trials[known : known + 4]
        ]
    other = ask(space, given, 8, (True,), trials[:1], 4)
    assert other != ask(space, given, 7, (True,), trials[:1], 4), "the seed draws"
    assert len({str(params) for params in other}) == 4, "trials of a batch differ"


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize("more", [{}, {"second": "loss", "pruner": "none"}])
def test_finished_trials_are_handed_over_as_if_each_were_asked_for_again(
    sampler, more, monkeypatch
) -> None:
    """Asking again is quadratic, and the parameters that follow must be those of before."""
    space = read_space(SPACE)
    given = settings(sampler=sampler, constraints={"repetition": 0.2}, **more)
    trials = search(space, given.model_copy(update={"sampler": "random"}), batches=4, size=4)
    states = {6: "failed", 7: "pruned", 8: "pruned"} if not more else {6: "failed"}
    trials = [
        dataclasses.replace(
            trial,
            state=states.get(trial.number, "complete"),
            rungs=trial.rungs * (trial.number not in states or trial.number == 8),
            means={"repetition": trial.number / 50, "loss": -trial.number % 7},
        )
        for trial in trials
    ]
    trials[9] = dataclasses.replace(trials[9], means={})
    higher = (True, False) if more else (True,)
    quick = ask(space, given, 7, higher, trials, 4)
    monkeypatch.setattr(sampling, "_KEEP_NOTES", (sampler,))
    assert ask(space, given, 7, higher, trials, 4) == quick


def test_tpe_learns_from_what_it_is_told() -> None:
    trials = search(read_space(ALONE), settings(sampler="tpe"), batches=8, size=4)
    late = [trial.component.config["strength"] for trial in trials[-8:]]
    early = [trial.component.config["strength"] for trial in trials[1:9]]
    assert sum(abs(s - 0.5) for s in late) < sum(abs(s - 0.5) for s in early) / 2


def test_a_failed_trial_is_no_bad_value() -> None:
    space, given = read_space(ALONE), settings(sampler="tpe")
    trials = search(space, given, batches=3, size=4)
    failed = [
        dataclasses.replace(t, state="failed", rungs=()) if t.number in (6, 7) else t
        for t in trials
    ]
    zero = [
        dataclasses.replace(t, rungs=({"q0": 0.0},)) if t.number in (6, 7) else t for t in trials
    ]
    without = ask(space, given, 7, (True,), failed, 4)
    assert without != ask(space, given, 7, (True,), zero, 4)
    assert without != ask(space, given, 7, (True,), trials, 4)


def test_a_grid_gives_each_point_once_in_an_order_of_the_seed() -> None:
    table = {"caa": {"layer": {"low": 0, "high": 4}, "strength": {"choices": [0.1, 0.2]}}}
    space, given = read_space(table), settings(sampler="grid")
    trials = search(space, given, batches=4, size=3)
    made = [str(trial.component) for trial in trials[1:]]
    assert len(made) == len(set(made)) == 10
    assert ask(space, given, 7, (True,), trials, 3) == []
    assert ask(space, given, 8, (True,), trials[:1], 3) != ask(
        space, given, 7, (True,), trials[:1], 3
    )


def test_constraints_are_told(monkeypatch) -> None:
    given = settings(sampler="tpe", constraints={"repetition": 0.2})
    space = read_space(ALONE)
    trials = search(space, given, batches=3, size=4)
    worst = max(trials[1:], key=lambda t: t.value)
    broken = [
        dataclasses.replace(t, means={"repetition": 0.9 if t is worst else 0.1}) for t in trials
    ]
    assert not broken[trials.index(worst)].is_feasible(given)
    whole = [dataclasses.replace(t, means={"repetition": 0.1}) for t in trials]
    assert ask(space, given, 7, (True,), broken, 4) != ask(space, given, 7, (True,), whole, 4)
