"""``new``: an experiment file to begin with, with every key of its recipe."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
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
    given = {"recipe": recipe, "name": f"my {recipe}", "model": member.starter_model}
    head = yaml.safe_dump({**given, **member.starter}, sort_keys=False, allow_unicode=True)
    keys = list(keys_of(member.Config))
    lines = [f"# {member.title}", *_comment(member.starter_note), *head.splitlines(), ""]
    lines.append("# Every other key, with its default. `trimtab show recipe` has them, too.")
    for key in keys:
        if key.name.partition(".")[0] not in {**given, **member.starter}:
            lines += _commented(key)
    return "\n".join(lines) + "\n"


def _commented(key: Key) -> Iterator[str]:
    """Yield a key as comments: what it means, then the key at its default."""
    _, dot, name = key.name.rpartition(".")
    indent = "  " if dot else ""
    yield from _comment(f"{key.meaning} ({key.values})")
    default = {REQUIRED: "", MAPPING: ""}.get(key.default, key.default)
    yield f"# {indent}{name}: {_flow(default)}".rstrip()


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _flow(default: str) -> str:
    """Return JSON as YAML in one line, texts without quotes where none are needed."""
    if not default:
        return ""
    return yaml.safe_dump(
        json.loads(default), default_flow_style=True, width=10_000, allow_unicode=True
    ).partition("\n")[0]
