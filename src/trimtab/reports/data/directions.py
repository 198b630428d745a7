"""A direction that states are projected on, and where the answers that it was made of lie on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.reports.data.content import Content


class Direction(Content):
    """A vector.

    Attributes:
        layer: 0-based block whose states are read.
        vector_norm: Length of the vector as fitted; None of one from a file.
        positive: Mean projection of the positive answers of its contrast pairs, read by the base.
        negative: The same of the negative ones.
        population_cosine: See ``Reliability`` of the section ``vectors``.
    """

    layer: int
    vector_norm: float | None
    positive: float | None
    negative: float | None
    population_cosine: float | None

    def share(self, value: float | None) -> float | None:
        """Return where a projection lies between the negative (0) and positive (1) answers."""
        if value is None or self.positive is None or self.negative is None:
            return None
        between = self.positive - self.negative
        return None if between == 0 else (value - self.negative) / between


def about_direction(info: Mapping[str, Any] | None, layer: int) -> dict[str, Any]:
    """Return the fields of a direction, as the artifact of its fit tells them; None is a file."""
    fitted: Mapping[str, Any] = ({} if info is None else info["layers"]).get(str(layer), {})
    ends = fitted.get("projections", {})
    return {
        "layer": layer,
        "vector_norm": fitted.get("vector_norm"),
        "positive": ends.get("positive"),
        "negative": ends.get("negative"),
        "population_cosine": fitted.get("reliability", {}).get("population_cosine"),
    }
