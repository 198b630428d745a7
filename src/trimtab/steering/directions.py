"""Which direction states are projected on: a fit on contrast pairs, or a file of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import ConfigError
from trimtab.core.keys import file_sha256
from trimtab.core.needs import Need, Pairs
from trimtab.core.spec import Component, Spec
from trimtab.steering.additive import vector_at
from trimtab.steering.estimators import Estimator
from trimtab.steering.fitted import Fitted
from trimtab.steering.pairs import Read
from trimtab.vectors.file import read, read_header

if TYPE_CHECKING:
    import torch


class DirectionConfig(Spec):
    """Where a direction comes from.

    Attributes:
        file: A file of vectors, see ``trimtab vectors import``, in the place of a fit; no part of
            a key, which holds its content.
        task: Task whose contrast pairs the vector is made of; null is the one that the recipe fits
            on.
        read: Which tokens of the pairs' answers are read, see the intervention ``caa``.
        estimator: How the direction is made of them, see the intervention ``caa``.
    """

    file: str | None = None
    task: Component | None = None
    read: Read = "answer_mean"
    estimator: Estimator = "mean_difference"

    def need(self, layer: int) -> Need | None:
        """Return the fit of the vector, which a condition ``caa`` on the same pairs shares.

        None is none: it is read from a file.
        """
        if self.file is not None:
            return None
        made: dict[str, Any] = {"layer": layer, "layers": [layer], "read": self.read}
        if self.estimator != "mean_difference":
            made["estimator"] = self.estimator
        return Need(Component(name="caa", config=made), {"pairs": Pairs("fit", self.task)})

    def content(self, owner: str) -> str | None:
        """Return the SHA-256 of the file, where there is one; raise ConfigError if it is gone."""
        if self.file is None:
            return None
        path = Path(self.file)
        if not path.is_file():
            raise ConfigError(f"{owner}: there is no file {self.file!r}.")
        return file_sha256(path)

    def require_block(self, layer: int, owner: str) -> None:
        """Raise ConfigError if there is a file, and it holds no vector of block ``layer``."""
        if self.file is None:
            return
        blocks = read_header(Path(self.file)).blocks
        if layer not in blocks:
            raise ConfigError(
                f"{owner}: {self.file} holds no vector of block {layer}; it holds those of "
                f"{sorted(blocks)}."
            )

    def vector(self, layer: int, fitted: Fitted | None, owner: str) -> torch.Tensor:
        """Return the vector [H] of block ``layer``, of the fit or of the file.

        Raises:
            ConfigError: The file holds none of this block.
        """
        if self.file is None:
            assert fitted is not None
            return vector_at(fitted, layer)
        self.require_block(layer, owner)
        return read(Path(self.file)).directions[layer]
