"""What is asked of the engine, and what comes back.

Positions are absolute: token i of a row's prompt is position i, and the first generated (or option,
or continuation) token is position ``n = len(prompt)``, whatever the padding side, the batch or the
cache holds. They mean the same in prefill, decode, option scoring and capture.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

import torch

from trimtab.core.types import FinishReason, SamplingParams


@dataclass(frozen=True)
class Window:
    """The absolute positions ``start <= p < stop``; no ``stop`` is no end."""

    start: int
    stop: int | None = None


Positions = Literal["all", "prompt", "last_prompt", "generated", "after_prompt"] | Window
"""Where an edit acts, for a prompt of n tokens.

``all``: every position. ``prompt``: p < n. ``last_prompt``: p = n - 1. ``generated``: p >= n - 1,
the positions whose outputs choose the generated tokens. ``after_prompt``: p >= n, which leaves the
first generated token untouched.
"""


Site = Literal["residual", "heads"]


@dataclass(frozen=True, eq=False)
class Edit:
    """Add ``strength * vector`` to the activations of block ``layer`` at ``positions``.

    Attributes:
        layer: 0-based block.
        vector: Float32 tensor, [hidden_size] or [heads * head_dim], see ``site``.
        strength: Multiplier in raw units of the vector; 0 is exactly no edit.
        positions: Where it acts.
        site: ``residual``: the block's output, the residual stream after it. ``heads``: the outputs
            of its attention heads, one after the other, before the output projection mixes them.
    """

    layer: int
    vector: torch.Tensor
    strength: float
    positions: Positions = "generated"
    site: Site = "residual"


@dataclass(frozen=True)
class Text:
    """Write a text after the prompt; ``seed`` starts this row's own random stream."""

    sampling: SamplingParams
    seed: int = 0


@dataclass(frozen=True)
class Options:
    """Score each option as a continuation of the prompt.

    Attributes:
        options: Token ids of each option.
        reference: Indices of the options on whose tokens KL(reference || this row) is measured.
        reference_prompt: Prompt of the reference, which has no edits; None is the row's own.
    """

    options: tuple[tuple[int, ...], ...]
    reference: tuple[int, ...] = ()
    reference_prompt: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Activations:
    """Read block outputs, averaged over positions ``start <= p < stop``.

    Attributes:
        layers: 0-based blocks.
        continuation: Tokens after the prompt (an answer), part of the absolute positions.
        start: First position read.
        stop: One past the last position read.
    """

    layers: tuple[int, ...]
    continuation: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Request:
    """One row of work.

    Attributes:
        key: Returned with the result; any hashable, e.g. (cell, sample, index).
        prompt: Token ids, special tokens included.
        want: A text, option scores or activations.
        edits: This row's own edits.
    """

    key: Hashable
    prompt: tuple[int, ...]
    want: Text | Options | Activations
    edits: tuple[Edit, ...] = field(default=())


@dataclass(frozen=True)
class TextResult:
    """A generated text: ``tokens`` include the one that ended it, ``text`` does not."""

    key: Hashable
    text: str
    tokens: tuple[int, ...]
    logprob: float
    finish_reason: FinishReason


@dataclass(frozen=True)
class OptionsResult:
    """Sum log-probability (nats) per option; mean KL per token for the reference options."""

    key: Hashable
    logprobs: tuple[float, ...]
    kl: tuple[float | None, ...]


@dataclass(frozen=True, eq=False)
class ActivationsResult:
    """Block outputs at the layers asked for.

    Attributes:
        key: The request's key.
        mean_LH: Float32 [layers, hidden], averaged over the positions in float64.
        norm_L: Float32 [layers], mean over the positions of the residual norm.
    """

    key: Hashable
    mean_LH: torch.Tensor
    norm_L: torch.Tensor


Result = TextResult | OptionsResult | ActivationsResult
