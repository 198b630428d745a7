"""``new``: an experiment file to begin with, with every key of its recipe."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trimtab.cli.keys import MAPPING, REQUIRED, Key, keys_of
from trimtab.cli.terminal import wide_console
from trimtab.core.errors import ConfigError
from trimtab.core.files import create_whole
from trimtab.recipes.base import RECIPES

_WIDTH = 96


def write(recipe: str, out: Path | None) -> None:
    """Write a file that plans as it stands; every further key is there as a comment.

    Args:
        recipe: Name of a recipe.
        out: Where to; ``<recipe>.yaml`` if None.

    Raises:
        ConfigError: There is no such recipe, or the file is there already.
        StoreError: The file can't be written.
    """
    text = starter(recipe)
    path = out or Path(f"{recipe}.yaml")
    if not create_whole(path, text.encode()):
        raise ConfigError(f"{path} is there already.", hint="Name another with --out.")
    wide_console().print(f"Wrote {path}. See what it will do: trimtab plan {path}", soft_wrap=True)


def starter(recipe: str) -> str:
    """Return the text of an experiment file."""
    member: Any = RECIPES.load(recipe)
    named = {"recipe": recipe, "name": f"my {recipe}", "model": member.starter_model}
    given, keys = {**named, **member.starter}, list(keys_of(member.Config))
    lines = [f"# {member.title}", *_comment(member.starter_note), *_given(given, keys), ""]
    lines.append("# Every other key, with its default. `trimtab show recipe` has them, too.")
    return "\n".join([*lines, *_others(given, keys)]) + "\n"


def _given(given: Mapping[str, Any], keys: Sequence[Key], above: str = "") -> Iterator[str]:
    """Yield what is given, and within a mapping every other key of it as a comment."""
    indent = "  " * above.count(".")
    for name, value in given.items():
        within = f"{above}{name}."
        if isinstance(value, Mapping) and any(key.name.startswith(within) for key in keys):
            yield f"{indent}{name}:"
            yield from _given(value, keys, within)
            yield from (f"{indent}  {line}" for line in _others(value, keys, within))
        else:
            text = yaml.safe_dump({name: value}, sort_keys=False, allow_unicode=True)
            yield from (f"{indent}{line}" for line in text.splitlines())


def _others(given: Mapping[str, Any], keys: Sequence[Key], above: str = "") -> Iterator[str]:
    """Yield the keys beside those that are given as comments: what they mean, their defaults."""
    for key in keys:
        name = key.name.removeprefix(above)
        if not key.name.startswith(above) or name.partition(".")[0] in given:
            continue
        holds_keys = any(other.name.startswith(f"{key.name}.") for other in keys)
        # a default beside it would stand against the keys below it
        empty = holds_keys or key.default in (REQUIRED, MAPPING)
        default = "" if empty else key.default
        said = f"{key.values}; {key.default} if left out" if holds_keys else key.values
        yield from _comment(f"{key.meaning} ({said.replace('; ' + MAPPING + ' if left out', '')})")
        indent = "  " * name.count(".")
        yield f"# {indent}{name.rpartition('.')[2]}: {_flow(default)}".rstrip()


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _flow(default: str) -> str:
    """Return JSON as YAML in one line, texts without quotes where none are needed."""
    if not default:
        return ""
    return yaml.safe_dump(
        json.loads(default), default_flow_style=True, width=10_000, allow_unicode=True
    ).partition("\n")[0]
