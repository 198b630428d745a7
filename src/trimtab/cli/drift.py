"""``doctor drift``: what another number format or batch shape does to a model's answers."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from trimtab.cli.phases import wide_console
from trimtab.core.errors import ConfigError
from trimtab.core.lazy import lazy
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Sample, SamplingParams
from trimtab.models import threads
from trimtab.models.load import resolve
from trimtab.recipes.base import load_recipe
from trimtab.tasks.base import TASKS, Task

if TYPE_CHECKING:
    import torch

    from trimtab.engine import drift as drifts
    from trimtab.engine import engine as engines
    from trimtab.engine import request as rq
    from trimtab.models import load
else:
    torch = lazy("torch")
    drifts = lazy("trimtab.engine.drift")
    engines = lazy("trimtab.engine.engine")
    rq = lazy("trimtab.engine.request")
    load = lazy("trimtab.models.load")

_FORMATS = ("float32", "bfloat16", "float16")

Asked = tuple[Task[Any], Sequence[Sample]]
"""A task, and the samples that it asks."""


def show(target: str, dtype: str | None, limit: int, max_tokens: int) -> None:
    """Print how far answers in ``dtype`` are from float32's, and from their own one at a time.

    Args:
        target: An experiment file, whose model and baseline questions are taken, or a model, which
            is asked the bundled questions. Nothing is judged, so no test split is opened.
        dtype: Number format; None is the file's, and bfloat16 if that is float32.
        limit: Most texts, and most questions with options.
        max_tokens: Most tokens of a text.

    Raises:
        ConfigError: There is no such number format.
    """
    if dtype is not None and dtype not in _FORMATS:
        raise ConfigError(f"--dtype {dtype!r} is none of {', '.join(_FORMATS)}.")
    spec, asked = _target(target, limit)
    chosen = dtype or ("bfloat16" if spec.dtype == "float32" else spec.dtype)
    console = wide_console()
    count = threads.choose(threads.take_readings())
    if count.notice:
        console.print(count.notice, highlight=False, markup=False)
    torch.set_num_threads(count.count)
    reference, _ = _answers(spec, "float32", asked, max_tokens)
    together, alone = _answers(spec, chosen, asked, max_tokens, alone=True)
    columns = {
        f"{chosen} against float32": drifts.compare(reference, together),
        f"{chosen} alone against batched": drifts.compare(together, alone),
    }
    console.print(_table(f"drift of {spec.id} on {spec.device}", columns))


def _target(target: str, limit: int) -> tuple[ModelSpec, list[Asked]]:
    """Return the resolved model, and what to ask it."""
    if Path(target).suffix not in (".yaml", ".yml"):
        built = [TASKS.build("truthfulqa", {"form": f, "limit": limit}) for f in _FORMS]
        asked = [(task, task.samples("select")) for task in built]
        return resolve(ModelSpec(id=target)).spec, list(asked)
    planned = load_recipe(Path(target)).plan()
    cells = [cell for cell in planned.plan.cells if cell.role == "baseline"]
    first = {cell.output: cell for cell in reversed(cells)}
    return planned.model.spec, [
        (TASKS.build(c.task.name, c.task.config), planned.samples[c.samples][:limit])
        for c in first.values()
    ]


_FORMS = ("generation", "options")


def _answers(
    spec: ModelSpec, dtype: str, asked: Sequence[Asked], max_tokens: int, *, alone: bool = False
) -> tuple[list[rq.Result], list[rq.Result]]:
    """Return the results in one batch and, if asked for, of each request by itself."""
    resolved = resolve(spec.model_copy(update={"dtype": dtype}))
    engine = engines.Engine(load.load_model(resolved))
    requests = [
        _request(engine, task, sample, max_tokens) for task, some in asked for sample in some
    ]
    together = list(engine.run(requests))
    single = [result for request in requests for result in engine.run([request])] if alone else []
    # the next model must find this one's memory free
    del engine
    gc.collect()
    return together, single


def _request(
    engine: engines.Engine, task: Task[Any], sample: Sample, max_tokens: int
) -> rq.Request:
    key = (task.protocol, sample.id)
    if task.output == "text":
        prompt = engine.renderer.prompt(sample.messages, task.rendering, sample.preamble)
        sampling = SamplingParams(max_tokens=max_tokens)
        return rq.Request(key, tuple(prompt), rq.Text(sampling))
    prompt, options = engine.renderer.with_answers(
        sample.messages, [c.text for c in sample.choices], task.rendering, sample.preamble
    )
    return rq.Request(key, tuple(prompt), rq.Options(tuple(map(tuple, options))))


def _table(title: str, columns: dict[str, drifts.Drift]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    for name in columns:
        table.add_column(name, justify="right")
    found = list(columns.values())
    rows = {
        "texts that differ": [f"{d.differing} of {d.texts}" for d in found],
        "median first token that differs": [_number(d.first, "g") for d in found],
        "options: largest difference, nats": [_number(d.largest, ".3g") for d in found],
        "options: mean difference, nats": [_number(d.mean, ".3g") for d in found],
        "questions with another best option": [f"{d.other_best} of {d.questions}" for d in found],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _number(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form)
