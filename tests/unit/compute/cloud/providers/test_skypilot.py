"""What SkyPilot is told and asked; the command is a script here, its own loader is its own."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from trimtab.compute.cloud.errors import RefusedError, UnansweredError, UncertainError
from trimtab.compute.cloud.providers.base import PROVIDERS, Instance, MachineType, Order, Provider
from trimtab.core.errors import ConfigError

ORDER = Order("trimtab-abcdef-123456-6b49d746", "lambda/gpu_1x_a10", "us-east-1", 0.75, 6300.5)
GPU = {
    "cloud": "Lambda",
    "instance_type": "gpu_1x_a10",
    "accelerator_name": "A10",
    "accelerator_count": 1.0,
    "cpu_count": 30.0,
    "device_memory": 24.0,
    "memory": 200.0,
    "price": 0.75,
    "spot_price": None,
    "region": "us-east-1",
}
CLUSTER = {"name": "mine", "status": "UP", "autostop": 1, "to_down": True}


@pytest.fixture
def sky(tmp_path: Path) -> Provider:
    return PROVIDERS.build("skypilot", {"command": [str(tmp_path / "sky")], "cloud": "lambda"})


def _says(folder: Path, out: str, err: str = "", code: int = 0) -> None:
    """Let the command print something, and note its words and task file."""
    (folder / "out").write_text(out)
    path = folder / "sky"
    path.write_text(
        f'#!/bin/sh\necho "$@" >>{folder}/words\ncat {folder}/out\necho "{err}" >&2\n'
        f'for last; do :; done; [ -f "$last" ] && cp "$last" {folder}/task.yaml\nexit {code}\n'
    )
    path.chmod(0o755)


def test_a_task_file_caps_the_price_and_ends_the_machine(sky: Provider, tmp_path: Path) -> None:
    _says(tmp_path, "")
    assert sky.launch(ORDER) == ORDER.tag
    words = (tmp_path / "words").read_text()
    assert words.startswith(f"launch -c {ORDER.tag} --yes --detach-run ")
    task = yaml.safe_load((tmp_path / "task.yaml").read_text())
    assert task["resources"]["max_hourly_cost"] == 0.75
    assert task["resources"]["autostop"] == {"idle_minutes": 1, "down": True, "wait_for": "jobs"}
    assert task["resources"]["infra"] == "lambda/us-east-1"
    assert task["run"] == "sleep 6300\n", "to SkyPilot the machine is busy until its deadline"
    assert task == yaml.safe_load(sky.describe(ORDER).partition("\n\n")[2])


def test_kinds_and_clusters_are_read_after_whatever_is_said_first(
    sky: Provider, tmp_path: Path
) -> None:
    node = {**GPU, "cloud": "Slurm", "instance_type": None, "price": 0.0}
    _says(tmp_path, "[bold]Fetching...\n" + json.dumps({"A10": [GPU, node]}, indent=2))
    kind = MachineType("lambda/gpu_1x_a10", 0.75, 1, "A10", 24.0, 200.0, 30, ("us-east-1",))
    assert sky.types() == [kind]
    stopped = {**CLUSTER, "name": "b", "status": "STOPPED", "autostop": -1}
    _says(tmp_path, json.dumps([CLUSTER, {**CLUSTER, "status": "INIT"}, stopped], indent=2))
    assert sky.instances() == [
        Instance("mine", "mine", "active", "mine", None, True),
        Instance("mine", "mine", "starting", None, None, True),
        Instance("b", "b", "active", "b", None, False),
    ]


def test_what_fails_is_told_from_what_may_have_happened(sky: Provider, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no '.*sky' on this machine"):
        sky.types()
    _says(tmp_path, "", "No capacity", 1)
    with pytest.raises(UncertainError, match="No capacity"):
        sky.launch(ORDER)
    with pytest.raises(UnansweredError, match="`sky status` told nothing: No capacity"):
        sky.instances()
    with pytest.raises(RefusedError, match="No capacity"):
        sky.terminate(["a"])


def test_a_question_that_takes_too_long_has_no_answer_and_an_order_is_in_doubt() -> None:
    command = ["sh", "-c", "exec sleep 9"]
    slow = PROVIDERS.build("skypilot", {"command": command, "timeout_minutes": 0.0005})
    for ask in (slow.instances, slow.types):
        with pytest.raises(UnansweredError, match=r"did not end in 0\.0005 minutes"):
            ask()
    for order in (lambda: slow.launch(ORDER), lambda: slow.terminate(["a"])):
        with pytest.raises(UncertainError, match=r"did not end in 0\.0005 minutes"):
            order()


def test_sky_itself_takes_the_task_file(sky: Provider, tmp_path: Path) -> None:
    found = shutil.which("sky")
    python = None if found is None else Path(found).resolve().parent / "python"
    if python is None or not python.exists():
        pytest.skip("no `sky` with its Python here (pip install skypilot, in its own environment)")
    path = tmp_path / "task.yaml"
    path.write_text(sky.describe(ORDER).partition("\n\n")[2])
    code = (
        "import sys, sky; r = next(iter(sky.Task.from_yaml(sys.argv[1]).resources))\n"
        "print(r.max_hourly_cost, r.autostop_config.down, r.autostop_config.idle_minutes)"
    )
    done = subprocess.run(
        [str(python), "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["0.75", "True", "1"], done.stderr
