"""What a worker asks a cluster for, by the model that it loads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, field_validator

from trimtab.core.config import read_yaml, validate
from trimtab.core.errors import ConfigError
from trimtab.core.home import home
from trimtab.core.spec import ModelSpec, Spec

_FILE = Path(__file__).with_name("resources.yaml")
_OTHER, _NONE = "other", "none"


class Resources(Spec):
    """A request of one worker.

    Attributes:
        gpus: GPUs.
        cpus: Processor cores.
        memory_gib: Main memory in GiB.
        minutes: Time limit.
    """

    gpus: int = Field(default=0, ge=0)
    cpus: int = Field(default=4, ge=1)
    memory_gib: int = Field(default=16, ge=1)
    minutes: int = Field(default=60, ge=1)

    @property
    def time(self) -> str:
        """The time limit as SLURM writes it."""
        return f"{self.minutes // 60:02d}:{self.minutes % 60:02d}:00"


class Limits(Spec):
    """What no worker may ask for more than; None is no limit.

    Attributes:
        workers: Workers of a job array; fewer are started.
        minutes: Time limit; it is shortened, as a worker that was told to end is started again.
        gpus: GPUs; a model that needs more is refused.
        cpus: Processor cores; fewer are asked for.
        memory_gib: Main memory in GiB; a model that needs more is refused.
    """

    workers: int | None = Field(default=None, ge=1)
    minutes: int | None = Field(default=None, ge=1)
    gpus: int | None = Field(default=None, ge=0)
    cpus: int | None = Field(default=None, ge=1)
    memory_gib: int | None = Field(default=None, ge=1)


class Preset(Resources):
    """One entry of ``resources.yaml``.

    Attributes:
        means: Parts of ids and paths, in lower case, that mean this model.
    """

    means: tuple[str, ...] = ()


@cache
def _presets() -> dict[str, Preset]:
    return {
        name: validate(Preset, entry, f"{_FILE.name}, {name}")
        for name, entry in read_yaml(_FILE).items()
    }


class Requests(Spec):
    """What workers ask for, and what they may not.

    Attributes:
        FILE: The user's own file of a subclass, which need not exist.
        models: What workers ask for, by a part of the model's id, in the place of the presets.
        without_model: The same for workers that load no model, and for checks and report.
        limits: What no worker may ask for more than.
    """

    FILE: ClassVar[str]

    models: dict[str, Resources] = Field(default_factory=dict)
    without_model: Resources | None = None
    limits: Limits = Limits()

    @field_validator("models")
    @classmethod
    def _lower(cls, models: dict[str, Resources]) -> dict[str, Resources]:
        return {name.lower(): request for name, request in models.items()}

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Return what a file says; without one the user's own, or that nothing is said.

        Raises:
            ConfigError: The file is not there, or says what it can't.
        """
        own = home() / cls.FILE
        if path is None and not own.is_file():
            return cls()
        path = path or own
        try:
            return validate(cls, read_yaml(path), str(path))
        except ConfigError as error:
            if str(path) in error.message:
                raise
            # what a field refuses by itself, as a secret that no message may repeat
            raise ConfigError(f"{path}: {error.message}", hint=error.hint) from None

    def is_known(self, model: ModelSpec) -> bool:
        """Return whether an entry means ``model``; otherwise a guess is asked for."""
        return self.given(model) is not None or _preset(model) is not None

    def of_models(self, models: Iterable[ModelSpec]) -> Resources:
        """Return what a worker needs that loads any of ``models``, one at a time; or none.

        Raises:
            ConfigError: A model needs more GPUs or memory than may be asked for.
        """
        limits = self.limits
        requests = {model.id: self._of_model(model) for model in models}
        for name, request in requests.items():
            for what, most in (("gpus", limits.gpus), ("memory_gib", limits.memory_gib)):
                if most is not None and getattr(request, what) > most:
                    raise ConfigError(
                        f"{name} needs {what} = {getattr(request, what)}, and the profile's limit "
                        f"is {most}.",
                        hint="Raise `limits`, or say under `models` what this model needs.",
                    )
        alone = self.without_model or _of_preset(_presets()[_NONE])
        every = list(requests.values()) or [alone]
        return Resources(
            gpus=max(request.gpus for request in every),
            cpus=_at_most(max(request.cpus for request in every), limits.cpus),
            memory_gib=_at_most(max(request.memory_gib for request in every), limits.memory_gib),
            minutes=_at_most(max(request.minutes for request in every), limits.minutes),
        )

    def _of_model(self, model: ModelSpec) -> Resources:
        preset = _preset(model) or _presets()[_OTHER]
        request = self.given(model) or _of_preset(preset)
        if not uses_gpu(model):  # the plan says where a model runs, and is not to be changed
            return request.model_copy(update={"gpus": 0})
        most = request.gpus if model.device_map is not None else 1
        return request.model_copy(update={"gpus": min(request.gpus, most)})

    def given(self, model: ModelSpec) -> Resources | None:
        """Return what ``models`` says of a model; None if it says nothing."""
        name = model.id.lower()
        return next((each for part, each in self.models.items() if part in name), None)


def uses_gpu(model: ModelSpec) -> bool:
    """Return whether the plan lets a model run on a GPU."""
    return model.device not in ("cpu", "mps")


def device_notes(models: Iterable[ModelSpec]) -> Iterator[str]:
    """Yield a line for each model that the plan keeps off the GPUs of other machines."""
    for name, device in {model.id: model.device for model in models if not uses_gpu(model)}.items():
        yield (
            f"the plan runs {name} on {device}, so no GPU is asked for or used; it was planned "
            "where none was seen: `-o model.device=cuda` plans for one"
        )


def _preset(model: ModelSpec) -> Preset | None:
    name = model.id.lower()
    return next((p for p in _presets().values() if any(part in name for part in p.means)), None)


def _of_preset(preset: Preset) -> Resources:
    return Resources.model_validate(preset.model_dump(exclude={"means"}))


def _at_most(value: int, limit: int | None) -> int:
    return value if limit is None else min(value, limit)
