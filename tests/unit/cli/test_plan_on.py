"""A plan as a queue, and the hours that calibrations give it; the calibration itself on a toy."""

import json
from pathlib import Path

import pytest
import yaml
from loopback_lambda import KEY, loopback_lambda

from trimtab.cli import calibrate, planning
from trimtab.cli.plan_hours import amounts_of
from trimtab.cli.plan_on import Place, show
from trimtab.core.errors import ConfigError
from trimtab.models.tiny import save_tiny
from trimtab.recipes.base import load_recipe
from trimtab.runs.usage import calibrations
from trimtab.runs.work.units import num_units, units

EXPERIMENT = """
recipe: truthfulqa_steering
name: outlook
model: {{id: {model}, device: cpu}}
task: {{source: bundled, limit: 4, max_tokens: 50}}
heldout: {{limit: 2}}
steering: {{layer: 1, strengths: [0.5]}}
controls: {{random_draws: 0}}
judges: [text_health]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    save_tiny(tmp_path / "tiny", "llama")
    path = tmp_path / "outlook.yaml"
    path.write_text(EXPERIMENT.format(model=tmp_path / "tiny"))
    return path


def test_a_machine_is_measured_and_a_plan_tells_its_hours(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate.calibrate(str(config), None, None, 2)
    (kept,) = calibrations.kept()
    assert kept.device == "cpu" and kept.forward > 0 and kept.generate > 0 and kept.train > 0
    assert {"version", "source"} <= kept.code.keys() and kept.machine["cores"] >= 1
    assert "tokens/s; kept in" in capsys.readouterr().out
    # an hour and a half, whatever the toy is able to do
    run = planning.create(config, (), config.parent / "run")
    written = amounts_of(run).models[kept.identity].written
    assert written == sum(4 * cell.num_samples * 50 for cell in run.plan.cells if cell.sampling)
    slow = {"generate": written / 5400, "forward": 1e12, "train": 1e12}
    calibrations.note(kept.model_copy(update=slow))
    show(load_recipe(config), Place("slurm", price=2.0))
    said = capsys.readouterr().out
    total = len(units(run))
    assert f"on slurm: {total} units ({num_units(run)['fit']} fit" in said
    assert "1.5 h" in said and "3.00" in said and "this one" in said
    assert "fit has ended" in said and "finish" in said
    show(load_recipe(config), Place("ray"))
    assert "1 CPU and 0.7 GiB of memory" in capsys.readouterr().out


def test_a_model_that_nobody_measured_is_judged_by_its_size_or_not_at_all(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(load_recipe(config), Place("local"))
    said = capsys.readouterr().out
    assert "not known of any machine: `trimtab calibrate" in said and "workers: " in said
    with pytest.raises(ConfigError, match="--on 'slrum'"):
        Place("slrum")
    with pytest.raises(ConfigError, match="--price inf"):
        Place("local", price=float("inf"))
    planned = load_recipe(config).plan()
    half = {
        "model": "other", "identity": "o", "device": "cpu", "host": "h", "hardware": "C9",
        "num_parameters": planned.models[0].card.num_parameters // 2, "machine": {}, "code": {},
        "dtype": planned.models[0].spec.dtype, "threads": 2, "time": 1.0, "rows": 1,
        "forward": 1e12, "generate": 1.0, "train": 1e12, "peak_memory_mib": None,
        "other_load": None,
    }  # fmt: skip
    calibrations.note(calibrations.Calibration.model_validate_json(json.dumps(half)))
    show(load_recipe(config), Place("local"))
    assert "other, by size" in capsys.readouterr().out


def test_machines_that_can_be_rented_have_room_prices_and_hours_where_their_gpu_was_measured(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAMBDA_API_KEY", KEY)
    recipe = load_recipe(config)
    planned = recipe.plan().models[0]
    measured = {
        "model": "m", "identity": "o", "device": "cuda", "host": "h", "hardware": "NVIDIA A100",
        "num_parameters": planned.card.num_parameters, "machine": {}, "code": {}, "rows": 1,
        "dtype": planned.spec.dtype, "threads": 2, "time": 1.0, "forward": 1e12, "generate": 0.01,
        "train": 1e12, "peak_memory_mib": None, "other_load": None,
    }  # fmt: skip
    with loopback_lambda() as state:
        provider = {"name": "lambda", "ssh_key": "mine", "base_url": state.url}
        settings = config.parent / "cloud.yaml"
        settings.write_text(yaml.safe_dump({"provider": provider}))
        for hardware, told in (("NVIDIA A100", "not measured"), ("NVIDIA A10", " h ")):
            one = measured | {"hardware": hardware}
            calibrations.note(calibrations.Calibration.model_validate_json(json.dumps(one)))
            show(recipe, Place("cloud", settings))
            said = capsys.readouterr().out
            (line,) = [line for line in said.splitlines() if "gpu_1x_a10" in line]
            assert told in line and f"{state.cents / 100:.2f}" in line
    assert "a worker needs about" in said and KEY not in said
