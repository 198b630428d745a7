"""The file that names hosts, and what is said of each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from trimtab.core.config import read_yaml, validate
from trimtab.core.spec import Spec

_Word = Annotated[str, Field(pattern=r"^[^\s'\"\\]+$")]
_Address = Annotated[str, Field(pattern=r"^[^\s'\"\\:-][^\s'\"\\:]*$")]
_Folder = Annotated[str, Field(pattern=r"^[^\n\r:-][^\n\r:]*$")]


class Host(Spec):
    """One host.

    Attributes:
        address: As ssh takes it: a name of its configuration, or ``user@host``.
        port: Port of ssh; that of ssh's configuration if none is given.
        options: Further words for ssh, e.g. ``-i`` and a key file.
        folder: Where copies of runs lie there; beneath the home directory unless it is absolute.
        command: How trimtab is called there, word by word.
        workers: Workers there: a number, or ``auto``.
    """

    address: _Address
    port: int | None = Field(default=None, ge=1, le=65535)
    options: tuple[_Word, ...] = ()
    folder: _Folder = "trimtab-runs"
    command: tuple[str, ...] = Field(default=("trimtab",), min_length=1)
    workers: str = Field(default="auto", pattern=r"^(auto|[1-9][0-9]{0,2})$")


class Hosts(Spec):
    """One file.

    Attributes:
        hosts: The hosts; units are shared out among them.
        fetch_minutes: How often results are fetched.
        patience_minutes: How long a host may be unreachable before the others go on without it.
    """

    hosts: tuple[Host, ...] = Field(min_length=1, max_length=100)
    fetch_minutes: float = Field(default=5.0, gt=0)
    patience_minutes: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _check_twice(self) -> Hosts:
        places = [(host.address, host.port, host.folder) for host in self.hosts]
        if len(set(places)) < len(places):
            raise ValueError("a host is named twice with one folder; give it more `workers`")
        return self


def read_hosts(path: Path) -> Hosts:
    """Return what a file says; raise ConfigError if it is not there, or says what it can't."""
    return validate(Hosts, read_yaml(path), str(path))
