"""What chat templates find in the environment of transformers: tags, filters and names.

They are made here anew, because transformers offers them behind no public name; that texts are
equal to those of ``apply_chat_template`` is tested.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.utils import Namespace

TODAY = "26 Jul 2024"
"""What templates get that ask for the date, so that a run is the same tomorrow; Llama 3's own."""


class _Generation(Extension):
    """``{% generation %}`` stands around what an assistant says, and changes nothing of it."""

    tags = {"generation"}  # noqa: RUF012  # as jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("said"), [], [], body).set_lineno(line)

    def said(self, caller: Callable[[], str]) -> str:
        """Return what stands between the tags."""
        return caller()


class _Dictionaries:
    """``dict`` without its attributes, which lead out of the sandbox."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, keys: Iterable[Any], value: Any = None) -> dict[Any, Any]:
        """Return a dictionary with equal values."""
        return dict.fromkeys(keys, value)


class _Names(Namespace):
    """``namespace``, with no attribute that begins with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *rest = args  # a template may give an attribute the name "self"
        given = dict(*rest, **kwargs)
        for name in given:
            _refuse_private(name)
        Namespace.__init__(self, given)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        Namespace.__setitem__(self, name, value)


def _refuse_private(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace can't hold {name!r}, which begins with an underscore")


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _raise(message: str) -> None:
    raise TemplateError(message)


EXTENSIONS: tuple[type[Extension], ...] = (_Generation, loopcontrols)
"""Tags beyond those of Jinja."""

FILTERS: Mapping[str, Callable[..., Any]] = {"tojson": _tojson}
"""Filters beyond those of Jinja, or in their place."""

NAMES: Mapping[str, Any] = {
    "raise_exception": _raise,
    "strftime_now": lambda _format: TODAY,
    "dict": _Dictionaries(),
    "namespace": _Names,
}
"""Names beyond those of Jinja, or in their place."""
