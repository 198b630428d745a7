"""How much of each split an experiment takes."""

from __future__ import annotations

from pydantic import Field

from trimtab.core.spec import Component, Spec, Split


class Limits(Spec):
    """Most samples of each split; null leaves it to the task's own limit."""

    fit: int | None = Field(default=None, ge=1)
    select: int | None = Field(default=None, ge=1)
    test: int | None = Field(default=None, ge=1)

    def of(self, task: Component, split: Split) -> Component:
        """Return ``task`` with the limit of ``split``."""
        limit = getattr(self, split)
        more = {} if limit is None else {"limit": limit}
        return Component(name=task.name, config={**task.config, **more})
