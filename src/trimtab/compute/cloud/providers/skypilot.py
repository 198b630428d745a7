"""SkyPilot, by its own command and task files; it is never imported, and brings its own clouds."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from trimtab.compute.cloud.errors import RefusedError, UnansweredError, UncertainError
from trimtab.compute.cloud.providers.base import Instance, MachineType, Order, Provider, State
from trimtab.core.errors import ConfigError
from trimtab.core.secrets import redact
from trimtab.core.spec import Spec

__all__ = ["SkyPilot"]

_STATES: dict[str, State] = {"INIT": "starting", "UP": "active"}
_IDLE_MINUTES = 1


class Config(Spec):
    """What SkyPilot wants.

    Attributes:
        cloud: Cloud whose machines are listed, such as ``lambda``; all that are enabled, if none.
        command: How SkyPilot is called, word by word.
        disk_gib: Size of the disk.
        timeout_minutes: Longest wait for the command; a launch takes some minutes.
    """

    cloud: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]*$")
    command: tuple[str, ...] = Field(default=("sky",), min_length=1)
    disk_gib: int = Field(default=256, ge=30)
    timeout_minutes: float = Field(default=20.0, gt=0)


class SkyPilot(Provider[Config]):
    """Clusters of one machine. They end themselves: autostop with ``down`` is in every task file.

    SkyPilot sees a machine as idle where none of its own jobs run, whatever else does. So the job
    of the task file lasts until the deadline, and the machine is torn down a minute after it.
    """

    Config = Config
    console = "`sky status --refresh` and `sky down NAME`, and the cloud's own page"

    def types(self) -> list[MachineType]:
        """Return the kinds of machine with GPUs, cheapest first; prices are of SkyPilot's lists."""
        infra = [] if self.config.cloud is None else ["--infra", self.config.cloud]
        said = self._json("gpus", "list", "--output", "json", *infra)
        try:
            found = [_machine_type(entry) for entries in said.values() for entry in entries]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnansweredError(f"SkyPilot's list of GPUs can't be read: {error!r}.") from None
        kinds = {each.name: each for each in found if each is not None}
        return sorted(kinds.values(), key=lambda each: (each.dollars_per_hour, each.name))

    def launch(self, order: Order) -> str:
        """Have one machine started, and return its name, by which SkyPilot knows it."""
        with tempfile.TemporaryDirectory(prefix="trimtab-sky-") as folder:
            path = Path(folder) / "task.yaml"
            path.write_text(self.task(order), encoding="utf-8")
            done = self._call("launch", "-c", order.tag, "--yes", "--detach-run", str(path))
        if done.returncode:
            raise UncertainError(f"`sky launch` failed: {_last(done)}")
        return order.tag

    def describe(self, order: Order) -> str:
        """Return the command that launches, and its task file."""
        command = " ".join([*self.config.command, "launch -c", order.tag, "--yes --detach-run"])
        return f"{command} task.yaml\n\n{self.task(order)}"

    def task(self, order: Order) -> str:
        """Return the task file: what it is, when it ends, and a job that lasts until then.

        SkyPilot 0.14 does not hold a kind that is named to ``max_hourly_cost``: what keeps the
        price is that kind and region are those of its own list, which was read just before.
        """
        cloud, _, kind = order.type.partition("/")
        data = {
            "name": order.tag,
            "resources": {
                "infra": f"{cloud}/{order.region}",
                "instance_type": kind,
                "disk_size": self.config.disk_gib,
                "max_hourly_cost": order.dollars_per_hour,
                "use_spot": False,
                "autostop": {"idle_minutes": _IDLE_MINUTES, "down": True, "wait_for": "jobs"},
            },
            "run": f"sleep {max(0, int(order.seconds))}\n",
        }
        return yaml.safe_dump(data, sort_keys=False)

    def instances(self) -> list[Instance]:
        """Return every cluster that SkyPilot knows, asked of the clouds themselves."""
        said = self._json("status", "--refresh", "--output", "json")
        try:
            return [_instance(entry) for entry in said]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnansweredError(f"SkyPilot's status can't be read: {error!r}.") from None

    def terminate(self, ids: Sequence[str]) -> None:
        """Have clusters torn down."""
        done = self._call("down", "--yes", *ids)
        if done.returncode:
            raise RefusedError(f"`sky down` failed: {_last(done)}")

    def _json(self, *words: str) -> Any:
        """Return the JSON that a command ends with, after whatever else it says."""
        try:
            done = self._call(*words)
        except UncertainError as error:  # a question has no effect that could be in doubt
            raise UnansweredError(error.message) from None
        lines = done.stdout.splitlines()
        starts = [number for number, line in enumerate(lines) if line[:1] in ("[", "{")]
        for start in starts if done.returncode == 0 else ():
            try:
                return json.loads("\n".join(lines[start:]))
            except json.JSONDecodeError:
                continue
        raise UnansweredError(f"`sky {words[0]}` told nothing: {_last(done)}")

    def _call(self, *words: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [*self.config.command, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=60 * self.config.timeout_minutes,
                check=False,
            )
        except FileNotFoundError:
            raise ConfigError(
                f"There is no {self.config.command[0]!r} on this machine.",
                hint="Install SkyPilot in an environment of its own, and name it by `command`.",
            ) from None
        except subprocess.TimeoutExpired:
            raise UncertainError(
                f"`sky {words[0]}` did not end in {self.config.timeout_minutes:g} minutes."
            ) from None


def _machine_type(entry: dict[str, Any]) -> MachineType | None:
    """Return a kind of machine; None for what lacks name, price or region, as a cluster's node."""
    price, name, region = entry["price"], entry["instance_type"], entry["region"]
    if not name or not region or not isinstance(price, (int, float)) or not price > 0:
        return None
    number = entry["cpu_count"]
    return MachineType(
        name=f"{entry['cloud'].lower()}/{name}",
        dollars_per_hour=float(price),
        gpus=int(entry["accelerator_count"]),
        gpu=entry["accelerator_name"],
        gpu_memory_gib=entry["device_memory"],
        memory_gib=entry["memory"],
        cpus=None if number is None else int(number),
        regions=(region,),
    )


def _instance(entry: dict[str, Any]) -> Instance:
    state = _STATES.get(entry["status"], "active")  # a stopped one's disk is charged
    return Instance(
        id=entry["name"],
        tag=entry["name"],
        state=state,
        address=entry["name"] if state == "active" else None,
        auto_stop=entry["autostop"] >= 0 and entry["to_down"],
    )


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return redact(lines[-1][:300]) if lines else "it gave no reason"
