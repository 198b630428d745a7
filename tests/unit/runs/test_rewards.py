"""Any judge that needs no model rewards, and keys know which."""

import pytest

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.spec import Component
from trimtab.core.types import Message, Sample
from trimtab.judges.number import Number
from trimtab.runs.rewards import require_reward, reward_identity, scores_by
from trimtab.training.reinforce.config import CohortTraining


def sample(target, **metadata):
    turn = Message(role="user", content="?")
    return Sample(id="s", messages=(turn,), target=target, metadata=metadata)


def test_a_judge_scores_as_it_does_in_a_run_and_says_where_it_cannot() -> None:
    right = sample("7")
    answers = [(right, "It is 7."), (right, "8"), (sample(None), "7")]
    assert scores_by(Component(name="number"))(answers) == [1.0, 0.0, None]
    labelled = sample("positive", labels=["negative", "positive"])
    found = scores_by(Component(name="label"))([(labelled, "Positive."), (labelled, "?")])
    assert found == [1.0, 0.0]
    paris = sample("Paris")
    assert scores_by(Component(name="exact"))([(paris, "Paris"), (paris, "Rome")]) == [1.0, 0.0]


@pytest.mark.parametrize("name", ["text_health", "perplexity", "choice", "semantic"])
def test_a_judge_of_models_options_or_damage_rewards_nothing(name) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' can't reward a model that learns"):
        scores_by(Component(name=name))


def test_a_task_without_targets_is_told_before_anything_is_trained() -> None:
    with pytest.raises(ConfigError, match="no sample has a target"):
        require_reward(Component(name="number"), [sample(None)])
    with pytest.raises(ConfigError, match="none of its labels"):
        require_reward(Component(name="label"), [sample("good", labels=["bad"])])


def test_keys_hold_the_judge_and_its_later_versions(monkeypatch) -> None:
    assert content_key(CohortTraining(score="label")) == "5051e95ec1d4f6d8", (
        "keys of older cohorts stay"
    )
    named = CohortTraining(score={"name": "number", "extractor": "strict"})
    assert named.given()["score"] == {"name": "number", "config": {"extractor": "strict"}}
    assert CohortTraining.model_validate(named.given()) == named
    monkeypatch.setattr(Number, "VERSION", Number.FIRST_REWARD)
    assert reward_identity(Component(name="number")) == {}
    monkeypatch.setattr(Number, "VERSION", 3)
    assert reward_identity(Component(name="number")) == {"version": 3}
