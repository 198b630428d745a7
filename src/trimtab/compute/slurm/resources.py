"""What a worker asks SLURM for, by the model that it loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from pydantic import Field

from trimtab.core.config import read_yaml, validate
from trimtab.core.errors import ConfigError
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


def is_known(model: ModelSpec, given: Mapping[str, Resources]) -> bool:
    """Return whether an entry means ``model``; otherwise a guess is asked for."""
    return _given(model, given) is not None or _preset(model) is not None


def of_models(
    models: Iterable[ModelSpec], given: Mapping[str, Resources], limits: Limits
) -> Resources:
    """Return what a worker needs that loads any of ``models``, one at a time.

    Args:
        models: The models; of none at all, what a worker without a model needs.
        given: Requests by parts of ids, in lower case; they hold over the presets.
        limits: What may be asked for.

    Raises:
        ConfigError: A model needs more GPUs or memory than may be asked for.
    """
    requests = {model.id: _of_model(model, given) for model in models}
    for name, request in requests.items():
        for what, most in (("gpus", limits.gpus), ("memory_gib", limits.memory_gib)):
            if most is not None and getattr(request, what) > most:
                raise ConfigError(
                    f"{name} needs {what} = {getattr(request, what)}, and the profile's limit is "
                    f"{most}.",
                    hint="Raise `limits`, or say under `models` what this model needs.",
                )
    every = list(requests.values()) or [_of_preset(_presets()[_NONE])]
    return Resources(
        gpus=max(request.gpus for request in every),
        cpus=_at_most(max(request.cpus for request in every), limits.cpus),
        memory_gib=_at_most(max(request.memory_gib for request in every), limits.memory_gib),
        minutes=_at_most(max(request.minutes for request in every), limits.minutes),
    )


def _of_model(model: ModelSpec, given: Mapping[str, Resources]) -> Resources:
    request = _given(model, given)
    if request is None:
        request = _of_preset(_preset(model) or _presets()[_OTHER])
    if model.device != "cuda":  # the plan says where a model runs, and is not to be changed
        return request.model_copy(update={"gpus": 0})
    return request if model.device_map is not None else request.model_copy(update={"gpus": 1})


def _given(model: ModelSpec, given: Mapping[str, Resources]) -> Resources | None:
    return next((each for part, each in given.items() if part in model.id.lower()), None)


def _preset(model: ModelSpec) -> Preset | None:
    name = model.id.lower()
    return next((p for p in _presets().values() if any(part in name for part in p.means)), None)


def _of_preset(preset: Preset) -> Resources:
    return Resources.model_validate(preset.model_dump(exclude={"means"}))


def _at_most(value: int, limit: int | None) -> int:
    return value if limit is None else min(value, limit)
