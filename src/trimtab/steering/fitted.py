"""What a fit is given, and what it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.spec import Split
from trimtab.core.types import ContrastPair, Rendering, Sample

if TYPE_CHECKING:
    import torch

    from trimtab.engine.engine import Engine


@dataclass(frozen=True)
class Fitted:
    """What a fit made: ``tensors`` go to a safetensors file, ``info`` to ``artifact.json``."""

    tensors: dict[str, torch.Tensor]
    info: dict[str, Any]


@dataclass(frozen=True)
class LabelledPrompt:
    """A sample's prompt, the split it is of, and whether a condition holds for it."""

    sample: Sample
    rendering: Rendering
    split: Split
    holds: bool


@dataclass(frozen=True)
class FitContext:
    """What a fit may use.

    Attributes:
        engine: The subject model.
        pairs: Contrast pairs of the fit split, in a fixed order.
        rendering: How the pairs' questions become prompts.
        seed: Seed of everything random in the fit.
        prompts: For a condition, prompts for which it holds and for which it does not.
        select: Contrast pairs of the select split, if ``Intervention.selects`` asked for them.
        folder: Where large files of the fit go; None is a temporary place.
    """

    engine: Engine
    pairs: Sequence[ContrastPair]
    rendering: Rendering
    seed: int
    prompts: Sequence[LabelledPrompt] = ()
    select: Sequence[ContrastPair] = ()
    folder: Path | None = None
