"""YAML, read within bounds: no key twice, no bombs of aliases, no nesting without end.

PyYAML's safe loader takes the last of two equal keys, follows aliases as often as a file repeats
them and ends in a traceback on deep nesting or integers of more than 4,300 digits.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import yaml

from trimtab.core.characters import lone_surrogate
from trimtab.core.errors import ConfigError

MAX_BYTES = 1_000_000
_MAX_BITS = 14_000
MAX_DEPTH = 50
MAX_NODES = 100_000
"""Keys and values of a file, an alias counting as much as what it stands for."""


class _Loader(yaml.SafeLoader):
    """The safe loader, which refuses two equal keys in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping of ``node``; raise ConstructorError where it has a key twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            # "<<" merges a mapping, whose keys may be given again
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if key.tag != "tag:yaml.org,2002:merge" and name is not None:
                if name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {name!r} occurs twice", key.start_mark
                    )
                seen.add(name)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, where: str) -> Any:
    """Return the value of a YAML text.

    Args:
        text: The text.
        where: What names it in messages; a line is added where one is known.

    Raises:
        ConfigError: It is malformed, gives a key twice, or exceeds a bound.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{where} has {len(text):,} characters; the most are {MAX_BYTES:,}.")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node, where)
        value = loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or "not valid YAML").splitlines()[0]
        raise ConfigError(f"{where}{line}: {problem}.") from None
    except RecursionError:
        raise ConfigError(f"{where}: nested more than {MAX_DEPTH} levels deep.") from None
    except (ValueError, OverflowError) as error:
        shown = "a number of more than 4,300 digits" if "4300" in str(error) else str(error)
        raise ConfigError(f"{where}: holds a value that can't be read ({shown}).") from None
    if found := _unusable(value):
        raise ConfigError(f"{where}: holds {found}.")
    return value


def _unusable(value: Any) -> str | None:
    """Return what no key and no file could hold, in words; None if there is no such thing."""
    if half := lone_surrogate(value):
        return f"\\u{ord(half):04x}, half of a character"
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return f"the number {item}, which is not finite"
        if isinstance(item, int) and item.bit_length() > _MAX_BITS:
            return "a number of more than 4,300 digits"
        if isinstance(item, dict):
            pending += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple, set)):
            pending += item
    return None


def _check_size(root: yaml.Node, where: str) -> None:
    """Refuse a document that is too deep, too large once aliases are followed, or holds itself."""
    sizes: dict[int, int] = {}
    inside: set[int] = set()

    def size(node: yaml.Node, depth: int) -> int:
        line = f"{where} line {node.start_mark.line + 1}"
        if depth > MAX_DEPTH:
            raise ConfigError(f"{line}: nested more than {MAX_DEPTH} levels deep.")
        if id(node) in inside:
            raise ConfigError(f"{line}: an alias stands within what it stands for.")
        if id(node) not in sizes:
            inside.add(id(node))
            sizes[id(node)] = 1 + sum(size(child, depth + 1) for child in _children(node))
            inside.discard(id(node))
        if sizes[id(node)] > MAX_NODES:
            raise ConfigError(
                f"{line}: more than {MAX_NODES:,} keys and values, once aliases are followed."
            )
        return sizes[id(node)]

    size(root, 0)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
