"""What workers ask for, by model, profile and limits."""

import pytest
import yaml

from trimtab.compute.resources import Resources
from trimtab.compute.slurm.profile import Profile
from trimtab.core.errors import ConfigError
from trimtab.core.spec import ModelSpec


def _model(name: str, device: str = "cuda", **more: object) -> ModelSpec:
    return ModelSpec.model_validate({"id": name, "device": device, **more})


@pytest.mark.parametrize("size", ["270m", "1b", "4b", "12b", "27b"])
def test_each_gemma_size_has_a_request_of_its_own(size: str) -> None:
    model = _model(f"google/gemma-3-{size}-it", dtype="bfloat16")
    request = Profile().of_models([model])
    assert Profile().is_known(model) and request.gpus == 1
    weights = {"270m": 0.6, "1b": 2, "4b": 8.6, "12b": 25, "27b": 55}[size]
    assert request.memory_gib > 1.5 * weights


def test_a_model_that_embeds_answers_asks_for_little() -> None:
    model = _model("bundled:all-minilm-l6-v2", "cpu")
    assert Profile().is_known(model) and Profile().of_models([model]).memory_gib <= 8


def test_gpus_follow_where_the_plan_runs_a_model() -> None:
    large = "google/gemma-3-27b-it"
    requests = [
        Profile().of_models([model]).gpus
        for model in (_model(large, device_map="auto"), _model(large), _model(large, "cpu"))
    ]
    assert requests == [2, 1, 0]
    assert Profile().of_models([]).gpus == 0


def test_a_stage_asks_for_the_most_of_its_models() -> None:
    small, large = _model("gemma-3-270m"), _model("gemma-3-12b")
    both, one = Profile().of_models([small, large]), Profile().of_models([large])
    assert both == one


def test_a_profile_wins_and_its_limits_hold() -> None:
    data = {"models": {"MINE": {"memory_gib": 9, "gpus": 1}}, "limits": {"minutes": 30}}
    profile = Profile.model_validate(data)
    request = profile.of_models([_model("org/Mine-7b")])
    assert (request.memory_gib, request.minutes, request.time) == (9, 30, "00:30:00")
    with pytest.raises(ConfigError, match="gemma-3-27b-it needs memory_gib = 128"):
        Profile.model_validate({"limits": {"memory_gib": 64}}).of_models([_model("gemma-3-27b-it")])
    assert Resources(minutes=1441).time == "24:01:00"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"partitoin": "gpu"}, "Did you mean 'partition'"),
        ({"partition": "gpu\n#SBATCH --wrap=x"}, "partition"),
        ({"lines": ["mem=3"]}, "must begin with a dash"),
        ({"setup": ["a\nb"]}, "setup"),
    ],
)
def test_a_wrong_profile_is_told(data: dict, says: str, tmp_path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match=says) as error:
        Profile.read(path)
    assert str(path) in str(error.value)
