"""Rotary frequencies that depend on a row's length: each row is rotated by its own.

``dynamic`` (NTK) and ``longrope`` scaling choose frequencies by the longest position of a forward.
transformers takes that of the whole batch and remembers it, so a long row changes the short ones
beside and after it. Here rows whose frequencies differ never share a pass, and a token that a row
writes takes those of its own position, as ``generate`` with a cache does.

The frequencies themselves come from the model's own modules, which are told the length by one
position more, that is then left out.

Shapes: T packed tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from trimtab.models.load import LoadedModel

_LENGTH, _FIRST, _NOW = "max_seq_len_cached", "original_inv_freq", "inv_freq"


@contextmanager
def rotating(loaded: LoadedModel, length_T: torch.Tensor | None) -> Iterator[None]:
    """Let the model rotate tokens as those of rows of ``length_T``, or of ``row_length``."""
    rotation = loaded.layout.rotation
    if rotation is None:
        yield
        return
    least = rotation.usual
    lengths = max(loaded.row_length, least) if length_T is None else length_T.clamp(min=least)
    before = {module: vars(module).get("forward") for module in rotation.modules}
    for module in rotation.modules:
        # an attribute of an instance stands before the method of its class
        vars(module)["forward"] = partial(_rotate, module, module.forward, lengths)
    try:
        yield
    finally:
        for module, forward in before.items():
            if forward is None:
                del vars(module)["forward"]
            else:
                vars(module)["forward"] = forward


def _rotate(
    module: nn.Module,
    usual: Callable[..., Any],
    lengths: torch.Tensor | int,
    x: torch.Tensor,
    position_ids: torch.Tensor,
    *others: Any,
    **named: Any,
) -> Any:
    """Stand in for the ``forward`` of a rotary module: a tensor, or some, [1, T, ...] each."""
    if isinstance(lengths, int):
        return _rotate_as(module, usual, lengths, x, position_ids, *others, **named)
    found = []
    places = []
    for length in lengths.unique().tolist():
        place_N = (lengths == length).nonzero()[:, 0].to(position_ids.device)
        some = position_ids[:, place_N]
        found.append(_rotate_as(module, usual, length, x, some, *others, **named))
        places.append(place_N)
    place_T = torch.cat(places).argsort()
    if isinstance(found[0], torch.Tensor):
        return torch.cat(found, dim=1)[:, place_T]
    return tuple(torch.cat(parts, dim=1)[:, place_T] for parts in zip(*found, strict=True))


def _rotate_as(
    module: nn.Module,
    usual: Callable[..., Any],
    length: int,
    x: torch.Tensor,
    position_ids: torch.Tensor,
    *others: Any,
    **named: Any,
) -> Any:
    """Return the rotations of positions in a row of ``length``."""
    last = position_ids.new_full((1, 1), length - 1)
    with _without_memory(module):
        found = usual(x, torch.cat([position_ids, last], dim=1), *others, **named)
    if isinstance(found, torch.Tensor):
        return found[:, :-1]
    return tuple(part[:, :-1] for part in found)


@contextmanager
def _without_memory(module: nn.Module) -> Iterator[None]:
    """Let a module forget how long rows were before, and afterwards what happened within.

    A module with several kinds of layers has each of the attributes for each kind, after its name.
    """
    names = [n for n in (*vars(module), *module._buffers) if n.endswith((_LENGTH, _NOW))]
    before = {name: getattr(module, name) for name in names}
    for name in names:
        if name.endswith(_LENGTH):
            setattr(module, name, module.original_max_seq_len)
        elif name.removesuffix(_NOW) + _FIRST in before:
            first = before[name.removesuffix(_NOW) + _FIRST]
            # a copy: longrope writes into it
            setattr(module, name, first.to(before[name].device, copy=True))
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)
