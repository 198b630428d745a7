"""A vector that acts while an adapter learns: part of the fit, of its key, and of nothing else."""

from pathlib import Path

import pytest
import torch

from trimtab.core.errors import ConfigError, HeldError, TrimtabError
from trimtab.core.keys import content_key
from trimtab.core.needs import Made
from trimtab.core.types import Conversation, Message
from trimtab.interventions.base import INTERVENTIONS
from trimtab.steering.fitted import FitContext, FitData, of_engine
from trimtab.training.sft.config import AdapterTraining
from trimtab.vectors.file import checked
from trimtab.vectors.formats import export

TRAIN = {"steps": 3, "batch": 4, "rank": 2, "learning_rate": 0.01, "keep": "last"}
CAA = {"name": "caa", "layer": 1, "strength": 0.5, "positions": "all"}
ROWS = [
    Conversation(
        id=f"c{i}",
        messages=(
            Message(role="user", content=f"Say {i}"),
            Message(role="assistant", content=f"I say {i * 'ab'}"),
        ),
    )
    for i in range(6)
]


def adapter(**more):
    return INTERVENTIONS.build("adapter", {"train": {**TRAIN, **more}})


def fit(built, context: FitContext):
    need = built.needs()["adapter"]
    made = {}
    for name, wanted in need.inputs.items():
        if isinstance(wanted, Made):
            component = wanted.need.component
            made[name] = INTERVENTIONS.build(component.name, component.config).fit(context)
    given = {"conversations": FitData(ROWS, "fit")}
    fitting = INTERVENTIONS.build("adapter", need.component.config)
    return fitting.fit(FitContext(of_engine(context.engine), 3, given, made=made))["last"]


def test_without_it_keys_are_what_they_were() -> None:
    built = adapter()
    need = built.needs()["adapter"]
    assert set(need.inputs) == {"conversations"}
    was = {"fit": ["adapter", 1, 1, AdapterTraining(**TRAIN)]}
    assert content_key(built.determines(need.component)) == content_key(was)
    assert content_key(built.config) == content_key({"train": {**TRAIN}})
    rewarded = {"reinforce": {"common": {"rounds": 3}}, "run": "control-0"}
    assert content_key(INTERVENTIONS.build("adapter", rewarded).config) == "957a40549e1edf9e"


def test_vector_and_strength_are_in_the_fits_key_and_a_path_is_in_none(tmp_path, context) -> None:
    vectors = checked({1: torch.ones(context.engine.hidden_size)}, {"num_layers": 4}, "test")
    for name in ("a", "b"):
        export(vectors, "native", tmp_path / f"{name}.safetensors")
    file = {"name": "vector", "strength": 0.5, "layers": [1]}
    configs = [
        *({**file, "file": str(tmp_path / f"{name}.safetensors")} for name in ("a", "b")),
        CAA,
        {**CAA, "strength": 0.25},
    ]
    built = [adapter(steer_while_training=config) for config in configs]
    keys = [content_key(one.determines(one.needs()["adapter"].component)) for one in built]
    assert keys[0] == keys[1] and len(set(keys)) == 3
    assert len({content_key(one.config) for one in built}) == 1


def test_it_acts_in_training_and_is_told(context: FitContext) -> None:
    plain = fit(adapter(), context)
    steered = fit(adapter(steer_while_training=CAA), context)
    again = fit(adapter(steer_while_training=CAA), context)
    assert all(torch.equal(steered.tensors[k], again.tensors[k]) for k in steered.tensors)
    assert any(not torch.equal(plain.tensors[k], steered.tensors[k]) for k in plain.tensors)
    (told,) = steered.info["steered_while_training"]
    assert told["layer"] == 1 and told["positions"] == "all" and told["length"] > 0
    assert "steered_while_training" not in plain.info
    losses = [one.info["training"]["losses"][0][1] for one in (plain, steered)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({**CAA, "strength": 0}, "strength 0"),
        ({"name": "prompt", "system": "Be brief."}, "adds no vector"),
        ({"name": "adapter", "source": "nowhere"}, "strength|adds no|nowhere"),
    ],
)
def test_what_adds_no_vector_is_refused_when_planning(given, said: str) -> None:
    with pytest.raises(TrimtabError, match=said):
        adapter(steer_while_training=given)


def test_what_depends_on_the_row_is_refused(context: FitContext) -> None:
    learned = {"name": "mlp", "layer": 1, "strength": 0.5, "mode": "mc", "input": "prompt"}
    small = {"vectors": 2, "size": 4, "training": {"steps": 1, "evaluate_every": 1}}
    with pytest.raises(ConfigError, match="depends on the row"):
        fit(adapter(steer_while_training={**learned, **small}), context)


def test_another_program_cannot_be_told(tmp_path: Path) -> None:
    from trimtab.core.spec import ModelSpec
    from trimtab.training.sft.elsewhere import files_for

    train = AdapterTraining(**TRAIN, steer_while_training=CAA)
    with pytest.raises(ConfigError, match="no setting for"):
        files_for("trl", train, ModelSpec(id="some/model"), ROWS)


def test_a_training_that_another_took_over_writes_nothing(tmp_path, context) -> None:
    def lost() -> None:
        raise HeldError("It was taken over.")

    need = adapter().needs()["adapter"]
    given = {"conversations": FitData(ROWS, "fit")}
    fitting = INTERVENTIONS.build("adapter", need.component.config)
    own = FitContext(of_engine(context.engine), 3, given, folder=tmp_path / "fit", fence=lost)
    with pytest.raises(HeldError):
        fitting.fit(own)
    assert not (tmp_path / "fit").exists()
