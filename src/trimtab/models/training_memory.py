"""How much memory training an adapter needs, from the model's configuration alone. No torch.

An estimate from above: it takes all linear layers to have factors, and attention scores of rows as
long as a whole pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trimtab.core.errors import MemoryShortError
from trimtab.core.spec import ModelSpec
from trimtab.models.memory import ModelCard, estimate_bytes

_WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
_PER_PARAMETER = 4 * 4
"""Bytes: a weight, its gradient and AdamW's two moments, all in float32."""

_PROCESS = 9 * 2**30 // 10
"""Bytes of Python, libraries, kernels and mapped weights on a processor, once."""

_LOGITS = 3 * 2**26
"""Bytes of logits, their exponentials and their gradients, which are made slice by slice."""


@dataclass(frozen=True)
class TrainingEstimate:
    """Bytes of what training holds at once.

    Attributes:
        weights: Of the base.
        adapter: Factors, gradients and moments, of all adapters.
        activations: What a pass keeps for its gradients, and a slice of logits.
        cache: Keys and values of rows that are written, and their logits.
        process: Of the process itself, on a processor.
    """

    weights: int
    adapter: int
    activations: int
    cache: int = 0
    process: int = 0

    @property
    def total(self) -> int:
        """Sum of the parts, in bytes."""
        return self.weights + self.adapter + self.activations + self.cache + self.process


def estimate_training(
    card: ModelCard, spec: ModelSpec, *, rank: int, tokens: int, recompute: bool
) -> TrainingEstimate:
    """Estimate the bytes of training factors of every linear layer.

    Args:
        card: The model's numbers.
        spec: The model, with its number format resolved.
        rank: Of the factors.
        tokens: Computed at once.
        recompute: Blocks keep only what enters them.
    """
    hidden, keys = card.hidden_size, card.num_kv_heads * card.head_dim
    outside = card.vocab_size * hidden * (1 if card.tied else 2)
    block = max(card.num_parameters - outside, 0) // card.num_layers
    inner = max((block - 2 * hidden * (hidden + keys)) // (3 * hidden), hidden)
    factors = card.num_layers * rank * (4 * hidden + 2 * (hidden + keys) + 3 * (hidden + inner))
    width = _WIDTH[spec.dtype]
    # inputs of linear layers (in float32 for the factors, too), norms, keys, values and products;
    # measured in float32: 2.0 MB a token of SmolLM2-135M
    per_token = width * (12 * hidden + 6 * inner + 4 * keys)
    per_token += 4 * (5 * hidden + inner) if width < 4 else 0
    held = (hidden * width * card.num_layers + per_token) if recompute else 0
    activations = tokens * (held or per_token * card.num_layers) + _LOGITS
    weights = estimate_bytes(card, spec.dtype, 1, 1, spec.quantization).weights
    process = _PROCESS if spec.device == "cpu" else 0
    return TrainingEstimate(weights, factors * _PER_PARAMETER, activations, process=process)


def estimate_cohort(
    card: ModelCard,
    spec: ModelSpec,
    *,
    rank: int,
    runs: int,
    rows: int,
    row_tokens: int,
    most_tokens: int,
) -> TrainingEstimate:
    """Estimate the bytes of runs that write and learn side by side on one base.

    On a GPU 0.6 GiB more are taken by the driver and the libraries, which is not in it.

    Args:
        card: The model's numbers.
        spec: The model, with its number format resolved.
        rank: Of each run's factors.
        runs: Runs, each with factors of its own.
        rows: Conversations of a round, of all runs.
        row_tokens: Tokens of a conversation.
        most_tokens: Tokens that are learned from at once.
    """
    # a conversation is never cut, however few tokens are allowed
    tokens = min(rows * row_tokens, max(most_tokens, row_tokens))
    # factors of several runs take as much as those of one run of the sum of their ranks
    learning = estimate_training(card, spec, rank=rank * runs, tokens=tokens, recompute=False)
    writing = estimate_bytes(card, spec.dtype, rows, row_tokens, spec.quantization)
    return replace(learning, cache=writing.cache + writing.logits)


def check_training_fits(
    estimate: TrainingEstimate, spec: ModelSpec, available: int | None, *, loaded: bool = False
) -> None:
    """Raise MemoryShortError if a training can't fit into ``available`` bytes.

    Args:
        estimate: Of the training.
        spec: The model.
        available: Free bytes; None if unknown.
        loaded: The model's weights are there already.
    """
    need = estimate.total - (estimate.weights + estimate.process if loaded else 0)
    if available is not None and need > available:
        raise MemoryShortError(
            f"Training an adapter of {spec.id!r} needs about {need / 2**30:.1f} GiB (weights "
            f"{estimate.weights / 2**30:.1f}, adapter {estimate.adapter / 2**30:.2f}, activations "
            f"{estimate.activations / 2**30:.1f}), and {spec.device} has {available / 2**30:.1f} "
            "GiB free.",
            hint="Lower `most_tokens`, set `recompute: true`, or use `dtype: bfloat16` or "
            "`quantization: 4bit`.",
        )
