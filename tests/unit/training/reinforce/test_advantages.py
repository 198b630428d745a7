"""Advantages against closed forms and slow ones."""

import statistics

import pytest

from trimtab.training.reinforce.advantages import Baseline
from trimtab.training.reinforce.config import BaselineConfig, ReinforceTraining


def trace(rewards, **config):
    baseline = Baseline(BaselineConfig(**config))
    found = [baseline.advantages([[reward]]) for reward in rewards]
    return [a.values[0][0] for a in found], [a.baseline for a in found]


def test_the_running_mean_is_that_of_before_the_round() -> None:
    rewards = [1.0, 0.0, 1.0, 1.0]
    advantages, before = trace(rewards, start="zero")
    expected = [0.0, 0.1, 0.09, 0.181]
    assert before == pytest.approx(expected)
    assert advantages == pytest.approx([r - b for r, b in zip(rewards, expected, strict=True)])


def test_other_starts_of_the_running_mean() -> None:
    rewards = [0.5, 1.0, 0.0]
    advantages, before = trace(rewards, start="first")
    assert before == [None, 0.5, pytest.approx(0.55)]
    assert advantages == [0.0, 0.5, pytest.approx(-0.55)]
    _, before = trace(rewards, start="debiased")
    means = [None, 0.5, (0.9 * 0.1 * 0.5 + 0.1 * 1.0) / (1 - 0.9**2)]
    assert before == [None, pytest.approx(means[1]), pytest.approx(means[2])]


def test_a_round_without_reward_leaves_the_mean() -> None:
    baseline = Baseline(BaselineConfig())
    baseline.advantages([[1.0, None]])
    assert baseline.advantages([[None]]).values == [[None]]
    assert baseline.running == pytest.approx(0.1)
    other = Baseline(BaselineConfig())
    other.restore(baseline.state())
    assert other.running == baseline.running


def test_groups_are_compared_within() -> None:
    groups = [[1.0, 0.0, 0.5, None], [0.25, 0.25, None, None], [1.0, None, None, None]]
    rloo = Baseline(BaselineConfig(kind="rloo")).advantages(groups).values
    assert rloo[0] == [0.75, -0.75, 0.0, None]
    assert rloo[1:] == [[0.0, 0.0, None, None], [0.0, None, None, None]]
    norm = Baseline(BaselineConfig(kind="group_norm")).advantages(groups).values
    spread = statistics.stdev([1.0, 0.0, 0.5]) + 1e-4
    assert norm[0] == [pytest.approx(0.5 / spread), pytest.approx(-0.5 / spread), 0.0, None]
    mean = Baseline(BaselineConfig(kind="batch_mean")).advantages(groups).values
    assert mean[0][0] == pytest.approx(1.0 - 3.0 / 6)
    assert Baseline(BaselineConfig(kind="none")).advantages(groups).values == groups


@pytest.mark.parametrize(
    "wrong",
    [
        {"baseline": {"kind": "rloo"}},
        {"baseline": {"kind": "group_norm"}, "samples": 1},
        {"condition": "control", "credit": "all"},
        {"grader": "base", "credit": "grade"},
        {"layers": ()},
    ],
)
def test_settings_that_contradict_each_other(wrong) -> None:
    with pytest.raises(ValueError):
        ReinforceTraining(**wrong)


def test_what_is_credited_by_default() -> None:
    found = {c: ReinforceTraining(condition=c) for c in ("control", "selfgrade", "honest")}
    assert [s.credited for s in found.values()] == ["answer", "all", "all"]
    assert [s.most_credited for s in found.values()] == [50, 60, 60]
    assert ReinforceTraining(grader="base").credited == "answer"
    assert ReinforceTraining(rounds=120).kept() == {f"round-{n}": n for n in (50, 100, 120)}
