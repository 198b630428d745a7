"""A profile says where a Ray cluster is, and what workers ask it for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from trimtab.compute.slurm.resources import Requests
from trimtab.core.config import read_yaml, validate
from trimtab.core.home import home

_Word = Annotated[str, Field(pattern=r"^[^\s\"'\\]+$")]


class Profile(Requests):
    """One file; what ``Requests`` has in minutes is nothing to Ray.

    Attributes:
        address: Where the cluster is, ``host:port``; a cluster of this machine alone is started if
            none is given.
        workers: Most workers of one model; as many as there is room for if none are given.
        patience_minutes: How long to wait for a node that has what a worker needs.
    """

    address: _Word | None = None
    workers: int | None = Field(default=None, ge=1, le=1000)
    patience_minutes: float = Field(default=1.0, ge=0, le=1440)


def default_file() -> Path:
    """Return the profile that holds where none is named; it need not exist."""
    return home() / "ray.yaml"


def read_profile(path: Path | None) -> Profile:
    """Return a profile; without ``path`` the user's own one, or one in which nothing is said.

    Raises:
        ConfigError: The file is not there, or says what no profile can.
    """
    if path is None and not default_file().is_file():
        return Profile()
    path = path or default_file()
    return validate(Profile, read_yaml(path), str(path))
