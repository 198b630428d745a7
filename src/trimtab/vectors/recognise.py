"""Which format a vector file has, by what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from trimtab.vectors._bounds import require_file
from trimtab.vectors._torch_files import read_pickle


class Recognised(NamedTuple):
    """A format, and another one whose files look the same."""

    name: str
    alike: str | None = None


def recognise(path: Path) -> Recognised:
    """Return the format of a file.

    A tensor with several rows, from elsewhere, may be of ``hotwire`` or of ``persona``.

    Raises:
        DataError: It is missing, or is of none.
    """
    require_file(path)
    with path.open("rb") as file:
        head = file.read(64)
    if head[:4] == b"GGUF":
        return Recognised("gguf")
    if head[8:9] == b"{" and head[4:8] == bytes(4):  # a header's length below 4 GiB, and JSON
        return Recognised("native")
    if head.lstrip()[:1] == b"{":
        return Recognised("svec")
    stored, about = read_pickle(path)
    said = about.get("format")
    if said in ("lm-eval", "hotwire", "persona"):
        return Recognised(said)
    values = list(stored.values()) if isinstance(stored, dict) else []
    if values and all(isinstance(value, dict) for value in values):
        return Recognised("lm-eval")
    if isinstance(stored, torch.Tensor) and stored.ndim == 2 and len(stored) > 1:
        return Recognised("hotwire", "persona")
    return Recognised("hotwire")
