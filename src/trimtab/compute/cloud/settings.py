"""The file that says who rents machines, and how they are used."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from trimtab.compute.cloud.providers.base import PROVIDERS, MachineType, Provider
from trimtab.compute.ssh.hosts import Host
from trimtab.core.config import read_yaml, validate
from trimtab.core.errors import ConfigError
from trimtab.core.home import home
from trimtab.core.spec import Spec

_Line = Annotated[str, Field(pattern=r"^[^\n\r]*$")]


class Machine(Host):
    """How machines are used; their address is what the provider says.

    Attributes:
        setup: Shell commands, once, when a machine is there: trimtab must be on it after them.
        shutdown: The command that ends the machine from within, at its deadline.
    """

    address: str = "cloud"
    setup: tuple[_Line, ...] = ()
    shutdown: tuple[str, ...] = Field(default=("sudo", "shutdown", "-h", "now"), min_length=1)


class Settings(Spec):
    """One file.

    Attributes:
        provider: Name of the provider, and what it wants.
        machine: How machines are used.
        boot_minutes: How long a machine may take until ssh reaches it; it is ended after that.
        idle_minutes: How long it may be unused; `reap` ends it after that.
        fetch_minutes: How often results are fetched.
    """

    provider: dict[str, Any]
    machine: Machine = Machine()
    boot_minutes: float = Field(default=20.0, gt=0)
    idle_minutes: float = Field(default=30.0, gt=0)
    fetch_minutes: float = Field(default=5.0, gt=0)


def default_file() -> Path:
    """Return the settings that hold where none are named; it need not exist."""
    return home() / "cloud.yaml"


def read_settings(path: Path | None) -> Settings:
    """Return the settings in a file, or the user's own.

    Raises:
        ConfigError: There are none, or they say what they can't.
    """
    path = path or default_file()
    if not path.is_file():
        raise ConfigError(
            f"There are no settings of a cloud: {path} does not exist.",
            hint="docs/cloud.md shows what they say; `--settings FILE` names others.",
        )
    settings = validate(Settings, read_yaml(path), str(path))
    if not isinstance(settings.provider.get("name"), str):
        raise ConfigError(f"{path}: provider.name is missing: {', '.join(PROVIDERS.names())}.")
    build(settings.provider)
    return settings


def build(config: dict[str, Any]) -> Provider[Any]:
    """Return the provider that ``config`` names; raise ConfigError if there is no such one."""
    given = {key: value for key, value in config.items() if key != "name"}
    return PROVIDERS.build(config["name"], given)


def fingerprint(config: dict[str, Any], provider: Provider[Any]) -> str:
    """Return what tells a configuration and its key from every other one, without giving it away.

    Args:
        config: The provider's name and configuration.
        provider: The same, built.

    Raises:
        ConfigError: The environment holds no key.
    """
    said = json.dumps([config, provider.key()], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def machine_types(settings_file: Path | None = None) -> list[MachineType]:
    """Return the kinds of machine that can be rented, with prices and memory, cheapest first.

    Args:
        settings_file: The settings; the user's own if none are given.

    Raises:
        ConfigError: There are no such settings, the key is refused, or a program is not here.
        StoreError: The provider gives no answer.
    """
    return build(read_settings(settings_file).provider).types()
