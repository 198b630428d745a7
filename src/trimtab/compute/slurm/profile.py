"""A profile says what a cluster wants: partition, account, options, commands at the start."""

from __future__ import annotations

import sys
from typing import Annotated, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from trimtab.compute.resources import Requests
from trimtab.core.errors import ConfigError
from trimtab.core.secrets import holds_secret

_Word = Annotated[str, Field(pattern=r"^[^\s\"'\\]+$")]
_Line = Annotated[str, Field(pattern=r"^[^\n\r]*$")]

_DEFAULT_WORKERS = 4


class Profile(Requests):
    """One file; what it says is copied into job scripts, so it holds no secret.

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

    FILE: ClassVar = "slurm.yaml"

    partition: _Word | None = None
    account: _Word | None = None
    qos: _Word | None = None
    gres: _Word = "gpu"
    workers: int = Field(default=_DEFAULT_WORKERS, ge=1, le=1000)
    signal_seconds: int = Field(default=90, ge=1, le=3600)
    lines: tuple[_Line, ...] = ()
    setup: tuple[_Line, ...] = ()
    command: tuple[_Line, ...] = (sys.executable, "-m", "trimtab")

    @field_validator("lines", "setup", "command")
    @classmethod
    def _refuse_secrets(cls, lines: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for number, line in enumerate(lines, 1):
            if holds_secret(line):  # no message repeats it
                raise ConfigError(
                    f"Line {number} of `{info.field_name}` holds what looks like a key or a "
                    "password, and would be copied into the run.",
                    hint="Put it into a file that you alone can read, and `source FILE` in "
                    "`setup`.",
                )
        return lines

    @field_validator("lines")
    @classmethod
    def _check_options(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        for line in lines:
            if not line.startswith("-"):
                raise ValueError(f"{line!r} is no option of sbatch: it must begin with a dash")
        return lines
