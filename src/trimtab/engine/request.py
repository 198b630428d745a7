"""What is asked of the engine, and what comes back.

Positions are absolute: token i of a row's prompt is position i, and the first generated (or option,
or continuation) token is position ``n = len(prompt)``, whatever else is in the batch or the
cache. They mean the same in prefill, decode, option scoring and capture.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from trimtab.core.types import FinishReason, GateReading, SamplingParams
from trimtab.engine.conversations import Conversations
from trimtab.models.lowrank import Adapter


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
Similarity = Literal["projected", "cosine"]


@dataclass(frozen=True, eq=False)
class Gate:
    """A condition on the prompt, unedited, under which an edit acts; see ``engine.acts.gates``.

    Attributes:
        layer: 0-based block whose output is read.
        vector: Condition vector, float32 [hidden_size].
        threshold: Value at which the gate turns.
        above: It is open above the threshold; otherwise below.
        similarity: What the value is.
        read: ``mean``: of the mean state of all prompt tokens; ``last``: of the last one's.
        width: 0: the edit acts or not. Else its strength is multiplied by the logistic function of
            the distance from the threshold over ``width``.
    """

    layer: int
    vector: torch.Tensor
    threshold: float
    above: bool = True
    similarity: Similarity = "projected"
    read: Literal["mean", "last"] = "mean"
    width: float = 0.0


@dataclass(frozen=True, eq=False)
class FromPrompt:
    """How a row's vector is made of a prompt, unedited; see ``engine.acts.prompted``.

    Attributes:
        layer: 0-based block whose output at the prompt's last token is the state that is read.
        vector_of: Returns the vector, float32 [hidden_size], of a state, float32 [hidden_size],
            both on the CPU.
        prompt: Token ids of the prompt to read; None is the row's own.
        of_partner: Whoever makes the requests is to put another sample's prompt there: the control
            that shows whether prompts matter.
    """

    layer: int
    vector_of: Callable[[torch.Tensor], torch.Tensor]
    prompt: tuple[int, ...] | None = None
    of_partner: bool = False


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
        gate: Condition on the prompt under which it acts; None is always.
        source: Makes the vector anew for each row, and ``vector`` only says its shape; None takes
            ``vector`` for all rows.
    """

    layer: int
    vector: torch.Tensor
    strength: float
    positions: Positions = "generated"
    site: Site = "residual"
    gate: Gate | None = None
    source: FromPrompt | None = None


Place = tuple[int, Site]
"""A block, and the site within it."""


@dataclass(frozen=True, eq=False)
class DynamicStrength:
    """Steering whose strength is chosen anew for each token, from what it would change.

    Dynamic Activation Composition, Scalena et al. 2024, arXiv 2406.17563. Step i feeds position
    n - 1 + i, the i-th whose output chooses a token. With p the unsteered next-token distribution
    and q the one with a property added at strength ``probe`` everywhere so far, Q the union of both
    distributions' likeliest tokens and both renormalised on it, the property's strength at step i
    is ``KL(p || q)`` on Q, at most ``most``. Strengths of earlier steps stay what they were.

    Attributes:
        properties: For each property what is added at strength 1: for each place a float32 tensor
            [steps, width]; nothing is added after the last step.
        names: What errors call the properties; numbers if there are none.
        constant: The tensors have one step, which is repeated for ever.
        probe: Strength at which a property's effect is measured.
        most: Largest strength.
        top_p: Mass of the likeliest tokens.
        inclusive: The token that crosses ``top_p`` belongs to them.
        per_token: Divide the divergence by the number of tokens in Q.
        reverse: Take KL(q || p).
    """

    properties: tuple[dict[Place, torch.Tensor], ...]
    names: tuple[str, ...] = ()
    constant: bool = False
    probe: float = 2.0
    most: float = 2.0
    top_p: float = 0.5
    inclusive: bool = True
    per_token: bool = False
    reverse: bool = False

    def edits(self, number: int, num_prompt: int, strengths: Sequence[float]) -> tuple[Edit, ...]:
        """Return what property ``number`` adds at the first steps, given its strength at each."""
        found = []
        for (layer, site), values in self.properties[number].items():
            for step, strength in enumerate(strengths):
                index = 0 if self.constant else step
                if index < len(values):
                    at = Window(num_prompt - 1 + step, num_prompt + step)
                    found.append(Edit(layer, values[index], strength, at, site))
        return tuple(found)


@dataclass(frozen=True)
class Text:
    """Write a text after the prompt.

    Attributes:
        sampling: How tokens are chosen.
        seed: Starts this row's own random stream.
        dynamic: Steering in the place of ``Request.edits``, if its strength is dynamic.
        watch: Told the text so far after each token that doesn't end it, by this process; what a
            dynamic strength steers is told at its end alone.
        conversations: Where the turn is kept, and where what its prompt begins with is looked up;
            rows with edits, and those that other processes write, read their prompts themselves.
    """

    sampling: SamplingParams
    seed: int = 0
    dynamic: DynamicStrength | None = None
    watch: Callable[[str], None] | None = None
    conversations: Conversations | None = None


@dataclass(frozen=True)
class Options:
    """Score each option as a continuation of the prompt.

    Attributes:
        options: Token ids of each option.
        reference: Indices of the options on whose tokens KL(reference || this row) is measured.
        reference_prompt: Prompt of the reference, which has neither edits nor adapter; None is the
            row's own.
    """

    options: tuple[tuple[int, ...], ...]
    reference: tuple[int, ...] = ()
    reference_prompt: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Activations:
    """Read activations at positions ``start <= p < stop``, averaged over them.

    Attributes:
        layers: 0-based blocks.
        continuation: Tokens after the prompt (an answer), part of the absolute positions.
        start: First position read.
        stop: One past the last position read.
        site: Block outputs, or the attention heads' before they are mixed (see ``Edit``).
        each: Return every position's, too.
        allow_nonfinite: Return values that are NaN or infinite; otherwise they are an error.
    """

    layers: tuple[int, ...]
    continuation: tuple[int, ...]
    start: int
    stop: int
    site: Site = "residual"
    each: bool = False
    allow_nonfinite: bool = False


@dataclass(frozen=True)
class Request:
    """One row of work.

    Attributes:
        key: Returned with the result; any hashable, e.g. (cell, sample, index).
        prompt: Token ids, special tokens included.
        want: A text, option scores or activations.
        edits: This row's own edits.
        adapter: This row's own low-rank change of the weights; gates and vectors that are made of
            prompts read the model with it.
        owed: Whether its result is wanted. One that is there already takes part where others are
            owed, so that batches keep their shapes; a batch of such rows alone is left out.
    """

    key: Hashable
    prompt: tuple[int, ...]
    want: Text | Options | Activations
    edits: tuple[Edit, ...] = field(default=())
    adapter: Adapter | None = None
    owed: bool = True


@dataclass(frozen=True)
class TextResult:
    """A generated text.

    Attributes:
        key: The request's key.
        text: Without what ended it.
        tokens: With the one that ended it.
        logprob: Sum of the tokens' log-probabilities (nats, temperature 1).
        finish_reason: Why it ended.
        logprobs: What ``logprob`` is the sum of, in the order of ``tokens``.
        strengths: For each property of a ``DynamicStrength``, the strength at each token.
        gates: What the gates of its edits read.
    """

    key: Hashable
    text: str
    tokens: tuple[int, ...]
    logprob: float
    finish_reason: FinishReason
    logprobs: tuple[float, ...] = ()
    strengths: tuple[tuple[float, ...], ...] = ()
    gates: tuple[GateReading, ...] = ()


@dataclass(frozen=True)
class OptionsResult:
    """Sum log-probability (nats) per option, mean KL per token for the reference options, gates."""

    key: Hashable
    logprobs: tuple[float, ...]
    kl: tuple[float | None, ...]
    gates: tuple[GateReading, ...] = ()


@dataclass(frozen=True, eq=False)
class ActivationsResult:
    """Activations at the layers asked for.

    Attributes:
        key: The request's key.
        mean_LH: Float32 [layers, width of the site], averaged over the positions in float64.
        norm_L: Float32 [layers], mean over the positions of the norm.
        each_PLH: Float32 [positions, layers, width], if asked for.
        gates: What the gates of its edits read.
    """

    key: Hashable
    mean_LH: torch.Tensor
    norm_L: torch.Tensor
    each_PLH: torch.Tensor | None = None
    gates: tuple[GateReading, ...] = ()


Result = TextResult | OptionsResult | ActivationsResult
