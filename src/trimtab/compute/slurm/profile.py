"""A profile says what a cluster wants: partition, account, options, commands at the start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from trimtab.compute.slurm.resources import Requests
from trimtab.core.config import read_yaml, validate
from trimtab.core.home import home

_Word = Annotated[str, Field(pattern=r"^[^\s\"'\\]+$")]
_Line = Annotated[str, Field(pattern=r"^[^\n\r]*$")]

_DEFAULT_WORKERS = 4


class Profile(Requests):
    """One file.

    Attributes:
        partition: Partition; the cluster's default one if none is given.
        account: Account that is charged.
        qos: Quality of service.
        gres: What a GPU is called, e.g. ``gpu:a100``; of it a job gets as many as it needs.
        workers: Workers of a job array, at most as many as there are units.
        signal_seconds: How long before its time limit a worker is told to end; it must finish its
            row until then.
        lines: Further options of sbatch, e.g. ``--mail-type=END``.
        setup: Shell commands before trimtab is called, e.g. ``module load cuda``.
        command: How trimtab is called, word by word; the Python of this process if none is given.
    """

    partition: _Word | None = None
    account: _Word | None = None
    qos: _Word | None = None
    gres: _Word = "gpu"
    workers: int = Field(default=_DEFAULT_WORKERS, ge=1, le=1000)
    signal_seconds: int = Field(default=90, ge=1, le=3600)
    lines: tuple[_Line, ...] = ()
    setup: tuple[_Line, ...] = ()
    command: tuple[_Line, ...] = (sys.executable, "-m", "trimtab")

    @field_validator("lines")
    @classmethod
    def _check_options(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        for line in lines:
            if not line.startswith("-"):
                raise ValueError(f"{line!r} is no option of sbatch: it must begin with a dash")
        return lines


def default_file() -> Path:
    """Return the profile that holds where none is named; it need not exist."""
    return home() / "slurm.yaml"


def read_profile(path: Path | None) -> Profile:
    """Return a profile; without ``path`` the user's own one, or one in which nothing is said.

    Raises:
        ConfigError: The file is not there, or says what no profile can.
    """
    if path is None and not default_file().is_file():
        return Profile()
    path = path or default_file()
    return validate(Profile, read_yaml(path), str(path))
