"""``adapters export``: the adapter of a condition for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.cli import phases
from trimtab.cli.terminal import wide_console
from trimtab.core.errors import ConfigError, StoreError, did_you_mean
from trimtab.core.files import make_dir
from trimtab.core.lazy import lazy
from trimtab.core.plan import Cell
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import load_model, resolve
from trimtab.models.lora import write_adapter
from trimtab.runs.store import artifacts
from trimtab.runs.store.run import Run

if TYPE_CHECKING:
    from trimtab.engine import engine as engines
    from trimtab.engine import merging
    from trimtab.models import lora_gguf, lowrank
else:
    lora_gguf = lazy("trimtab.models.lora_gguf")
    engines = lazy("trimtab.engine.engine")
    merging = lazy("trimtab.engine.merging")

FORMS = ("peft", "gguf", "merged")
_GGUF = "adapter.gguf"
_TEXTS = ("The capital of France is", "Question: what is 12 + 30?\nAnswer:", "Once upon a time")


def export(
    run_dir: Path,
    condition: str,
    form: str,
    out: Path,
    dtype: str | None,
    *,
    model: str | None = None,
    trusted: bool,
) -> None:
    """Write the adapter of a condition, its strength multiplied in.

    Args:
        run_dir: The run.
        condition: Whose adapter.
        form: ``peft`` is a folder that peft and transformers load; ``gguf`` one with a file for
            llama.cpp; ``merged`` the whole model with the adapter in its weights.
        out: Folder to make; it must not hold anything.
        dtype: Number format of the merged weights; the run's if None.
        model: Id of its base, where the run has several.
        trusted: See ``trust``.
    """
    if form not in FORMS:
        raise ConfigError(f"--as {form!r} is no form of adapters. {did_you_mean(form, FORMS)}")
    if out.exists() and any(out.iterdir()):
        raise StoreError(f"{out} is not empty.", hint="Name a folder that is not there yet.")
    run = phases.open_to_read(run_dir, trusted=trusted)
    cell, adapter = adapter_of_condition(run, condition, model)
    base = cell.model.id
    console = wide_console()
    if form == "peft":
        make_dir(out)
        write_adapter(adapter, out, base)
        console.print(f"Wrote the adapter of {condition!r} for {base} to {out}", soft_wrap=True)
        return
    if form == "gguf":
        _write_gguf(run, cell, adapter, out)
        console.print(f"Use it with: llama-cli -m MODEL.gguf --lora {out / _GGUF}", soft_wrap=True)
        return
    spec = cell.model if dtype is None else cell.model.model_copy(update={"dtype": dtype})
    engine = engines.Engine(load_model(resolve(spec)))
    renderer = engine.renderer
    bos = renderer.tokenizer.bos_token_id
    lead = () if bos is None else (bos,)
    far = merging.merge(engine, adapter, [(*lead, *renderer.encode(text)) for text in _TEXTS])
    engine.loaded.model.save_pretrained(out)
    renderer.tokenizer.save_pretrained(out)
    console.print(
        f"Wrote {base} with the adapter of {condition!r} in its weights to {out}; largest "
        f"difference of a log-probability to the adapter beside the base: {far:.2g} nats.",
        soft_wrap=True,
    )


def _write_gguf(run: Run, cell: Cell, adapter: lowrank.Adapter, out: Path) -> None:
    about = run.artifact_info(cell.artifacts["adapter"]) or {}
    head_dim = resolve(cell.model).card.head_dim
    content = lora_gguf.dump_lora(
        adapter, str(about.get("model_type")), int(about.get("num_layers", 0)), head_dim
    )
    make_dir(out)
    (out / _GGUF).write_bytes(content)


def adapter_of_condition(
    run: Run, condition: str, model: str | None = None
) -> tuple[Cell, lowrank.Adapter]:
    """Return a cell of a condition and its adapter; see ``cell_of_condition``.

    Raises:
        ConfigError: It has no adapter, or several, of as many models.
    """
    cell = cell_of_condition(run, condition, model)
    fitted = {name: artifacts.load(run.artifact_dir(key)) for name, key in cell.artifacts.items()}
    acting = INTERVENTIONS.build(cell.intervention.name, cell.intervention.config)
    adapter = acting.treat(fitted).adapter
    if adapter is None:
        raise ConfigError(f"condition {condition!r} has its adapter at strength 0.")
    return cell, adapter


def cell_of_condition(run: Run, condition: str, model: str | None = None) -> Cell:
    """Return a cell of a condition that has an adapter, which need not be trained yet.

    Args:
        run: The run.
        condition: Label of the condition.
        model: Id of its base, where the run has several.

    Raises:
        ConfigError: It has no adapter, or several, of as many models.
    """
    fitting = [cell for cell in run.plan.cells if "adapter" in cell.artifacts]
    cells = [cell for cell in fitting if cell.condition == condition]
    if not cells:
        raise ConfigError(
            f"{run.dir} has no condition {condition!r} with an adapter. "
            f"{did_you_mean(condition, dict.fromkeys(cell.condition for cell in fitting))}"
        )
    bases = list(dict.fromkeys(cell.model.id for cell in cells))
    if model is None and len(bases) > 1:
        raise ConfigError(
            f"condition {condition!r} has an adapter for each of {', '.join(bases)}.",
            hint="Name one of them with --model.",
        )
    if model is not None and model not in bases:
        raise ConfigError(
            f"--model {model!r}: no base of {condition!r}. {did_you_mean(model, bases)}"
        )
    return next(cell for cell in cells if model in (None, cell.model.id))
