"""Lambda's public cloud, by its HTTP API (docs.lambda.ai/public-cloud/cloud-api)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from trimtab.compute.cloud.api import Api, key_of
from trimtab.compute.cloud.errors import UnansweredError, UncertainError
from trimtab.compute.cloud.providers.base import Instance, MachineType, Order, Provider, State
from trimtab.core.spec import Spec

__all__ = ["Lambda"]

_STATES: dict[str, State] = {
    "booting": "starting",
    "active": "active",
    "unhealthy": "active",
    "terminating": "ending",
    "terminated": "ended",
    "preempted": "ended",
}
_LAUNCH = "/instance-operations/launch"
_GB = re.compile(r"\((\d+) GB\b")


class Config(Spec):
    """What Lambda wants.

    Attributes:
        ssh_key: Name that your public key has there.
        base_url: Address of the API.
        key_env: Environment variable that holds the API key.
        timeout_s: Longest wait for an answer, in seconds.
    """

    ssh_key: str = Field(min_length=1)
    base_url: str = "https://cloud.lambda.ai/api/v1"
    key_env: str = Field(default="LAMBDA_API_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    timeout_s: float = Field(default=60.0, gt=0)


class Lambda(Provider[Config]):
    """Instances are on demand, and charged by the minute until they are terminated."""

    Config = Config
    user = "ubuntu"
    console = "https://cloud.lambda.ai/instances"

    def types(self) -> list[MachineType]:
        """Return the kinds of machine, cheapest first."""
        data = self._api.ask("/instance-types")
        try:
            found = [_machine_type(entry) for entry in data.values()]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnansweredError(f"Lambda's list of types can't be read: {error!r}.") from None
        return sorted(found, key=lambda each: (each.dollars_per_hour, each.name))

    def launch(self, order: Order) -> str:
        """Have one machine started, and return its id."""
        data = self._api.order(_LAUNCH, self._body(order))
        ids = data.get("instance_ids") if isinstance(data, dict) else None
        if not isinstance(ids, list) or len(ids) != 1 or not isinstance(ids[0], str):
            raise UncertainError(f"Lambda launched something else than one instance: {ids!r}.")
        return ids[0]

    def describe(self, order: Order) -> str:
        """Return the request that launches."""
        return f"POST {self.config.base_url}{_LAUNCH}\n{json.dumps(self._body(order), indent=2)}"

    def instances(self) -> list[Instance]:
        """Return every machine of the account that has not ended."""
        data = self._api.ask("/instances")
        try:
            found = [_instance(entry) for entry in data]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnansweredError(f"Lambda's list of instances can't be read: {error!r}.") from None
        return [each for each in found if each.state != "ended"]

    def terminate(self, ids: Sequence[str]) -> None:
        """Ask that machines be ended."""
        self._api.order("/instance-operations/terminate", {"instance_ids": list(ids)})

    def key(self) -> str:
        """Return the key that calls are made with."""
        return key_of(self.config.key_env)

    def _body(self, order: Order) -> dict[str, Any]:
        return {
            "region_name": order.region,
            "instance_type_name": order.type,
            "ssh_key_names": [self.config.ssh_key],
            "quantity": 1,
            "name": order.tag,
        }

    @property
    def _api(self) -> Api:
        config = self.config
        return Api(config.base_url, config.key_env, config.timeout_s, self.clock)


def _machine_type(entry: Mapping[str, Any]) -> MachineType:
    about = entry["instance_type"]
    specs = about["specs"]
    gpus = int(specs.get("gpus", 0))
    name = str(about.get("gpu_description") or "") if gpus else ""
    memory = _GB.search(f"{name} {about.get('description', '')}") if gpus else None
    return MachineType(
        name=str(about["name"]),
        dollars_per_hour=int(about["price_cents_per_hour"]) / 100,
        gpus=gpus,
        gpu=name.partition(" (")[0],
        gpu_memory_gib=None if memory is None else float(memory[1]),
        memory_gib=float(specs["memory_gib"]),
        cpus=int(specs["vcpus"]),
        regions=tuple(str(each["name"]) for each in entry["regions_with_capacity_available"]),
    )


def _instance(entry: Mapping[str, Any]) -> Instance:
    cents = (entry.get("instance_type") or {}).get("price_cents_per_hour")
    return Instance(
        id=str(entry["id"]),
        tag=str(entry.get("name") or ""),
        state=_STATES.get(str(entry["status"]), "active"),  # what nobody knows may be charged
        address=entry.get("ip") or None,
        dollars_per_hour=None if cents is None else int(cents) / 100,
    )
