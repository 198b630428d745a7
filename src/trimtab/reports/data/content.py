"""What is said in numbers, typed: the models that ``summary.json`` is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

from trimtab.core.types import Record


class Content(Record):
    """A part of ``summary.json``: immutable, unknown fields refused.

    A field that was never set is left out of the file; one that was set to None is ``null`` there,
    a number that is missing.
    """

    def to_data(self) -> dict[str, Any]:
        """Return the content as JSON's types."""
        return self.model_dump(mode="json", exclude_unset=True)

    @classmethod
    def pick(cls, data: Mapping[str, Any], **more: Any) -> Self:
        """Return the content with the fields that ``data`` has, leaving the rest of it."""
        return cls.model_validate({k: data[k] for k in cls.model_fields if k in data} | more)

    @classmethod
    def taken(cls, source: object, **more: Any) -> Self:
        """Return the content with ``more`` and the fields that ``source`` has under their names."""
        names = [k for k in cls.model_fields if k not in more and hasattr(source, k)]
        return cls(**{name: getattr(source, name) for name in names}, **more)

    def rounded(self) -> Self:
        """Return a copy as a file holds it: floats of 10 significant digits, None for NaN."""
        return self.model_validate(_rounded(self.to_data()))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
