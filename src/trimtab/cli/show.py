"""``show``: what a name in YAML stands for, its keys with their defaults, and its file."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from rich.table import Table
from rich.text import Text

from trimtab.cli.inspect import REGISTRIES
from trimtab.cli.keys import first_sentence, keys_of
from trimtab.cli.terminal import wide_console
from trimtab.core.errors import ConfigError, did_you_mean


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
    title = f"{registry.kind} {name}: {first_sentence(member)}"
    console.print(title)
    if config is not None and config.model_fields:
        table = Table()
        table.add_column("key", no_wrap=True)
        table.add_column("default", overflow="fold")
        table.add_column("values", overflow="fold")
        table.add_column("meaning", overflow="fold", ratio=1)
        for key in keys_of(config):
            table.add_row(*map(Text, (key.name, key.default, key.values, key.meaning)))
        console.print(table)
    else:
        console.print("It has no keys.")
    file = registry.files()[name]
    console.print(f"file: {file}", soft_wrap=True)
