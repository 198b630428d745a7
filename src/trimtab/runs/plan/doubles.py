"""What would stand twice in a plan, under one name or two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from trimtab.core.errors import ConfigError
from trimtab.core.plan import Cell
from trimtab.models.load import ResolvedModel


def refuse_doubles(what: str, names: Sequence[str]) -> None:
    """Raise ConfigError for a name that occurs twice."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ConfigError(
            f"The {what} {twice[0]} occurs twice in the plan.", hint="List each thing once."
        )


def refuse_second_names(cells: Sequence[Cell]) -> None:
    """Refuse the same questions under two names: what looks like two findings would be one."""
    first: dict[str, Cell] = {}
    for cell in cells:
        other = first.setdefault(cell.key, cell)
        if other.measure != cell.measure:
            raise ConfigError(
                f"{other.measure!r} and {cell.measure!r} ask the same questions in the same way.",
                hint="Give each a file of its own, or leave one out.",
            )


def refuse_second_model(model: ResolvedModel, others: Sequence[ResolvedModel]) -> None:
    """Raise ConfigError if a model is one of the others under another name: they share rows."""
    for other in others:
        if (other.identity, other.spec.dtype) == (model.identity, model.spec.dtype):
            raise ConfigError(
                f"models: {other.spec.id!r} and {model.spec.id!r} are one model, file by file.",
                hint="Leave one of them out.",
            )
