"""Jinja templates of strangers, rendered with bounds on steps, processor time and sizes.

Compiled code reports before each statement and for each item that a loop looks at; operators, calls
and filters are asked for no more than they may make. Calls whose time grows with the sizes of what
they are given are made here while those are small. All others, and those of which nobody knows, are
made in a process of its own, see ``models.render_apart``, which the system ends when it is late.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, wraps
from pathlib import Path
from types import BuiltinMethodType, GeneratorType
from typing import Any

from jinja2 import Environment, Template, TemplateError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import TemplateRuntimeError
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment

from trimtab.models import chat_jinja

MAX_SOURCE = 200_000
_MAX_STEPS = 1_000_000
_MAX_SECONDS = 1.0
_MAX_SIZE = 10_000_000
_MAX_WORK = 100_000_000
"""Largest product of what something is called on and what it is given, in this process."""
_OF_A_PART = 20
"""What a value within another counts for, beside its characters."""
_MAX_BITS = 10_000
_APART_S = 10.0

_NUMBER = re.compile(r"[0-9]+|\*")
_PERCENT = re.compile(r"%[^a-zA-Z%]*")
_BRACES = re.compile(r"\{[^{}]*\}")
_NESTED_FIELD = re.compile(r"\{[^{}]*\{")

# Whose time and result are at most the size of what they are called on times the sizes of what
# they are given.
_METHODS = re.compile(
    "capitalize|casefold|center|copy|count|endswith|find|format|format_map|get|index|isalnum"
    "|isalpha|isascii|isdecimal|isdigit|islower|isnumeric|isspace|istitle|isupper|items|join|keys"
    "|ljust|lower|lstrip|partition|removeprefix|removesuffix|replace|rfind|rindex|rjust|rpartition"
    "|rsplit|rstrip|split|splitlines|startswith|strip|swapcase|title|upper|values|zfill"
)
_FILTERS = re.compile(
    "abs|attr|batch|capitalize|center|count|d|default|dictsort|e|escape|first|float|format|indent"
    "|int|items|join|last|length|list|lower|map|max|min|reject|rejectattr|replace|reverse|round"
    "|safe|select|selectattr|slice|sort|string|title|tojson|trim|unique|upper"
)

# Those that go through all that a generator yields; what it yields is counted first.
_WHOLE = re.compile("batch|groupby|join|list|max|min|reverse|slice|sort|sum|unique")
# What compiled code passes along with a call.
_OF_CALLS = ("_loop_vars", "_block_vars", "caller")

FAILURES = (
    TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    LookupError,
    MemoryError,
    NameError,
    RuntimeError,
    StopIteration,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What a template may raise: it is a program, and not only its own errors come out of it."""


class MaybeSlow(Exception):
    """A template calls what may take long, which is not for this process."""


def render(source: str, values: Mapping[str, Any]) -> str:
    """Return the text of a template; raise one of ``FAILURES`` where it has none."""
    try:
        return render_here(source, values)
    except MaybeSlow:
        return _render_apart(source, values)


def render_here(source: str, values: Mapping[str, Any], *, anything: bool = False) -> str:
    """Return the text of a template, made in this process.

    Args:
        source: The template.
        values: What it is given.
        anything: Whether it may make calls that take long.

    Raises:
        MaybeSlow: It makes such a call, and may not.
        TemplateError: And the others of ``FAILURES``: it has no text.
    """
    template = _compiled(source, anything)
    environment = template.environment
    assert isinstance(environment, _Bounded)
    environment.start()
    return template.render(**values)


def _render_apart(source: str, values: Mapping[str, Any]) -> str:
    package = str(Path(__file__).parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "trimtab.models.render_apart"],
            input=json.dumps([source, values], default=str).encode("ascii"),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            timeout=_APART_S,
            check=False,
        )
        said: dict[str, str] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):  # or the system has ended it
        raise TemplateRuntimeError("a call in it takes too long or makes too much") from None
    except OSError as error:
        raise TemplateRuntimeError(f"no process can be had for a call in it ({error})") from None
    if "error" in said:
        raise TemplateRuntimeError(said["error"])
    return said["text"]


class _Reporting(CodeGenerator):
    """Writes code that reports before each statement, and measures what it puts together."""

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        super().blockvisit((), frame)
        for node in nodes:
            self.writeline("environment.step()")
            super().blockvisit((node,), frame)

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        if node.test is not None:  # an item that is left out comes to no statement
            steps = nodes.EnvironmentAttribute("step")
            called = nodes.Call(steps, [], [], None, None).set_lineno(node.lineno)
            node.test = nodes.And(called, node.test).set_lineno(node.lineno)
        super().visit_For(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self.write("environment.measured(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("environment.measured(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx != "load":  # names that are given values
            super().visit_Tuple(node, frame)
            return
        self.write("environment.measured(")
        super().visit_Tuple(node, frame)
        self.write(")")


class _Bounded(ImmutableSandboxedEnvironment):
    """The environment of chat templates, with bounds."""

    code_generator_class = _Reporting
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, *, anything: bool) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=list(chat_jinja.EXTENSIONS)
        )
        self._anything = anything
        offered = {**self.filters, **chat_jinja.FILTERS}
        self.filters = {name: self._filter(name, made) for name, made in offered.items()}
        self.globals.update(chat_jinja.NAMES)
        del self.globals["lipsum"]  # writes as long a text as it is asked for
        self.finalize = self.measured
        self._used = threading.local()
        self.start()

    def start(self) -> None:
        """Begin to count for one rendering of this thread."""
        self._used.steps, self._used.since = 0, time.thread_time()

    def step(self) -> bool:
        """Count a statement; raise TemplateRuntimeError for one too many."""
        self._used.steps += 1
        if self._used.steps > _MAX_STEPS or time.thread_time() - self._used.since > _MAX_SECONDS:
            raise TemplateRuntimeError("it does not end (too many steps)")
        return True

    def measured(self, value: Any) -> Any:
        """Return ``value``; raise TemplateRuntimeError if it is too large."""
        _size(value)
        return value

    def joined(self, values: tuple[Any, ...]) -> str:
        """Return what ``~`` makes of ``values``."""
        return str_join(self.measured(values))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse to multiply, to raise or to pad to sizes that nobody needs."""
        self.step()
        too_large = False
        if operator == "*":
            too_large = max(_repeated(left, right), _repeated(right, left)) > _MAX_SIZE
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            too_large = left.bit_length() * right > _MAX_BITS
        elif operator == "%" and isinstance(left, (str, bytes)):
            _refuse_wide_percent(left)
        if too_large:
            raise TemplateRuntimeError("it makes a value that is too large")
        return self.measured(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call something, if no number that it is given is absurd and it takes no long time."""
        if __obj == __self.step:
            return __self.step()
        __self.step()
        named = [value for name, value in kwargs.items() if name not in _OF_CALLS]
        method = getattr(__obj, "__wrapped__", __obj)  # of str.format the one that is meant
        if isinstance(method, BuiltinMethodType):
            args = tuple(map(_at_hand, args))
            __self._ask(method.__name__, _METHODS, [method.__self__, *args, *named])
        else:  # a macro, or what the environment offers
            __self._refuse_absurd([*args, *named])
        return __self.measured(super().call(__context, __obj, *args, **kwargs))

    def _ask(self, name: str, known: re.Pattern[str], given: list[Any]) -> None:
        """Raise if a method or a filter may take long with what it is given, its subject first."""
        self._refuse_absurd(given[1:])
        if name == "format" and known is _FILTERS:
            _refuse_wide_percent(given[0])
        elif name in ("format", "format_map") and isinstance(given[0], str):
            pattern = given[0].replace("{{", "")
            _refuse_wide(_BRACES.findall(pattern))
            if _NESTED_FIELD.search(pattern) and not self._anything:
                raise MaybeSlow
        if self._anything:
            return
        beside = sum(abs(v) if isinstance(v, int) else _size(v) for v in given[1:])
        if not known.fullmatch(name) or _size(given[0]) * beside > _MAX_WORK:
            raise MaybeSlow

    def _refuse_absurd(self, values: Iterable[Any]) -> None:
        if any(isinstance(value, int) and abs(value) > _MAX_SIZE for value in values):
            raise TemplateRuntimeError("it asks for too much of something")

    def _filter(self, name: str, made: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(made)  # with what says that it wants the context
        def bounded(*args: Any, **kwargs: Any) -> Any:
            self.step()
            whole = _WHOLE.fullmatch(name)
            given = [_at_hand(value) if whole else value for value in args]
            about = [value for value in given if not isinstance(value, _OF_JINJA)]
            self._ask(name, _FILTERS, [*about, *kwargs.values()])
            return self.measured(made(*map(self.measured, given), **kwargs))

        return bounded


_OF_JINJA = (Context, Environment, EvalContext)


@lru_cache(maxsize=32)
def _compiled(source: str, anything: bool) -> Template:
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"it has {len(source)} characters, more than {MAX_SOURCE}")
    return _Bounded(anything=anything).from_string(source)


def _size(value: Any) -> int:
    """Return characters and parts of a value; raise TemplateRuntimeError for too many."""
    left, parts = _MAX_SIZE, [value]
    while parts:
        part = parts.pop()
        if isinstance(part, (str, bytes, list, tuple, dict)):
            left -= len(part)
        elif isinstance(part, int) and part.bit_length() > _MAX_BITS:
            left = -1
        left -= _OF_A_PART
        if left < 0:
            raise TemplateRuntimeError("it makes a value that is too large")
        if isinstance(part, (list, tuple)):
            parts.extend(part)
        elif isinstance(part, dict):
            parts.extend(part.values())
    return _MAX_SIZE - left


def _at_hand(value: Any) -> Any:
    """Return a value whose size can be seen: of a generator the list of what it yields."""
    if not isinstance(value, GeneratorType):
        return value
    found, size = [], 0
    for item in value:
        found.append(item)
        size += _size(item)
        if size > _MAX_SIZE:
            raise TemplateRuntimeError("it makes a value that is too large")
    return found


def _refuse_wide_percent(pattern: Any) -> None:
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else str(pattern)
    _refuse_wide(_PERCENT.findall(text.replace("%%", "")))


def _refuse_wide(fields: Iterable[str]) -> None:
    """Raise if the widths in the fields of a format are absurd, or given where nobody sees them."""
    numbers = [number for field in fields for number in _NUMBER.findall(field)]
    if any(n == "*" or len(n) > 7 for n in numbers) or sum(map(int, numbers)) > _MAX_SIZE:
        raise TemplateRuntimeError("it makes a value that is too large")


def _repeated(value: Any, times: Any) -> int:
    """Return the length of a sequence that is repeated; 0 for anything else."""
    if isinstance(value, (str, bytes, list, tuple)) and isinstance(times, int):
        return len(value) * times
    return 0
