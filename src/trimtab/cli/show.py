"""``show``: what a name in YAML stands for, its keys with their defaults, and its file."""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.table import Table
from rich.text import Text

from trimtab.cli.inspect import REGISTRIES
from trimtab.cli.terminal import wide_console
from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.spec import Component, Spec

# Python has two: `int | None`, and what becomes of `Literal[...] | None`.
_UNIONS = (types.UnionType, get_origin(Literal[0] | None))
_KEY = re.compile(r"^    (\w+): ", re.MULTILINE)


def show(kind: str, name: str) -> None:
    """Print the title of a member, its keys with defaults and meaning, and where it is.

    Args:
        kind: A registry, in the singular or the plural.
        name: One of its members.

    Raises:
        ConfigError: There is no such registry or member.
    """
    known = {registry.kind: registry for registry in REGISTRIES.values()} | REGISTRIES
    if kind not in known:
        raise ConfigError(f"There is nothing to show as {kind!r}. {did_you_mean(kind, known)}")
    registry = known[kind]
    member: Any = registry.load(name)
    config: type[BaseModel] | None = getattr(member, "Config", None)
    console = wide_console()
    title = f"{registry.kind} {name}: {_first_sentence(member)}"
    console.print(title)
    if config is not None and config.model_fields:
        table = Table()
        table.add_column("key", no_wrap=True)
        table.add_column("default", overflow="fold")
        table.add_column("values", overflow="fold")
        table.add_column("meaning", overflow="fold", ratio=1)
        for row in _rows(config):
            table.add_row(*map(Text, row))
        console.print(table)
    else:
        console.print("It has no keys.")
    file = registry.files()[name]
    console.print(f"file: {file}", soft_wrap=True)


def _rows(config: type[BaseModel], above: str = "") -> Iterator[tuple[str, str, str, str]]:
    meanings = _meanings(config)
    for key, field in config.model_fields.items():
        meaning = meanings.get(key, "")
        yield above + key, _default(field), _values(field.annotation), meaning
        below = _spec_in(field.annotation)
        if below is not None and not above:
            yield from _rows(below, f"{key}.")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "see below"
    return json.dumps(value, ensure_ascii=False, default=str)


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


def _first_sentence(member: type) -> str:
    text = " ".join((inspect.getdoc(member) or "").partition("\n\n")[0].split())
    return text.replace("``", "")
