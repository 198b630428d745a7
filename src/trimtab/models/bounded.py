"""Jinja templates of strangers, rendered with bounds on steps, processor time and sizes.

The environment is the one of transformers, with its filters, tags and names, so that texts are
equal to those of ``apply_chat_template``. Compiled code reports before each statement; operators,
calls and filters are asked for no more than they may make. What stays possible is one slow call of
the standard library on values that are small.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, wraps
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import TemplateRuntimeError
from jinja2.runtime import Context, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers.utils.chat_template_utils import _compile_jinja_template

TODAY = "26 Jul 2024"
"""What templates get that ask for the date, so that a run is the same tomorrow; Llama 3's own."""

MAX_SOURCE = 200_000
_MAX_STEPS = 1_000_000
_MAX_SECONDS = 1.0
_MAX_SIZE = 10_000_000
_OF_A_PART = 20
"""What a value within another counts for, beside its characters."""
_MAX_BITS = 10_000
_WIDE = re.compile(r"[0-9]{7}|\*")
"""A width in a ``%`` format that is absurd, or given beside it."""

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


def render(source: str, values: Mapping[str, Any]) -> str:
    """Return the text of a template; raise one of ``FAILURES`` where it has none."""
    template = _compiled(source)
    environment = template.environment
    assert isinstance(environment, _Bounded)
    environment.start()
    return template.render(**values)


class _Reporting(CodeGenerator):
    """Writes code that reports before each statement, and joins texts where they are measured."""

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        super().blockvisit((), frame)
        for node in nodes:
            self.writeline("environment.step()")
            super().blockvisit((node,), frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Bounded(ImmutableSandboxedEnvironment):
    """The environment of transformers, with bounds."""

    code_generator_class = _Reporting
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        given = _compile_jinja_template("").environment
        extensions = [type(extension) for extension in given.extensions.values()]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
        self.filters = {name: self._filter(made) for name, made in given.filters.items()}
        self.globals = {**given.globals, "strftime_now": lambda _format: TODAY}
        del self.globals["lipsum"]  # writes as long a text as it is asked for
        self.finalize = self.measured
        self._used = threading.local()

    def start(self) -> None:
        """Begin to count for one rendering of this thread."""
        self._used.steps, self._used.since = 0, time.thread_time()

    def step(self) -> None:
        """Count a statement; raise TemplateRuntimeError for one too many."""
        self._used.steps += 1
        if self._used.steps > _MAX_STEPS or time.thread_time() - self._used.since > _MAX_SECONDS:
            raise TemplateRuntimeError("it does not end (too many steps)")

    def measured(self, value: Any) -> Any:
        """Return ``value``; raise TemplateRuntimeError if it is too large."""
        left, parts = _MAX_SIZE, [value]
        while parts:
            part = parts.pop()
            if isinstance(part, (str, list, tuple, dict)):
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
        return value

    def joined(self, values: tuple[Any, ...]) -> str:
        """Return what ``~`` makes of ``values``."""
        return str_join(self.measured(values))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse to multiply, to raise or to pad to sizes that nobody needs."""
        too_large = False
        if operator == "*":
            too_large = max(_repeated(left, right), _repeated(right, left)) > _MAX_SIZE
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            too_large = left.bit_length() * right > _MAX_BITS
        elif operator == "%" and isinstance(left, str):
            too_large = _WIDE.search(left) is not None
        if too_large:
            raise TemplateRuntimeError("it makes a value that is too large")
        return self.measured(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call something, if no number that it is given is absurd."""
        __self._ask((*args, *kwargs.values()))
        return __self.measured(super().call(__context, __obj, *args, **kwargs))

    def _ask(self, values: Iterable[Any]) -> None:
        if any(isinstance(value, int) and abs(value) > _MAX_SIZE for value in values):
            raise TemplateRuntimeError("it asks for too much of something")

    def _filter(self, made: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(made)  # with what says that it wants the context
        def bounded(*args: Any, **kwargs: Any) -> Any:
            self._ask((*args[1:], *kwargs.values()))
            return self.measured(made(*map(self.measured, args), **kwargs))

        return bounded


@lru_cache(maxsize=32)
def _compiled(source: str) -> Template:
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"it has {len(source)} characters, more than {MAX_SOURCE}")
    return _Bounded().from_string(source)


def _repeated(value: Any, times: Any) -> int:
    """Return the length of a sequence that is repeated; 0 for anything else."""
    if isinstance(value, (str, list, tuple)) and isinstance(times, int):
        return len(value) * times
    return 0
