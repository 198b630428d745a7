"""Adapters of packed tokens: low-rank products added to the outputs of linear layers.

Rows of different adapters, and of none, go through the base's layers together; then each adapter's
factors see its own tokens only, so a row without one is computed as if there were none. As in peft,
factors compute in float32 or better, whatever the base's number format.

Shapes: T packed tokens, N of them with an adapter, B rows, I inputs and O outputs of a layer,
R rank, or the ranks of all adapters together.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, MutableSet, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from trimtab.core.errors import ConfigError, ModelError
from trimtab.engine.acts.grouped import GroupedAddition, Lines, can_group
from trimtab.engine.acts.spans import Span, SpannedAddition, are_long, can_span, spans_of
from trimtab.models.finite import are_finite
from trimtab.models.layout import Layout
from trimtab.models.lowrank import Adapter, LowRank, check_base


@dataclass(frozen=True, eq=False)
class Addition:
    """What is added to the output of a linear layer.

    Attributes:
        factor: The factors, on the layer's device.
        num_tokens: T, of the pass.
        token_N: The tokens that carry the adapter; None if all do.
        hidden_TR: Products between the factors that do not count; None if all do.
    """

    factor: LowRank
    num_tokens: int
    token_N: torch.Tensor | None = None
    hidden_TR: torch.Tensor | None = None

    def to(self, x_1TI: torch.Tensor, y_1TO: torch.Tensor) -> torch.Tensor:
        """Return the output ``y`` for the input ``x`` with the addition; gradients flow."""
        if self.token_N is not None:
            x_1TI = x_1TI[:, self.token_N]
        x_1TI = x_1TI.to(self.factor.down.dtype)
        if self.factor.dropout and torch.is_grad_enabled():
            x_1TI = functional.dropout(x_1TI, self.factor.dropout)
        low_1NR = functional.linear(x_1TI, self.factor.down)
        if self.hidden_TR is not None:
            low_1NR = low_1NR.masked_fill(self.hidden_TR, 0.0)
        added_1NO = functional.linear(low_1NR * self.factor.scaling, self.factor.up)
        if self.token_N is None:
            return (y_1TO + added_1NO).to(y_1TO.dtype)
        if added_1NO.dtype == y_1TO.dtype:
            return y_1TO.index_add(1, self.token_N, added_1NO)
        # rounded once, as where all tokens carry the adapter
        sum_1NO = (y_1TO[:, self.token_N] + added_1NO).to(y_1TO.dtype)
        return y_1TO.index_copy(1, self.token_N, sum_1NO)


_Addition = Addition | GroupedAddition | SpannedAddition

Additions = dict[nn.Module, Sequence[_Addition]]
"""For each linear layer what is added to its output."""


def hook_additions(additions: Additions) -> list[Any]:
    """Hook the layers; return the handles."""
    return [module.register_forward_hook(_after(some)) for module, some in additions.items()]


def _after(additions: Sequence[_Addition]) -> Any:
    def hook(_module: nn.Module, args: tuple[Any, ...], y_1TO: torch.Tensor) -> torch.Tensor:
        seen = tuple(args[0].shape[:-1])
        for addition in additions:
            if seen != (1, addition.num_tokens):
                raise ModelError(
                    f"An adapter changes a layer that sees {seen} tokens of "
                    f"{addition.num_tokens}, as experts do, which is not supported."
                )
            y_1TO = addition.to(args[0], y_1TO)
        return y_1TO

    return hook


def check_adapters(
    adapters: Iterable[Adapter | None], layout: Layout, checked: MutableSet[Adapter]
) -> None:
    """Raise an error for an adapter that does not fit the model or is not finite.

    Args:
        adapters: Of requests.
        layout: Parts of the model.
        checked: Adapters that fit and were finite; those that pass are added. One in training may
            be so no more, and is looked at again.
    """
    for adapter in {id(a): a for a in adapters if a is not None}.values():
        if adapter in checked and not adapter.requires_grad:
            continue
        if adapter not in checked:
            if not adapter.factors:
                raise ConfigError("An adapter has no factors.")
            check_base(adapter, layout)
        if not are_finite(t for f in adapter.factors.values() for t in (f.down, f.up)):
            bad = [n for n, f in adapter.factors.items() if not are_finite([f.down, f.up])]
            raise ConfigError(f"An adapter's factors of {bad[0]!r} are not finite.")
        checked.add(adapter)


class AdapterTable:
    """The adapters of some rows, ready to be laid over packed tokens."""

    def __init__(self, layout: Layout, adapters: Sequence[Adapter | None]) -> None:
        """Gather the adapter of each row."""
        self._layout = layout
        self._distinct = distinct(adapters)
        number = {key: i for i, key in enumerate(self._distinct)}
        self._number_R = np.array([-1 if a is None else number[a.key] for a in adapters])

    def additions(self, length_R: np.ndarray, layers: range) -> Additions:
        """Return what is added in blocks ``layers`` to the tokens of rows, one after the other.

        ``length_R`` is how many tokens each row has.
        """
        number_T = np.repeat(self._number_R, length_R)
        acting = sorted({*number_T.tolist()} - {-1})
        laid = _LaidOut(number_T)
        layout, adapters = self._layout, list(self._distinct.values())
        found: Additions = {}
        for layer in layers:
            device = layout.devices[layer]
            by_name: dict[str, list[int]] = {}
            for number in acting:
                for inner in adapters[number].by_block.get(layer, ()):
                    by_name.setdefault(inner, []).append(number)
            for inner, numbers in by_name.items():
                factors = [_placed(adapters[n], layer, inner, device) for n in numbers]
                module = layout.blocks[layer].get_submodule(inner)
                found[module] = laid.additions(factors, numbers, device)
        return found


class _LaidOut:
    """Which tokens of a pass each adapter sees, in the form in which they are computed fastest."""

    def __init__(self, number_T: np.ndarray) -> None:
        """Take the adapter of each token; -1 is none."""
        self._number_T = number_T
        self._spans = spans_of(number_T)
        self._are_long = are_long(self._spans)
        self._spans_of: dict[tuple[int, ...], list[Span]] = {}
        self._lines: dict[Hashable, Lines] = {}
        self._indices: dict[Hashable, torch.Tensor | None] = {}

    def additions(
        self, factors: Sequence[LowRank], numbers: Sequence[int], device: torch.device
    ) -> Sequence[_Addition]:
        """Return what the factors of one layer add; ``numbers`` tells whose they are."""
        total = len(self._number_T)
        lines = self._lines_for(numbers, device) if can_group(factors) else None
        in_place = lines is not None and lines.first is not None and not torch.is_grad_enabled()
        if self._are_long and not in_place and can_span(factors):
            return [SpannedAddition(factors, self._spans_for(tuple(numbers)), total)]
        if lines is not None:
            return [GroupedAddition.of(factors, lines)]
        return [
            Addition(factor, total, self._index(number, device))
            for number, factor in zip(numbers, factors, strict=True)
        ]

    def _lines_for(self, numbers: Sequence[int], device: torch.device) -> Lines:
        """Return the tokens of some adapters, a line for each."""
        place = (device, *numbers)
        if place not in self._lines:
            tokens = [np.flatnonzero(self._number_T == number) for number in numbers]
            self._lines[place] = Lines.of(tokens, len(self._number_T), device)
        return self._lines[place]

    def _spans_for(self, numbers: tuple[int, ...]) -> list[Span]:
        """Return the spans of some adapters, each by its place among them."""
        if numbers not in self._spans_of:
            place = {number: at for at, number in enumerate(numbers)}
            self._spans_of[numbers] = [
                (place[number], first, end) for number, first, end in self._spans if number in place
            ]
        return self._spans_of[numbers]

    def _index(self, number: int, device: torch.device) -> torch.Tensor | None:
        """Return which tokens an adapter sees; None if it is all of them."""
        if (device, number) not in self._indices:
            token_N = np.flatnonzero(self._number_T == number)
            whole = len(token_N) == len(self._number_T)
            self._indices[device, number] = None if whole else torch.from_numpy(token_N).to(device)
        return self._indices[device, number]


class StackedAdapters:
    """The adapters that rows of a fixed shape may have, in tensors that stay where they are.

    All factors of a layer are stacked, and each row's products with others' are hidden: the same
    operations on the same memory, whichever row has which adapter.
    """

    def __init__(self, layout: Layout, adapters: Sequence[Adapter | None], num_rows: int) -> None:
        """Stack all adapters that will ever enter; no row has one yet."""
        self._number = {key: i for i, key in enumerate(distinct(adapters))}
        self._stacks: dict[nn.Module, tuple[LowRank, bytes]] = {}
        self._owner_R: dict[bytes, np.ndarray] = {}
        self._hidden_BR: dict[bytes, torch.Tensor] = {}
        stacked: dict[tuple[int, str], list[tuple[int, LowRank]]] = {}
        for number, adapter in enumerate(distinct(adapters).values()):
            for layer, factors in adapter.by_block.items():
                for inner in factors:
                    factor = _placed(adapter, layer, inner, layout.devices[layer])
                    stacked.setdefault((layer, inner), []).append((number, factor))
        for (layer, inner), factors_here in stacked.items():
            owner_R = np.repeat(
                [number for number, _ in factors_here], [len(f.down) for _, f in factors_here]
            )
            stack = LowRank(
                torch.cat([f.down for _, f in factors_here]),
                torch.cat([f.scaling * f.up for _, f in factors_here], dim=1),
                1.0,
            )
            name = owner_R.tobytes()
            self._owner_R[name] = owner_R
            shape = (num_rows, len(owner_R))
            hidden_BR = torch.ones(shape, dtype=torch.bool, device=stack.down.device)
            self._hidden_BR.setdefault(name, hidden_BR)
            self._stacks[layout.blocks[layer].get_submodule(inner)] = (stack, name)

    def fill(self, adapters: Sequence[Adapter | None]) -> None:
        """Write down which adapter each row has."""
        number_B = np.array([-1 if a is None else self._number[a.key] for a in adapters])
        for name, hidden_BR in self._hidden_BR.items():
            if len(hidden_BR) != len(number_B):
                hidden_BR = hidden_BR.new_ones((len(number_B), hidden_BR.shape[1]))
                self._hidden_BR[name] = hidden_BR
            hidden_BR.copy_(torch.from_numpy(number_B[:, None] != self._owner_R[name]))

    def additions(self) -> Additions:
        """Return what is added to the outputs of one token per row."""
        return {
            module: [Addition(stack, len(hidden_BR), None, hidden_BR)]
            for module, (stack, name) in self._stacks.items()
            for hidden_BR in [self._hidden_BR[name]]
        }


def distinct(adapters: Iterable[Adapter | None]) -> dict[Hashable, Adapter]:
    """Return the adapters that differ, by their keys."""
    return {adapter.key: adapter for adapter in adapters if adapter is not None}


_PLACED: WeakKeyDictionary[Adapter, dict[tuple[int, str, torch.device], LowRank]] = (
    WeakKeyDictionary()
)
"""Copies of factors on the devices, and in the number formats, that they are computed in."""


def _placed(adapter: Adapter, layer: int, inner: str, device: torch.device) -> LowRank:
    """Return factors on ``device``, in float32 or better; those in training are copied anew."""
    factor = adapter.by_block[layer][inner]
    dtype = torch.promote_types(factor.down.dtype, torch.float32)
    here = all(x.device == device and x.dtype == dtype for x in (factor.down, factor.up))
    if here:
        return factor
    if factor.down.requires_grad or factor.up.requires_grad:
        return _copy(factor, device, dtype)
    copies = _PLACED.setdefault(adapter, {})
    place = (layer, inner, device)
    if place not in copies:
        # a copy that is made in inference mode could not be used where gradients are asked for
        with torch.inference_mode(False), torch.no_grad():
            copies[place] = _copy(factor, device, dtype)
    return copies[place]


def _copy(factor: LowRank, device: torch.device, dtype: torch.dtype) -> LowRank:
    down, up = factor.down.to(device, dtype), factor.up.to(device, dtype)
    return replace(factor, down=down, up=up)
