"""``doctor drift``: what another number format or batch shape does to a model's answers."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from trimtab.cli import asking
from trimtab.cli.terminal import wide_console
from trimtab.core.lazy import lazy
from trimtab.core.spec import ModelSpec
from trimtab.models import threads
from trimtab.models.load import resolve

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
    asking.check_format(dtype)
    spec, asked = asking.target(target, limit)
    chosen = dtype or ("bfloat16" if spec.dtype == "float32" else spec.dtype)
    console = wide_console()
    count = threads.choose(threads.take_readings())
    if count.notice:
        console.print(count.notice)
    torch.set_num_threads(count.count)
    reference, _ = _answers(spec, "float32", asked, max_tokens)
    together, alone = _answers(spec, chosen, asked, max_tokens, alone=True)
    columns = {
        f"{chosen} against float32": drifts.compare(reference, together),
        f"{chosen} alone against batched": drifts.compare(together, alone),
    }
    console.print(_table(f"drift of {spec.id} on {spec.device}", columns))


def _answers(
    spec: ModelSpec,
    dtype: str,
    asked: Sequence[asking.Asked],
    max_tokens: int,
    *,
    alone: bool = False,
) -> tuple[list[rq.Result], list[rq.Result]]:
    """Return the results in one batch and, if asked for, of each request by itself."""
    resolved = resolve(spec.model_copy(update={"dtype": dtype}))
    engine = engines.Engine(load.load_model(resolved))
    requests = [
        asking.request(engine, task, sample, max_tokens) for task, some in asked for sample in some
    ]
    together = list(engine.run(requests))
    single = [result for request in requests for result in engine.run([request])] if alone else []
    # the next model must find this one's memory free
    del engine
    gc.collect()
    return together, single


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
