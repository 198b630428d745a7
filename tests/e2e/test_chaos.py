"""``trimtab chaos``: faults on a tiny experiment, and what is told of a loss that is planted."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import ray_cluster
import slurm_cluster
import yaml
from cli_process import Forked

from trimtab.cli import chaos
from trimtab.compute.chaos import commands
from trimtab.compute.chaos.ways.local import Local
from trimtab.compute.chaos.ways.slurm import own_jobs
from trimtab.core.errors import ConfigError, LossError

LOCAL = chaos.Asked("local")


@pytest.fixture
def small(tmp_path: Path, tiny_model: Path) -> Path:
    """Return the file of an experiment of two seconds."""
    path = tmp_path / "small.yaml"
    config = {
        "recipe": "truthfulqa_steering",
        "name": "small",
        "model": {"id": str(tiny_model), "device": "cpu"},
        "task": {"source": "bundled", "limit": 2, "max_tokens": 8},
        "heldout": {"limit": 2},
        "steering": {"layer": 1, "strengths": [0.5]},
        "controls": {"random_draws": 1},
        "judges": ["text_health"],
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.timeout(300)
def test_kills_lose_nothing_and_a_planted_loss_is_told(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chaos.play(small, tmp_path / "held", LOCAL, "kill", 1, 0, launch=Forked)
    found = json.loads((tmp_path / "held/chaos.json").read_text())
    assert found["faults"]["kill"]["hit"] > 0, "another seed: nothing was hit"
    assert "Nothing was lost" in (tmp_path / "held/chaos.md").read_text()
    # the same again, by a way that loses a row
    monkeypatch.setattr(Local, "start", lambda *_, **__: _Nothing())
    monkeypatch.setattr(Local, "finish", partial(_finish_badly, tmp_path / "held/undisturbed"))
    with pytest.raises(LossError, match="1 of 1 run did not hold"):
        chaos.play(tmp_path / "held/planned", tmp_path / "lost", LOCAL, "kill", 1, 0, launch=Forked)
    found = json.loads((tmp_path / "lost/chaos.json").read_text())
    assert found["faults"]["kill"]["rows_lost"] == 1


class _Nothing:
    pause_s = 0.001

    def runs(self) -> bool:
        return False

    def wait(self, *, disturbed: bool) -> list[str]:
        return []


def _finish_badly(whole: Path, run: Path) -> list[str]:
    shutil.copytree(whole, run, dirs_exist_ok=True)
    segment = min(run.glob("completions/*/*.jsonl"))
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[1:]))
    return []


def test_mistakes_are_told_before_anything_is_started(tmp_path: Path) -> None:
    def never(*_: object) -> commands.Process:
        raise AssertionError("a command was started")

    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    for out, asked, faults, said in (
        ("new", "moon", None, "can't be started on 'moon'"),
        ("new", "local", "kil", "Did you mean 'kill'"),
        ("new", "local", " ", "names none"),
        ("taken", "local", None, "is there already"),
        ("new", "ray", "disk", "can't be played on ray: Ray starts the workers"),
    ):
        with pytest.raises(ConfigError, match=said):
            chaos.play(None, tmp_path / out, chaos.Asked(asked), faults, 1, 0, launch=never)
    assert chaos.choose(None, Local, "local") == (["disk", "double", "kill", "preempt"], {})


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    if absent := slurm_cluster.missing():
        pytest.skip(absent)
    with slurm_cluster.cluster() as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(cluster.conf))
        yield


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_faults_on_slurm_lose_nothing(slurm: None, small: Path, tmp_path: Path) -> None:
    size = {"gpus": 0, "cpus": 1, "memory_gib": 3, "minutes": 20}
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump({"workers": 2, "models": {"t": size}, "without_model": size}))
    others = ["sbatch", "--parsable", "-o/dev/null", "--wrap", "sleep 600"]
    stranger = subprocess.run(others, capture_output=True, text=True, check=True).stdout.strip()
    out = tmp_path / "out"
    chaos.play(small, out, chaos.Asked("slurm", path), None, 1, 0)
    found = json.loads((out / "chaos.json").read_text())
    assert set(found["faults"]) == {"disk", "double", "kill", "preempt"}
    assert own_jobs(out / "planned") == []
    told = subprocess.run(["squeue", "-h", "-j", stranger, "-o", "%T"], capture_output=True)
    assert told.stdout.strip() == b"RUNNING"


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "many-machines.md").read_text()
COMMANDS = [line for line in PAGE.splitlines() if line.startswith("trimtab chaos ")]


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("line", COMMANDS, ids=[line.split("--out ")[1] for line in COMMANDS])
def test_the_commands_of_the_page_lose_nothing(
    line: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if "--on slurm" in line:
        request.getfixturevalue("slurm")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    command = [sys.executable, "-m", *shlex.split(line)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing was lost" in done.stdout


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_faults_on_ray_lose_nothing(small: Path, tmp_path: Path) -> None:
    if absent := ray_cluster.missing():
        pytest.skip(absent)
    with ray_cluster.cluster() as cluster:
        asked = chaos.Asked("ray", address=cluster.address)
        chaos.play(small, tmp_path / "out", asked, None, 1, 0)
    found = json.loads((tmp_path / "out" / "chaos.json").read_text())
    assert set(found["faults"]) == {"double", "kill", "preempt"}
