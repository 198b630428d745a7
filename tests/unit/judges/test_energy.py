import pytest

from trimtab.clients.scripted import ScriptedEnergy
from trimtab.core.errors import ConfigError, JudgeError
from trimtab.core.types import Message, Sample
from trimtab.judges.base import JUDGES, Item


def test_a_text_is_scored_as_an_answer_to_the_bare_question(text_item) -> None:
    judge = JUDGES.build("energy", {})
    asked = []

    def energy(problem: str, text: str) -> float:
        asked.append((problem, text))
        return float(len(text))

    plain = text_item("seven", question="Why?")
    told = Item(
        Sample(
            id="s",
            messages=(Message(role="user", content="Why? Think step by step."),),
            metadata={"question": "Why?"},
        ),
        plain.completion,
    )
    found = judge.verdicts([plain, text_item(None), told], ScriptedEnergy(energy))
    assert asked == [("Why?", "seven")] * 2
    assert [verdict.values["energy"] for verdict in found] == [5.0, None, 5.0]
    assert found[1].error


def test_a_lost_energy_is_an_error_and_not_a_shift(text_item) -> None:
    class Short(ScriptedEnergy):
        def energies(self, pairs, owed=None):
            return list(super().energies(pairs, owed))[:-1]

    items = [text_item("a"), text_item("b")]
    with pytest.raises(JudgeError, match="2 questions were asked, and 1 have results"):
        JUDGES.build("energy", {}).verdicts(items, Short(lambda problem, text: 0.0))
    with pytest.raises(JudgeError, match="no energy model"):
        JUDGES.build("energy", {}).verdicts(items, None)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"kind": "head", "loops": 2}, "loops"),
        ({"kind": "encoder", "layers": [3]}, "layers"),
        ({"kind": "length", "model": {"id": "x"}}, "model"),
        ({"kind": "encoder", "rank": 4}, "rank"),
    ],
)
def test_a_key_of_another_kind_is_refused(config, key) -> None:
    with pytest.raises(ConfigError, match=key):
        JUDGES.build("energy", config)


def test_ablations_share_a_fit_and_have_metrics_of_their_own() -> None:
    plain = JUDGES.build("energy", {"kind": "head"})
    blind = JUDGES.build("energy", {"kind": "head", "ablation": "question_removed"})
    other = JUDGES.build("energy", {"kind": "head", "loss": "listwise"})
    assert plain.needs() == blind.needs() != other.needs()
    assert [j.metrics[0].name for j in (plain, blind)] == ["energy", "energy_question_removed"]
    assert plain.on_model and not JUDGES.build("energy", {}).on_model


def test_a_trained_model_that_is_not_there_is_named(tmp_path) -> None:
    judge = JUDGES.build("energy", {"trained": str(tmp_path)})
    assert judge.needs() == {}
    with pytest.raises(ConfigError, match=r"holds no model\.safetensors"):
        judge.fingerprint  # noqa: B018
