"""Weights that are NaN or infinite: which, and whether the files or the number format made them so.

A number of the files that is beyond a format's range becomes infinite when it is read: float16 ends
at 65504, where bfloat16 and float32 go on. So infinities of a model in float16 are compared with
the file before the checkpoint is called damaged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from safetensors import safe_open

from trimtab.models.load import LoadedModel, model_dir

_SHOWN = 3


@dataclass(frozen=True)
class Blame:
    """What is wrong with weights, and what to do."""

    sentence: str
    hint: str


def blame_weights(loaded: LoadedModel, within: str) -> Blame | None:
    """Return what is wrong with weights of the module ``within`` or, if nothing is, with any.

    An embedding that no token of a row takes may still be the row of a tied head.
    """
    bad = list(_bad(loaded, within)) or list(_bad(loaded, ""))
    if not bad:
        return None
    names = ", ".join(bad[:_SHOWN]) + (", ..." if len(bad) > _SHOWN else "")
    if all(_overflowed(loaded, name) for name in bad[:_SHOWN]):
        kind = str(loaded.dtype).removeprefix("torch.")
        most = torch.finfo(loaded.dtype).max
        return Blame(
            f"The weights {names} are infinite in {kind}, whose largest number is {most:g}; in the "
            "files they are finite.",
            "Use `dtype: bfloat16` or `dtype: float32`.",
        )
    return Blame(
        f"The weights {names} hold NaN or infinity.",
        "The checkpoint is damaged: download or convert it again.",
    )


def _bad(loaded: LoadedModel, within: str) -> Iterator[str]:
    for name, parameter in loaded.model.named_parameters():
        # weights that are kept elsewhere between forwards can't be looked at
        if not name.startswith(f"{within}." if within else "") or parameter.is_meta:
            continue
        if not bool(torch.isfinite(parameter).all()):
            yield name


def _overflowed(loaded: LoadedModel, name: str) -> bool:
    """Whether a weight is infinite here and finite in the files."""
    parameter = loaded.model.get_parameter(name)
    if parameter.dtype != torch.float16 or bool(parameter.isnan().any()):
        return False
    for path in sorted(model_dir(loaded.resolved.spec).glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118  # it is no mapping
                if key == name or key.endswith(f".{name}") or name.endswith(f".{key}"):
                    return bool(torch.isfinite(file.get_tensor(key)).all())
    return True  # under another name there; infinite and never NaN is what a cast makes
