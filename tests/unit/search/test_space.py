import optuna
import pytest

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.spec import Component
from trimtab.recipes._space import check_space, read_space
from trimtab.runs.plan.planner import Planner
from trimtab.search.sampling import grid

TASK = Component(name="arithmetic", config={"forms": ["sum"], "steps": 1, "count": 60})

SPACE = {
    "caa": {
        "layer": {"low": 0, "high": 2},
        "strength": {"low": 0.1, "high": 0.4, "log": True, "signed": True},
        "positions": {"choices": ["generated", "all"]},
        "unit": "relative",
    },
    "prompt": {"system": {"choices": ["Be right.", "Be quick."]}},
}


def test_a_trial_sets_the_settings_of_its_method_alone() -> None:
    space = read_space(SPACE)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = []
    for _ in range(60):
        params = space.ask(study.ask())
        method = space.method(params)
        assert {name.partition(".")[0] for name in params} == {"method", method.label}
        seen.append(method.component(params))
    prompts = {c.config["system"] for c in seen if c.name == "prompt"}
    assert prompts == {"Be right.", "Be quick."}
    steered = [c.config for c in seen if c.name == "caa"]
    assert {c["layer"] for c in steered} == {0, 1, 2}
    assert all(isinstance(c["layer"], int) for c in steered)
    assert {c["positions"] for c in steered} == {"generated", "all"}
    assert all(0.1 <= abs(c["strength"]) <= 0.4 for c in steered)
    assert {c["strength"] > 0 for c in steered} == {True, False}
    assert all(c["layers"] == [0, 1, 2] for c in steered), "one fit serves every trial"


def test_parameters_of_records_are_floats_and_mean_the_same() -> None:
    method = read_space({"caa": {"layer": {"low": 3, "high": 9}, "strength": 0.2}}).methods["caa"]
    assert method.component({"caa.layer": 7.0}) == method.component({"caa.layer": 7})
    assert method.component({"caa.layer": 7.0}).config["layer"] == 7


def test_nested_settings_vary_too() -> None:
    given = {"caa": {"layer": 1, "gate": {"when": {"choices": ["a", "b"]}, "kind": "fixed"}}}
    method = read_space(given).methods["caa"]
    made = method.component({"caa.gate.when": '"b"'})
    assert made == Component(
        name="caa", config={"layer": 1, "gate": {"kind": "fixed", "when": "b"}}
    )


def test_a_grid_lists_every_combination_once() -> None:
    table = {
        "caa": {"layer": {"low": 0, "high": 2}, "strength": {"low": -0.5, "high": 0.5, "step": 0.5}}
    }
    space = read_space(table)
    points = grid(space)
    made = [space.method(point).component(point).config for point in points]
    assert sorted((c["layer"], c["strength"]) for c in made) == [
        (layer, strength) for layer in (0, 1, 2) for strength in (-0.5, 0.0, 0.5)
    ]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"caaa": {}}, "caaa"),
        ({"caa": {"layr": 3}}, "caa.layr is no key.*Did you mean 'layer'"),
        (
            {"caa": {"layer": {"low": 5, "high": 3}}},
            "caa.layer is empty: low = 5 is above high = 3",
        ),
        ({"caa": {"layer": {"low": 5, "hihg": 3}}}, "unknown key 'hihg'.*Did you mean 'high'"),
        ({"caa": {"layer": {"low": 5}}}, "caa.layer.high: Field required"),
        ({"caa": {"layer": {"choices": []}}}, "caa.layer.choices must be a list"),
        (
            {"caa": {"layer": 1, "strength": {"low": 0, "high": 1, "log": True}}},
            "logarithmic, which wants a low above 0",
        ),
        ({"caa": {"layer": 1, "strength": {"low": float("inf"), "high": 1}}}, "caa.strength.low"),
    ],
)
def test_a_bad_space_is_one_line(table, says) -> None:
    with pytest.raises(ConfigError, match=says):
        read_space(table)


def test_what_the_model_or_the_intervention_lacks_is_said_with_its_value(tiny_planner: Planner):
    check_space(read_space({"caa": {"layer": {"low": 0, "high": 1}}}), tiny_planner, TASK)
    with pytest.raises(ConfigError, match=r"space: caa.layer = 99: .*layer = 99.*has \d layers"):
        check_space(read_space({"caa": {"layer": {"low": 0, "high": 99}}}), tiny_planner, TASK)
    with pytest.raises(ConfigError, match=r"space: caa\.positions = nowhere"):
        table = {"caa": {"layer": 0, "positions": {"choices": ["all", "nowhere"]}}}
        check_space(read_space(table), tiny_planner, TASK)
    with pytest.raises(DataError, match="at least 2 contrast pairs"):
        one = Component(name="arithmetic", config={**TASK.config, "limit": 1})
        tiny_planner.fit_on = one
        check_space(read_space({"caa": {"layer": 0}}), tiny_planner, TASK)


def test_a_grid_that_can_not_be_listed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"caa\.strength is a range without a step"):
        grid(read_space({"caa": {"layer": 0, "strength": {"low": 0.0, "high": 1.0}}}))
    wide = {"layer": {"low": 0, "high": 29}, "strength": {"low": 0.0, "high": 1.0, "step": 0.01}}
    with pytest.raises(ConfigError, match="the grid has 3,030 points"):
        grid(read_space({"caa": wide}))
