"""The option ``gate``: what it needs fitted, and which edits it stands before."""

import pytest
import torch

from trimtab.core.errors import ConfigError
from trimtab.core.needs import Need, Prompts
from trimtab.core.spec import Component
from trimtab.interventions.base import INTERVENTIONS
from trimtab.steering.fitted import Fitted

OPEN, CLOSED = {"name": "truthfulqa"}, {"name": "heldout", "opening_words": 5}
GATE = {"open_on": OPEN, "closed_on": CLOSED, "layers": [2, 0, 2]}
AT = {"layer": 1, "strength": 0.5}
CONDITION = Fitted(
    {"gate.direction": torch.tensor([1.0, 2.0])},
    {"layer": 2, "threshold": 0.25, "above": False},
)
VECTOR = Fitted(
    {"l1.direction": torch.tensor([3.0, 4.0]), "l1.residual_norm": torch.tensor(10.0)}, {}
)


def need(**gate: object) -> Need:
    return INTERVENTIONS.build("caa", {**AT, "gate": {**GATE, **gate}}).needs()["gate"]


def test_a_gate_needs_the_prompts_of_both_tasks_and_both_splits() -> None:
    holds, fails = Component.model_validate(OPEN), Component.model_validate(CLOSED)
    assert need().component.name == "condition" and need().component.config["layers"] == [0, 2]
    assert need().inputs == {
        "holds_fit": Prompts("fit", holds, "holds"),
        "holds_select": Prompts("select", holds, "holds"),
        "fails_fit": Prompts("fit", fails, "fails"),
        "fails_select": Prompts("select", fails, "fails"),
    }


def test_how_a_gate_is_applied_changes_no_fit_and_how_it_is_read_does() -> None:
    assert need(width=0.1, above=True) == need()
    assert need(layers=[2], threshold=0.5) == need(layers=[2])
    assert need(read="last") != need() != need(similarity="cosine")
    assert need(open_on=CLOSED, closed_on=OPEN) != need()


@pytest.mark.parametrize("name", ["caa", "bank", "random", "mlp", "iti"])
def test_every_intervention_with_edits_shares_its_vector_with_the_ungated_one(name) -> None:
    config = {
        "bank": AT,
        "caa": AT,
        "iti": {"heads": 3},
        "mlp": {**AT, "mode": "mc"},
        "random": {**AT, "like": {"name": "caa", **AT}},
    }[name]
    plain = INTERVENTIONS.build(name, config).needs()
    gated = INTERVENTIONS.build(name, {**config, "gate": GATE}).needs()
    assert gated == {**plain, "gate": need()}


def test_edits_stand_behind_the_fitted_gate_and_settings_overrule_it() -> None:
    fitted = {"vector": VECTOR, "gate": CONDITION}
    (edit,) = INTERVENTIONS.build("caa", {**AT, "gate": GATE}).treat(fitted).edits
    gate = edit.gate
    assert (gate.layer, gate.threshold, gate.above, gate.width) == (2, 0.25, False, 0.0)
    assert (gate.read, gate.similarity) == ("mean", "projected")
    assert torch.equal(gate.vector, CONDITION.tensors["gate.direction"])
    (ungated,) = INTERVENTIONS.build("caa", AT).treat({"vector": VECTOR}).edits
    assert ungated.gate is None and edit.strength == ungated.strength
    chosen = {"layers": [2], "threshold": 0.0, "above": True, "width": 0.5, "read": "last"}
    overruled = INTERVENTIONS.build("caa", {**AT, "gate": {**GATE, **chosen}})
    gate = overruled.treat(fitted).edits[0].gate
    assert (gate.threshold, gate.above, gate.width, gate.read) == (0.0, True, 0.5, "last")


def test_a_threshold_without_its_block_and_a_condition_alone_are_refused() -> None:
    with pytest.raises(ConfigError, match="name it in `layers`"):
        need(threshold=0.5)
    with pytest.raises(ConfigError, match="changes nothing by itself"):
        INTERVENTIONS.build("condition", {"open_on": OPEN, "closed_on": CLOSED}).needs()
