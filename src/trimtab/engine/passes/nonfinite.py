"""Find where NaN or infinity came from, and say so."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from trimtab.core.errors import NonFiniteError
from trimtab.engine.batching.segments import Segment
from trimtab.engine.passes.bad_weights import blame_weights
from trimtab.engine.passes.inner import Reader
from trimtab.engine.passes.passes import Pass
from trimtab.engine.request import DynamicStrength, Place, Request
from trimtab.models.load import LoadedModel


def locate(loaded: LoadedModel, request: Request, tokens: Sequence[int]) -> NonFiniteError:
    """Return the error that names the first layer, row and position where values are not finite.

    Runs the row again on its own, block by block, with its edits and adapter and, if that fails,
    without them. ``tokens`` are the prompt and what followed.
    """
    edits, plain = request.edits, replace(request, edits=(), adapter=None)
    where = _first(loaded, request, tokens)
    if where is None:
        return _unlocated(loaded, request.key)
    message, place = _found(request, tokens, where), _place(where)
    blame = blame_weights(loaded, where[0])
    if blame is not None:
        return NonFiniteError(
            f"{message} {blame.sentence}", hint=blame.hint, where=place, row=request.key
        )
    if edits and _first(loaded, replace(request, edits=()), tokens) is None:
        sizes = ", ".join(
            f"layer {e.layer}: |strength * vector| = {abs(e.strength) * e.vector.norm():.3g}"
            for e in edits
        )
        return NonFiniteError(
            f"{message} Without its edits ({sizes}) the row is finite.",
            hint="Lower the strength, or run in float32.",
            where=place,
            row=request.key,
        )
    if request.adapter is not None and _first(loaded, plain, tokens) is None:
        return NonFiniteError(
            f"{message} Without its adapter{' and edits' * bool(edits)} the row is finite.",
            hint="Train the adapter again at a lower learning rate, or run in float32.",
            where=place,
            row=request.key,
        )
    kind = str(loaded.dtype).removeprefix("torch.")
    wider = "" if loaded.dtype == torch.float32 else "`-o model.dtype=float32`, "
    return NonFiniteError(
        f"{message} The model runs in {kind}, and its weights are finite.",
        hint=f"Try {wider}shorter prompts, or one device; `trimtab doctor nan` tries them.",
        where=place,
        row=request.key,
    )


def locate_dynamic(
    loaded: LoadedModel,
    request: Request,
    tokens: Sequence[int],
    dynamic: DynamicStrength,
    strengths: Sequence[Sequence[float]],
) -> NonFiniteError:
    """Return the error for a row whose strengths were chosen anew for each token.

    Runs what chose them, each on its own: the row unsteered, with one property after the other at
    full probe strength, and at the strengths chosen so far.

    Args:
        loaded: The model.
        request: The row's.
        tokens: Prompt and what was written.
        dynamic: The row's.
        strengths: For each property its strength at each step that was taken.
    """
    if _first(loaded, request, tokens) is not None:
        return locate(loaded, request, tokens)
    num_prompt = len(request.prompt)
    probes = [dynamic.probe] * (len(tokens) - num_prompt + 1)
    count = len(dynamic.properties)
    names = dynamic.names or [str(number) for number in range(count)]
    tried = [
        (
            f"with property {name!r} added at the probe strength {dynamic.probe:g}",
            dynamic.edits(number, num_prompt, probes),
        )
        for number, name in enumerate(names)
    ]
    together = [dynamic.edits(i, num_prompt, s) for i, s in enumerate(strengths)]
    largest = ", ".join(
        f"{name!r} at up to {max(s, default=0.0):.3g}"
        for name, s in zip(names, strengths, strict=True)
    )
    tried.append((f"with its properties {largest}", tuple(e for some in together for e in some)))
    for what, edits in tried:
        where = _first(loaded, replace(request, edits=edits), tokens)
        if where is not None:
            size = max(abs(e.strength) * float(e.vector.double().norm()) for e in edits)
            return NonFiniteError(
                f"{_found(request, tokens, where)} Unsteered the row is finite; this is "
                f"{what}, where up to {size:.3g} is added at a place.",
                hint="Lower `probe` and `most`, or run in float32.",
                where=_place(where),
                row=request.key,
            )
    return _unlocated(loaded, request.key)


def _found(request: Request, tokens: Sequence[int], where: tuple[str, int]) -> str:
    part = "prompt" if where[1] < len(request.prompt) else "generated"
    return (
        f"Non-finite values for row {request.key!r}: first at {_place(where)} ({part} part, "
        f"{len(tokens)} tokens)."
    )


def _place(where: tuple[str, int]) -> str:
    return f"{where[0]}, position {where[1]}"


def _unlocated(loaded: LoadedModel, key: Hashable) -> NonFiniteError:
    """Return the error for a row whose block outputs are finite, and its logits are not."""
    message = (
        f"Non-finite values for row {key!r}: the logits are not finite, though every block output "
        "of the row alone is."
    )
    blame = blame_weights(loaded, "")
    if blame is not None:
        return NonFiniteError(f"{message} {blame.sentence}", hint=blame.hint, row=key)
    return NonFiniteError(
        message, hint="Try dtype float32, or a smaller batch; see docs/errors.md.", row=key
    )


def _first(loaded: LoadedModel, request: Request, tokens: Sequence[int]) -> tuple[str, int] | None:
    """Return (module name, position) of the first non-finite output, embeddings included."""
    found: list[tuple[str, int]] = []

    def note(name: str, h_TH: torch.Tensor) -> None:
        bad_T = ~torch.isfinite(h_TH).all(dim=-1)
        if not found and bool(bad_T.any()):
            found.append((name, int(bad_T.nonzero()[0])))

    def at_input(_module: nn.Module, _args: Any, output: torch.Tensor) -> None:
        note("the input embeddings", output[0])

    handle = loaded.model.get_input_embeddings().register_forward_hook(at_input)
    readers: dict[Place, Reader] = {
        (layer, "residual"): partial(note, name)
        for layer, name in enumerate(loaded.layout.block_names)
    }
    try:
        with torch.no_grad():
            edits, adapter = request.edits, request.adapter
            segment = Segment(tuple(tokens), 0, len(request.prompt), edits, adapter)
            Pass(loaded, [segment]).run(readers)
    finally:
        handle.remove()
    return found[0] if found else None


def first_in_library(loaded: LoadedModel, tokens: Sequence[int]) -> str | None:
    """Return where values stop being finite with transformers' own eager attention; None if not."""
    found: list[str] = []

    def note(name: str, _module: nn.Module, _args: Any, output: Any) -> None:
        h_1TH = output[0] if isinstance(output, tuple) else output
        bad_T = ~torch.isfinite(h_1TH[0]).all(dim=-1)
        if not found and bool(bad_T.any()):
            found.append(_place((name, int(bad_T.nonzero()[0]))))

    names = zip(loaded.layout.block_names, loaded.layout.blocks, strict=True)
    handles = [block.register_forward_hook(partial(note, name)) for name, block in names]
    config = loaded.model.config.get_text_config()
    usual = config._attn_implementation
    config._attn_implementation = "eager"
    try:
        with torch.no_grad():
            loaded.model(torch.tensor([list(tokens)], device=loaded.device), use_cache=False)
    finally:
        config._attn_implementation = usual
        for handle in handles:
            handle.remove()
    return found[0] if found else None
