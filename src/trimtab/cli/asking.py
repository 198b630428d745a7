"""What the ``doctor`` asks a model: an experiment's baseline questions, or the bundled ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import ConfigError
from trimtab.core.lazy import lazy
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Sample, SamplingParams
from trimtab.models.load import resolve
from trimtab.recipes.base import load_recipe
from trimtab.tasks.base import TASKS, Task

if TYPE_CHECKING:
    from trimtab.engine import engine as engines
    from trimtab.engine import request as rq
else:
    rq = lazy("trimtab.engine.request")

Asked = tuple[Task[Any], Sequence[Sample]]
"""A task, and the samples that it asks."""

FORMATS = ("float32", "bfloat16", "float16")

_FORMS = ("generation", "options")


def check_format(dtype: str | None) -> None:
    """Raise ConfigError if there is no such number format."""
    if dtype is not None and dtype not in FORMATS:
        raise ConfigError(f"--dtype {dtype!r} is none of {', '.join(FORMATS)}.")


def target(name: str, limit: int) -> tuple[ModelSpec, list[Asked]]:
    """Return the resolved model, and what to ask it."""
    if Path(name).suffix not in (".yaml", ".yml"):
        built = [TASKS.build("truthfulqa", {"form": f, "limit": limit}) for f in _FORMS]
        asked = [(task, task.samples("select")) for task in built]
        return resolve(ModelSpec(id=name)).spec, list(asked)
    planned = load_recipe(Path(name)).plan()
    cells = [cell for cell in planned.plan.cells if cell.role == "baseline"]
    first = {cell.output: cell for cell in reversed(cells)}
    return planned.models[0].spec, [
        (TASKS.build(c.task.name, c.task.config), planned.data.samples[c.samples][:limit])
        for c in first.values()
    ]


def request(engine: engines.Engine, task: Task[Any], sample: Sample, max_tokens: int) -> rq.Request:
    """Return what asks ``sample``: a text of up to ``max_tokens``, or the task's options."""
    key = (task.protocol, sample.id)
    if task.output == "text":
        prompt = engine.renderer.prompt(sample.messages, task.rendering, sample.preamble)
        sampling = SamplingParams(max_tokens=max_tokens)
        return rq.Request(key, tuple(prompt), rq.Text(sampling))
    prompt, options = engine.renderer.with_answers(
        sample.messages, [c.text for c in sample.choices], task.rendering, sample.preamble
    )
    return rq.Request(key, tuple(prompt), rq.Options(tuple(map(tuple, options))))
