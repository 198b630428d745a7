"""Fitted artifacts on disk: safetensors and a JSON file that says where they come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import NonFiniteError, StoreError
from trimtab.core.lazy import lazy
from trimtab.core.records import read_json, write_json
from trimtab.core.seals import check_files, check_name, seal_files, seal_name
from trimtab.steering.fitted import Fitted
from trimtab.vectors.file import write_tensors

if TYPE_CHECKING:
    import safetensors
    import safetensors.torch as st
    import torch
else:
    safetensors = lazy("safetensors")
    st = lazy("safetensors.torch")
    torch = lazy("torch")


def save(folder: Path, fitted: Fitted, provenance: dict[str, Any]) -> None:
    """Write ``fitted``; ``artifact.json`` comes last and makes the artifact complete.

    The header of the safetensors file repeats what a stranger needs to use the vectors: the model,
    the index convention and how they were read.

    Raises:
        NonFiniteError: A tensor holds NaN or infinity; nothing is written.
    """
    for name, tensor in fitted.tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise NonFiniteError(
                f"The fitted tensor {name!r} is not finite, so it was not saved.",
                hint="Run `trimtab doctor` on the model, or fit in float32.",
            )
    about = {**provenance, **fitted.info}
    write_tensors(folder / "tensors.safetensors", fitted.tensors, about)
    seal_all(folder)
    write_json(folder / "artifact.json", about, sealed=True)


def load(folder: Path) -> Fitted:
    """Return a saved artifact; raise StoreError if it is damaged or was changed."""
    check(folder)
    path = folder / "tensors.safetensors"
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is no regular file.", hint=_again(folder))
    try:
        tensors = st.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise StoreError(
            f"The artifact {path} can't be read: {error}.",
            hint=_again(folder),
        ) from None
    return Fitted(tensors, read_json(folder / "artifact.json"))


def seal_all(folder: Path) -> None:
    """Note what the files of an artifact hold, and which artifact it is."""
    seal_files(folder)
    seal_name(folder)


def check(folder: Path) -> None:
    """Raise StoreError if a file of the artifact is gone or holds what no fit wrote there."""
    check_name(folder, _again(folder))
    check_files(folder, _again(folder))


def _again(folder: Path) -> str:
    return f"Restore it, or delete {folder} and run `trimtab resume`: it is fitted again."
