"""Short rows of mixed lengths through the engine, and through the model's own forward.

Four prompts, of which three begin alike and one is short; texts, options, activations and an edit.

Shapes: T tokens, V vocabulary, H hidden.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trimtab.core.types import SamplingParams
from trimtab.engine.request import (
    Activations,
    ActivationsResult,
    Edit,
    Options,
    OptionsResult,
    Request,
    Result,
    Text,
    TextResult,
)
from trimtab.models.load import LoadedModel

_SHARED, _OWN, _ALONE = 17, (1, 4, 8), 4
"""Tokens that three prompts begin with, enough to be shared, and those that each has for itself;
those of the other prompt."""

_NUM_NEW = 2
_NATS, _NATS_REDUCED = 2e-3, 0.3
"""Largest mean difference per token in float32, and in formats that round more. A lost prefix,
position or scale moves a log-probability by far more, rounding by far less."""

_SHARE, _SHARE_REDUCED = 1e-3, 0.1
"""Largest difference of a block's output, relative to its norm."""


@dataclass(frozen=True)
class Difference:
    """How far the engine is from transformers.

    Attributes:
        what: The kind of result, in words.
        value: The difference.
        most: What rounding may explain.
        unit: Of both.
    """

    what: str
    value: float
    most: float
    unit: str

    @property
    def is_finite(self) -> bool:
        """Whether both sides are finite."""
        return math.isfinite(self.value)

    def __str__(self) -> str:
        """Return it as part of a sentence."""
        return f"{self.what} differ by {self.value:.3g} {self.unit} (at most {self.most:g})"


def differences(
    loaded: LoadedModel, run: Callable[[Sequence[Request]], Iterator[Result]]
) -> list[Difference]:
    """Return how far what ``run`` computes is from the model's own forward, for each kind."""
    prompts, other, ending = _tokens(loaded)
    if loaded.num_positions is not None:
        # a model for rows shorter still is tried with what it has room for
        prompts = [prompt[: max(1, loaded.num_positions - _NUM_NEW)] for prompt in prompts]
    alone, num_layers = prompts[-1], loaded.layout.num_layers
    # the last block's output is there after the final norm only
    layers = tuple(range(num_layers - 1)) or (0,)
    text = Text(SamplingParams(max_tokens=_NUM_NEW))
    asked = [Request(i, prompt, text) for i, prompt in enumerate(prompts[:-1])]
    read = Activations(layers, (), len(alone) - 1, len(alone))
    first = {r.key: r for r in run([*asked, Request("states", alone, read)])}
    states = first.pop("states")
    assert isinstance(states, ActivationsResult)
    texts = [first[request.key] for request in asked]
    tails = [*(r.tokens for r in texts if isinstance(r, TextResult)), ending]
    options = [((other,), tail[:2]) for tail in tails]
    edit = _edit(loaded, layers[len(layers) // 2], states)
    pairs = enumerate(zip(prompts, options, strict=True))
    scored = [Request(i, prompt, Options(some)) for i, (prompt, some) in pairs]
    edited = Request("edited", prompts[0], Options(options[0]), (edit,))
    second = {r.key: r for r in run([*scored, edited])}

    rows = _plain(loaded, list(zip(prompts, tails, strict=True)))
    with _adding(loaded, edit, len(prompts[0])):
        (row_edited,) = _plain(loaded, [(prompts[0], tails[0])])
    exact = loaded.dtype == torch.float32 and loaded.resolved.spec.quantization is None
    nats = _NATS if exact else _NATS_REDUCED
    found = [
        _texts(list(zip(texts, rows, strict=False)), nats),
        _options("options", [(second[i], row, options[i]) for i, row in enumerate(rows)], nats),
        _options("options under an edit", [(second["edited"], row_edited, options[0])], nats),
    ]
    if rows[-1].states and num_layers > 1:
        wanted = [rows[-1].states[layer + 1][len(alone) - 1] for layer in layers]
        found.append(
            _states(states.mean_LH, torch.stack(wanted), _SHARE if exact else _SHARE_REDUCED)
        )
    return found


def _tokens(loaded: LoadedModel) -> tuple[list[tuple[int, ...]], int, tuple[int, ...]]:
    """Return the prompts, a token to score, and what follows the last prompt: all plain words."""
    added: Any = getattr(loaded.tokenizer, "added_tokens_decoder", {})
    special = {*added, *loaded.tokenizer.all_special_ids, *loaded.eos_ids}
    words = [i for i in range(min(loaded.num_words, len(loaded.tokenizer))) if i not in special]
    generator = torch.Generator().manual_seed(0)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(words[i] for i in torch.randint(len(words), (count,), generator=generator))

    shared = draw(_SHARED)
    prompts = [shared + draw(count) for count in _OWN]
    return [*prompts, draw(_ALONE)], draw(1)[0], draw(2)


@dataclass(frozen=True, eq=False)
class _Plain:
    """A row in the model's own forward.

    Attributes:
        logprobs_TV: Log-probabilities from the prompt's last token on.
        states: Its hidden states [T, H], of the embedding and after each block; empty if the
            family does not give them.
    """

    logprobs_TV: torch.Tensor
    states: list[torch.Tensor]

    def logprob(self, tokens: Sequence[int]) -> float:
        """Return the log-probability of what begins as the tail does, up to its last token."""
        return float(sum(self.logprobs_TV[i, token] for i, token in enumerate(tokens)))

    def surplus(self, tokens: Sequence[int]) -> float:
        """Return how much likelier, in nats, the likeliest tokens are than these."""
        best = self.logprobs_TV[: len(tokens)].amax(dim=-1).sum()
        return float(best) - self.logprob(tokens)


def _plain(
    loaded: LoadedModel, rows: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> list[_Plain]:
    """Return rows of prompts and what follows them, each as in a forward of its own.

    They stand in one batch, filled up behind their ends, where no token of theirs looks.
    """
    whole = [[*prompt, *tail] for prompt, tail in rows]
    longest = max(map(len, whole))
    ids = [row + row[-1:] * (longest - len(row)) for row in whole]
    output = loaded.model(
        input_ids=torch.tensor(ids, device=loaded.device),
        use_cache=False,
        output_hidden_states=True,
    )
    found = []
    for i, (prompt, tail) in enumerate(rows):
        start, stop = len(prompt) - 1, len(prompt) + len(tail)
        logprobs_TV = output.logits[i, start:stop].float().log_softmax(dim=-1).double().cpu()
        states = [h[i, :stop].cpu() for h in getattr(output, "hidden_states", None) or ()]
        found.append(_Plain(logprobs_TV, states))
    return found


def _texts(pairs: Sequence[tuple[Result, _Plain]], most: float) -> Difference:
    """Compare greedy texts: how likely they are, and that nothing else was likelier."""
    off, num_tokens = 0.0, 0
    for result, plain in pairs:
        assert isinstance(result, TextResult)
        off += abs(result.logprob - plain.logprob(result.tokens)) + plain.surplus(result.tokens)
        num_tokens += len(result.tokens)
    return Difference("log-probabilities of texts", off / num_tokens, most, "nats a token")


def _options(
    what: str, triples: Sequence[tuple[Result, _Plain, Sequence[tuple[int, ...]]]], most: float
) -> Difference:
    off, num_tokens = 0.0, 0
    for result, plain, options in triples:
        assert isinstance(result, OptionsResult)
        for option, logprob in zip(options, result.logprobs, strict=True):
            off += abs(logprob - plain.logprob(option))
            num_tokens += len(option)
    return Difference(f"log-probabilities of {what}", off / num_tokens, most, "nats a token")


def _states(found_LH: torch.Tensor, wanted_LH: torch.Tensor, most: float) -> Difference:
    off_L = (found_LH - wanted_LH.float()).norm(dim=1) / wanted_LH.float().norm(dim=1)
    return Difference("outputs of blocks", float(off_L.max()), most, "of their norm")


def _edit(loaded: LoadedModel, layer: int, states: ActivationsResult) -> Edit:
    """Return an edit half as large as what the block gives."""
    vector = torch.randn(loaded.layout.hidden_size, generator=torch.Generator().manual_seed(1))
    norm = float(states.norm_L[min(layer, len(states.norm_L) - 1)])
    return Edit(layer, vector, 0.5 * norm / float(vector.norm()), "generated")


@contextmanager
def _adding(loaded: LoadedModel, edit: Edit, num_prompt: int) -> Iterator[None]:
    """Add what ``edit`` adds from a prompt's last token on, by a plain hook."""

    def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
        h_1TH = (output[0] if isinstance(output, tuple) else output).clone()
        h_1TH[:, num_prompt - 1 :] += (edit.strength * edit.vector).to(h_1TH)
        return (h_1TH, *output[1:]) if isinstance(output, tuple) else h_1TH

    handle = loaded.layout.blocks[edit.layer].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
