"""Each alarm is raised once, in the round that crosses its bound, also across a resume."""

import json

import pytest
from pydantic import ValidationError

from trimtab.training.reinforce.alarms import NAMES, AlarmConfig, Watch
from trimtab.training.reinforce.config import ReinforceTraining

CALM = {"reward": 0.8, "divergence": 0.1, "entropy": 2.0, "mismatch": 1e-6, "unparsed": 0}
WILD = {
    "reward_fall": {"reward": 0.0},
    "divergence": {"divergence": 3.0},
    "unparsed": {"unparsed": 2},
    "mismatch": {"mismatch": 0.5},
    "entropy_left": {"entropy": 0.01},
}


def rounds(watch, first, rows, norm=1.0):
    found = []
    for number, changed in enumerate(rows, start=first):
        row = {**CALM, **changed, "episodes": [{}, {}]}
        found += watch.after(number, row, norm)
        state = json.loads(json.dumps(watch.state()))
        watch = Watch(watch.config)
        watch.restore(state)
    return watch, found


@pytest.mark.parametrize("name", NAMES)
def test_an_alarm_is_raised_once_and_alone(name) -> None:
    watch = Watch(AlarmConfig(window=2, stop=(name,)))
    watch, none = rounds(watch, 1, [{}] * 4)
    assert not none and watch.stopped_by() is None
    watch, found = rounds(watch, 5, [WILD.get(name, {})] * 4, 1e4 if name == "gradient_norm" else 1)
    assert [alarm["name"] for alarm in found] == [name]
    assert found[0]["round"] == (5 if name == "gradient_norm" else found[0]["round"])
    assert watch.stopped_by() == f"alarm in round {found[0]['round']}: {found[0]['text']}"


def test_what_is_not_known_raises_nothing_and_null_is_no_alarm() -> None:
    unknown = dict.fromkeys(("reward", "divergence", "entropy", "mismatch"))
    assert not rounds(Watch(AlarmConfig(window=1)), 1, [unknown] * 3)[1]
    off = AlarmConfig(window=1, **dict.fromkeys(NAMES))
    assert not rounds(Watch(off), 1, [{}, *WILD.values()], 1e9)[1]


def test_a_state_that_knows_fewer_averages_is_taken_back() -> None:
    watch = Watch(AlarmConfig(window=2))
    state = watch.state()
    del state["last"]["mismatch"]
    watch.restore(state)
    assert not rounds(watch, 1, [{}] * 3)[1]


def test_an_alarm_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="no alarm 'kl'; there are reward_fall"):
        ReinforceTraining(alarms={"stop": ["kl"]})
