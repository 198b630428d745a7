"""The keys that a configuration takes in YAML: defaults, values and meanings, from its fields."""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trimtab.core.spec import Component, Spec

# Python has two: `int | None`, and what becomes of `Literal[...] | None`.
_UNIONS = (types.UnionType, get_origin(Literal[0] | None))
_KEY = re.compile(r"^    (\w+): ", re.MULTILINE)
REQUIRED, MAPPING = "required", "see below"


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        name: Its name, after those of the mappings that it is within, with dots between them.
        default: As JSON, or ``REQUIRED``; ``MAPPING`` where keys within it follow.
        values: What it may hold, in the words of YAML.
        meaning: What the docstring says of it.
    """

    name: str
    default: str
    values: str
    meaning: str


def keys_of(config: type[BaseModel], above: str = "") -> Iterator[Key]:
    """Yield the keys of a configuration, those within a mapping after it."""
    meanings = _meanings(config)
    for name, field in config.model_fields.items():
        meaning = meanings.get(name, "")
        yield Key(above + name, _default(field), _values(field.annotation), meaning)
        below = _spec_in(field.annotation)
        if below is not None:
            yield from keys_of(below, f"{above}{name}.")


def first_sentence(member: type) -> str:
    """Return what the docstring of a class begins with, without marks of code."""
    text = " ".join((inspect.getdoc(member) or "").partition("\n\n")[0].split())
    return text.replace("``", "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return REQUIRED
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return MAPPING
    return json.dumps(value, ensure_ascii=False, default=_as_written)


def _as_written(value: Any) -> Any:
    """Return what YAML would hold in the place of a value that JSON does not know."""
    if isinstance(value, Component):
        return {"name": value.name, **value.config} if value.config else value.name
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def _values(annotation: Any) -> str:
    """Return what a key may hold, in the words of YAML."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(inside[0])
    if origin is Literal:
        return " | ".join(map(str, inside))
    if origin in _UNIONS:
        return " | ".join(dict.fromkeys(map(_values, inside)))
    if origin in (tuple, list):
        return f"list of {_values(inside[0])}" if inside else "list"
    if origin is dict or annotation is dict:
        return "mapping"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "name or mapping" if issubclass(annotation, Component) else "mapping"
    words = {str: "text", int: "whole number", float: "number", bool: "true | false"}
    return words.get(annotation, "null" if annotation is type(None) else "any")


def _spec_in(annotation: Any) -> type[Spec] | None:
    """Return the mapping with keys of its own that a key may hold, if there is one."""
    if inspect.isclass(annotation) and issubclass(annotation, Spec):
        return annotation
    if get_origin(annotation) in (*_UNIONS, Annotated):
        found = (each for part in get_args(annotation) if (each := _spec_in(part)) is not None)
        return next(found, None)
    return None


def _meanings(config: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings of a configuration say of its keys, the nearest class first."""
    found: dict[str, str] = {}
    for each in config.__mro__:
        if not (inspect.isclass(each) and issubclass(each, BaseModel)):
            continue
        _, _, attributes = (inspect.getdoc(each) or "").partition("Attributes:\n")
        parts = _KEY.split(attributes.partition("\n\n")[0])
        for key, meaning in zip(parts[1::2], parts[2::2], strict=True):
            found.setdefault(key, " ".join(meaning.replace("``", "").split()))
    return found
