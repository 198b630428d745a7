"""``calibrate``: how fast this machine is with a model, measured once and kept for plans."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.cli.terminal import say
from trimtab.core.lazy import lazy
from trimtab.core.spec import ModelSpec
from trimtab.models import threads
from trimtab.models.load import ResolvedModel, resolve
from trimtab.models.machine import cpu_name, other_load, peak_memory, read_clock, usable_cores
from trimtab.recipes.base import load_recipe
from trimtab.runs.store import manifest
from trimtab.runs.usage.calibrations import Calibration, note

if TYPE_CHECKING:
    import torch

    from trimtab.engine import engine as engines
    from trimtab.models import load
    from trimtab.training import speed
else:
    torch = lazy("torch")
    engines = lazy("trimtab.engine.engine")
    load = lazy("trimtab.models.load")
    speed = lazy("trimtab.training.speed")

_NOISY = 0.5
"""Cores of other load from which on a time is no measure of the machine."""


def calibrate(target: str, device: str | None, dtype: str | None, rows: int) -> None:
    """Measure a model, print its speeds and keep them.

    Args:
        target: An experiment file, whose model is taken, or a model.
        device: Where; what the model's own settings or the machine say, if none is given.
        dtype: Number format; likewise.
        rows: Rows side by side.

    Raises:
        ModelError: The model can't be loaded.
        StoreError: The cache can't be written.
    """
    resolved = _resolved(target, device, dtype)
    count = threads.choose(threads.take_readings())
    torch.set_num_threads(count.count)
    engine = engines.Engine(load.load_model(resolved))
    spec = engine.loaded.resolved.spec
    cores = usable_cores()
    before = read_clock(cores)
    found = speed.measure(engine, speed.Shape(rows=rows))
    others = other_load(before, read_clock(cores))
    state = manifest.collect(threads=count.count)
    on_gpu = spec.device not in ("cpu", "mps")
    peak = torch.cuda.max_memory_allocated() if on_gpu else peak_memory()
    kept = Calibration(
        model=spec.id,
        identity=resolved.identity,
        num_parameters=resolved.card.num_parameters,
        dtype=spec.dtype,
        device=spec.device,
        host=socket.gethostname(),
        hardware=torch.cuda.get_device_name() if on_gpu else cpu_name() or "an unknown processor",
        machine=state["machine"],
        code=state["code"],
        threads=count.count,
        time=round(time.time(), 3),
        rows=rows,
        forward=round(found.forward, 1),
        generate=round(found.generate, 1),
        train=round(found.train, 1),
        peak_memory_mib=None if peak is None else round(peak / 2**20, 1),
        other_load=None if others is None else round(others, 2),
    )
    path = note(kept)
    say(f"{kept.model} ({kept.dtype}) on {kept.kind}, {rows} rows side by side:")
    say(
        f"read {kept.forward:,.0f}, write {kept.generate:,.0f}, learn {kept.train:,.0f} tokens/s; "
        f"kept in {path}"
    )
    if others is not None and others > _NOISY:
        say(
            f"note: other processes kept {others:.1f} cores busy meanwhile, so these numbers may "
            "be too small; calibrate again on a quiet machine"
        )


def _resolved(target: str, device: str | None, dtype: str | None) -> ResolvedModel:
    if Path(target).suffix in (".yaml", ".yml"):
        spec = load_recipe(Path(target)).plan().models[0].spec
    else:
        spec = resolve(ModelSpec(id=target)).spec
    update = {k: v for k, v in (("device", device), ("dtype", dtype)) if v is not None}
    return resolve(ModelSpec.model_validate(spec.model_dump() | update))
