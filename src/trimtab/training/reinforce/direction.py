"""The direction that the states of grades are projected on while a cohort learns. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import NonNegativeInt

from trimtab.core.errors import ConfigError, DataError
from trimtab.steering.directions import DirectionConfig
from trimtab.steering.fitted import Fitted
from trimtab.steering.projections import Projector

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine

_OWNER = "training.direction"


class GradeDirection(DirectionConfig):
    """Onto which direction, see ``DirectionConfig``.

    Attributes:
        layer: 0-based block whose states are read; null is what the recipe takes: the preset of the
            model, else half its depth.
        sha256: What the file must have; planning fills it in.
    """

    layer: NonNegativeInt | None = None
    sha256: str | None = None

    @property
    def block(self) -> int:
        """The block; raise ConfigError if none is named."""
        if self.layer is None:
            raise ConfigError(
                f"{_OWNER} names no layer, and here nobody chooses one.", hint="Give it a `layer`."
            )
        return self.layer

    @property
    def as_hashed(self) -> GradeDirection:
        """What keys hold: content in the place of a path."""
        return self.model_copy(update={"file": None})

    def with_content(self) -> GradeDirection:
        """Return it with the hash of its file, where it has one.

        Raises:
            ConfigError: The file is gone, or holds no vector of the block; or no block is named.
            DataError: It is no file of vectors.
        """
        content = self.content(_OWNER)
        self.require_block(self.block, _OWNER)
        return self.model_copy(update={"sha256": content})

    def projector(self, engine: Engine, fitted: Fitted | None) -> Projector:
        """Return what projects on it; ``fitted`` is what its need made.

        Raises:
            ConfigError: The vector is zero or of another model.
            DataError: The file changed since planning.
        """
        if self.sha256 not in (None, self.content(_OWNER)):
            raise DataError(
                f"{self.file} is not what this run was planned with: its SHA-256 is another.",
                hint="Restore it, or start a new run.",
            )
        return Projector(engine, self.block, self.vector(self.block, fitted, _OWNER))
