import pytest

from trimtab.core.spec import Component
from trimtab.search.pruning import pruned
from trimtab.search.settings import SearchSettings
from trimtab.search.trials import Trial

NONE = Component(name="none")


def trial(number: int, right: int, of: int = 24, state="complete") -> Trial:
    """Return a trial that solves the first ``right`` problems of one rung."""
    rung = {f"q{i:02d}": float(i < right) for i in range(of)}
    return Trial(number, 1, NONE, {}, (rung,), 1, state)


def ended(pruner: str, trials: list[Trial], high: bool = True) -> dict[int, str]:
    settings = SearchSettings(pruner=pruner, rungs=(24, 24))
    batch = [t for t in trials if t.state == "running"]
    return pruned(settings, high, trials, batch, 0)


def test_wilcoxon_ends_what_is_clearly_worse_than_the_best_complete_trial() -> None:
    trials = [
        trial(0, 10),
        trial(1, 16),
        trial(2, 4, state="running"),
        trial(3, 15, state="running"),
    ]
    found = ended("wilcoxon", trials)
    assert set(found) == {2}
    assert "0.167 on 24 problems, where the prompt has 0.667" in found[2]


def test_wilcoxon_pairs_by_problem() -> None:
    """Equal means on other problems are no reason to end a trial, whoever solved which."""
    rung = {f"q{i:02d}": float(i >= 12) for i in range(24)}
    other = Trial(2, 1, NONE, {}, (rung,), 1, "running")
    assert not ended("wilcoxon", [trial(0, 12), other])


def test_wilcoxon_waits_for_a_complete_trial() -> None:
    assert not ended("wilcoxon", [trial(2, 20, state="running"), trial(3, 1, state="running")])


def test_median_ends_the_lower_half() -> None:
    rights = {0: 12, 2: 3, 3: 8, 4: 16, 5: 20}
    trials = [trial(n, right, state="running" if n else "complete") for n, right in rights.items()]
    assert set(ended("median", trials)) == {2, 3}


def test_halving_keeps_the_best_half_of_the_batch() -> None:
    trials = [trial(n, right, state="running") for n, right in {2: 3, 3: 8, 4: 16, 5: 8}.items()]
    assert set(ended("halving", trials)) == {2, 5}
    assert set(ended("halving", trials, high=False)) == {4, 5}


@pytest.mark.parametrize("pruner", ["wilcoxon", "median", "halving"])
def test_a_failed_trial_ends_nobody(pruner) -> None:
    broken = Trial(9, 1, NONE, {}, (), 1, "failed", error="NaN")
    assert not ended(pruner, [broken, trial(2, 20, state="running")])


def test_none_ends_nothing() -> None:
    assert not ended("none", [trial(0, 20), trial(2, 0, state="running")])
