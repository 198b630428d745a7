"""A profile says where a Ray cluster is, and what workers ask it for."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from trimtab.compute.resources import Requests

_Word = Annotated[str, Field(pattern=r"^[^\s\"'\\]+$")]


class Profile(Requests):
    """One file; what ``Requests`` has in minutes is nothing to Ray.

    Attributes:
        address: Where the cluster is, ``host:port``; a cluster of this machine alone is started if
            none is given.
        workers: Most workers of one model; as many as there is room for if none are given.
        patience_minutes: How long to wait for a node that has what a worker needs.
    """

    FILE: ClassVar = "ray.yaml"

    address: _Word | None = None
    workers: int | None = Field(default=None, ge=1, le=1000)
    patience_minutes: float = Field(default=1.0, ge=0, le=1440)
