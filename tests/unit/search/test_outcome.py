import numpy as np
import pytest

from trimtab.core.spec import Component
from trimtab.search.outcome import (
    best_confirmed,
    failures_in_a_row,
    fronts,
    optimism,
    ranked,
    to_confirm,
)
from trimtab.search.settings import SearchSettings
from trimtab.search.trials import Trial


def trial(number: int, values, state="complete", **more) -> Trial:
    rung = {f"q{i}": float(v) for i, v in enumerate(values)}
    return Trial(number, 1, Component(name="none"), {}, (rung,) if rung else (), 1, state, **more)


def test_ranked_leaves_out_what_is_no_candidate() -> None:
    settings = SearchSettings(constraints={"repetition": 0.2})
    fine, bad = {"means": {"repetition": 0.1}}, {"means": {"repetition": 0.3}}
    trials = [
        trial(0, [1, 1], **fine),
        trial(2, [0, 1], **fine),
        trial(3, [1, 1], **bad),
        trial(4, [1, 1]),
        trial(5, [1, 1], state="pruned", **fine),
        trial(6, [0, 1], **fine),
        trial(7, [1, 1], **fine),
    ]
    assert [t.number for t in ranked(trials, settings, high=True)] == [7, 2, 6]
    assert [t.number for t in ranked(trials, settings, high=False)] == [2, 6, 7]


def test_the_winner_is_that_of_confirm_and_ties_go_by_select() -> None:
    order = [trial(5, [1, 1]), trial(3, [1, 0]), trial(8, [0, 0])]
    won = best_confirmed({5: 0.4, 3: 0.6, 8: 0.6}, order, high=True)
    assert won is not None and won.number == 3
    assert best_confirmed({}, order, high=True) is None


def test_with_two_objectives_the_front_is_compared_again() -> None:
    """The best by the first objective alone would be confirmed five times over."""
    settings = SearchSettings(second="repetition", pruner="none", top=4, constraints={"kl": 1.0})
    points = {2: (9, 0.5), 3: (8, 0.5), 4: (7, 0.2), 5: (7, 0.3), 6: (2, 0.1), 7: (10, 0.05)}
    trials = [
        trial(n, [1] * right + [0] * (10 - right), means={"repetition": second, "kl": n / 6.5})
        for n, (right, second) in points.items()
    ]
    trials.append(trial(8, [1] * 10, means={"kl": 0.1}))
    found = [[t.number for t in front] for front in fronts(trials, settings, (True, False))]
    assert found == [[2, 4, 6], [3, 5]], "7 breaks the constraint and 8 has one value"
    assert [t.number for t in to_confirm(trials, settings, (True, False))] == [2, 4, 6, 3]
    alone = settings.model_copy(update={"second": None})
    assert [t.number for t in to_confirm(trials, alone, (True,))] == [8, 2, 3, 4]
    both = [[t.number for t in front] for front in fronts(trials, settings, (True, True))]
    assert both[0] == [2]


def test_failures_count_from_the_end() -> None:
    ok, broken = trial(2, [1]), [trial(n, [], state="failed") for n in (3, 4)]
    assert failures_in_a_row([ok, *broken]) == 2
    assert failures_in_a_row([*broken, trial(5, [1])]) == 0
    assert failures_in_a_row([trial(0, [1]), *broken, trial(6, [], state="running")]) == 2


def test_optimism_is_the_gain_of_choosing_among_equals() -> None:
    """Thirty coins on forty problems: a bootstrap sees more than half of what choosing gains."""
    rng = np.random.default_rng(0)
    flat = [trial(n, rng.integers(0, 2, 40)) for n in range(2, 32)]
    found = optimism(flat, high=True, seed=1)
    truth = np.mean([rng.binomial(40, 0.5, 30).max() / 40 - 0.5 for _ in range(2000)])
    assert 0.5 * truth < found < truth
    assert optimism(flat, high=False, seed=1) == pytest.approx(-found, abs=0.05)


def test_one_clear_winner_has_no_optimism() -> None:
    best = trial(2, [1] * 40)
    others = [trial(n, [0] * 40) for n in (3, 4)]
    assert optimism([best, *others], high=True, seed=0) == 0
    assert optimism([best], high=True, seed=0) is None
