"""Models by a short name, ``preset:<name>``: which id, number format and block to steer."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from trimtab.core.config import read_yaml, validate
from trimtab.core.errors import ModelError, did_you_mean
from trimtab.core.spec import ModelSpec, Spec
from trimtab.models.memory import ModelCard

PREFIX = "preset:"
_FILE = Path(__file__).with_name("presets.yaml")


class Preset(Spec):
    """One entry of ``presets.yaml``.

    Attributes:
        model: What the name stands for.
        layer: 0-based block that is steered where an experiment names none; None is half the depth.
        means: Parts of ids and paths, in lower case, that mean this model.
        card: Its numbers, for an estimate without its files.
    """

    model: ModelSpec
    layer: int | None = None
    means: tuple[str, ...]
    card: ModelCard


@cache
def table() -> dict[str, Preset]:
    """Return all presets by name."""
    return {
        name: validate(Preset, found, f"{_FILE.name}, {name}")
        for name, found in read_yaml(_FILE).items()
    }


def expand(spec: ModelSpec) -> ModelSpec:
    """Return what ``preset:<name>`` stands for, under the keys that ``spec`` sets itself.

    Any other id is returned as it is. Raises ModelError for a name that is no preset.
    """
    if not spec.id.startswith(PREFIX):
        return spec
    name = spec.id.removeprefix(PREFIX)
    if name not in table():
        raise ModelError(f"No preset is called {name!r}.", hint=did_you_mean(name, table()))
    own = spec.model_dump(include=spec.model_fields_set - {"id"})
    preset = table()[name].model.model_dump(exclude_unset=True)
    return ModelSpec.model_validate({**preset, **own})


def layer_of(model_id: str, num_layers: int) -> int:
    """Return the block to steer of a model by its id or path: a preset's, else half the depth."""
    name = model_id.lower()
    meant = (p.layer for p in table().values() if any(part in name for part in p.means))
    layer = next(meant, None)
    return num_layers // 2 if layer is None or layer >= num_layers else layer
