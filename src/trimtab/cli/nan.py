"""``doctor nan``: where a model's values stop being finite, and what makes them finite again."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.table import Table

from trimtab.cli import asking
from trimtab.cli.terminal import wide_console
from trimtab.core.errors import ModelError, NonFiniteError
from trimtab.core.lazy import lazy
from trimtab.core.spec import ModelSpec
from trimtab.models.load import resolve

if TYPE_CHECKING:
    from trimtab.engine import engine as engines
    from trimtab.engine import request as rq
    from trimtab.engine.passes import nonfinite
    from trimtab.models import load
else:
    engines = lazy("trimtab.engine.engine")
    nonfinite = lazy("trimtab.engine.passes.nonfinite")
    load = lazy("trimtab.models.load")


@dataclass(frozen=True)
class _Remedy:
    """A change under which the same rows are run again.

    Attributes:
        name: In the table.
        use: How an experiment applies it.
        spec: The model.
        halved: Keep the last half of each prompt.
        plain: Run prompts by transformers alone, with its eager attention.
    """

    name: str
    use: str
    spec: ModelSpec
    halved: bool = False
    plain: bool = False


@dataclass(frozen=True)
class _Outcome:
    """Rows run, rows with a value that is not finite, and what was said of the first."""

    rows: int
    bad: int
    first: str


def show(target: str, dtype: str | None, limit: int, max_tokens: int) -> None:
    """Print which rows are finite as they are asked for and, if not all, under each remedy.

    Args:
        target: An experiment file, whose model and baseline questions are taken, or a model, which
            is asked the bundled questions. Nothing is judged, so no test split is opened.
        dtype: Number format; None is the file's.
        limit: Most texts, and most questions with options.
        max_tokens: Most tokens of a text.

    Raises:
        ConfigError: There is no such number format.
    """
    asking.check_format(dtype)
    spec, asked = asking.target(target, limit)
    spec = spec if dtype is None else spec.model_copy(update={"dtype": dtype})
    console = wide_console()
    table = Table(title=f"finite values of {spec.id}", title_justify="left")
    for name in ("tried", "finite rows", "first value that is not finite"):
        table.add_column(name)
    as_asked = _Remedy(f"as asked: {spec.dtype} on {_place(spec)}", "", spec)
    base = _try(as_asked, asked, max_tokens)
    _add(table, as_asked, base)
    if not base.bad:
        console.print(table)
        return
    helped = []
    for remedy in _remedies(spec):
        outcome = _try(remedy, asked, max_tokens)
        _add(table, remedy, outcome)
        if outcome.rows and not outcome.bad:
            helped.append(remedy)
    console.print(table)
    advice = (
        f"All rows are finite with {', or '.join(f'{r.name} ({r.use})' for r in helped)}."
        if helped
        else "Nothing that was tried helps: see whether the checkpoint itself is damaged."
    )
    console.print(advice)


def _place(spec: ModelSpec) -> str:
    return spec.device if spec.device_map is None else f"devices by {spec.device_map}"


def _remedies(spec: ModelSpec) -> Iterator[_Remedy]:
    for dtype in asking.FORMATS:
        if dtype != spec.dtype:
            changed = spec.model_copy(update={"dtype": dtype})
            yield _Remedy(dtype, f"-o model.dtype={dtype}", changed)
    yield _Remedy("half the prompt", "shorter prompts", spec, halved=True)
    yield _Remedy("transformers' eager attention, prompts alone", "report it", spec, plain=True)
    if spec.device_map is not None:
        alone = {"device_map": None, "max_memory": None, "offload_folder": None}
        yield _Remedy("one device", "no device_map", spec.model_copy(update=alone))


def _try(remedy: _Remedy, asked: Sequence[asking.Asked], max_tokens: int) -> _Outcome:
    """Run every row by itself: one that is not finite says nothing of the others."""
    found: list[str] = []
    number = 0
    try:
        engine = engines.Engine(load.load_model(resolve(remedy.spec)))
        for task, some in asked:
            for sample in some:
                request = asking.request(engine, task, sample, max_tokens)
                if remedy.halved:
                    request = replace(request, prompt=request.prompt[len(request.prompt) // 2 :])
                number += 1
                where = _where(engine, request, remedy)
                found += [] if where is None else [where]
    except ModelError as error:
        return _Outcome(0, 1, f"could not be run: {error}")
    # the next model must find this one's memory free
    del engine
    gc.collect()
    return _Outcome(number, len(found), found[0] if found else "")


def _where(engine: engines.Engine, request: rq.Request, remedy: _Remedy) -> str | None:
    if remedy.plain:
        return nonfinite.first_in_library(engine.loaded, request.prompt)
    try:
        list(engine.run([request]))
    except NonFiniteError as error:
        return error.where or str(error)
    return None


def _add(table: Table, remedy: _Remedy, outcome: _Outcome) -> None:
    finite = f"{outcome.rows - outcome.bad} of {outcome.rows}" if outcome.rows else "none run"
    table.add_row(remedy.name, finite, outcome.first)
