"""How many tokens per second a model reads, writes and learns from on this machine.

Random tokens, so that nothing is shared between rows and no text ends of itself before its limit;
every number is the best of three turns, the first of which only warms up, or of fewer where those
take long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.reading.likelihood import Learned, token_logprobs
from trimtab.engine.request import Request, Text
from trimtab.training.sft.config import AdapterTraining
from trimtab.training.sft.fit import new_adapter

_TURNS = 3
_MOST_SECONDS = 20.0
"""After these no further turn is begun."""


@dataclass(frozen=True)
class Shape:
    """What is measured with.

    Attributes:
        rows: Rows side by side.
        prompt: Tokens of each prompt.
        written: Most tokens that are written after it.
    """

    rows: int = 32
    prompt: int = 128
    written: int = 64


@dataclass(frozen=True)
class Speeds:
    """Tokens per second.

    Attributes:
        forward: Read, as prompts are.
        generate: Written, the reading of the prompts not counted.
        train: Learned from by an adapter of rank 8 on all linear layers: a pass forward and back.
    """

    forward: float
    generate: float
    train: float


def measure(engine: Engine, shape: Shape) -> Speeds:
    """Return the speeds of a model that is loaded."""
    prompts = _prompts(engine, shape)
    read = _seconds(engine, lambda: _write(engine, prompts, 1))
    # each row has a random stream of its own, so every turn writes as many tokens
    written: list[int] = []
    both = _seconds(engine, lambda: written.append(_write(engine, prompts, shape.written)))
    trained = prompts[: max(1, shape.rows // 4)]
    learn = _seconds(engine, _learning(engine, trained))
    tokens = shape.rows * shape.prompt
    # where writing took no longer than reading alone, no speed of it can be told apart
    decode = max(both - read, both / 100)
    return Speeds(
        tokens / read,
        max(written[-1] - shape.rows, 1) / decode,
        len(trained) * shape.prompt / learn,
    )


def _prompts(engine: Engine, shape: Shape) -> list[tuple[int, ...]]:
    draw = torch.Generator().manual_seed(0)
    size = engine.loaded.resolved.card.vocab_size
    tokens_RT = torch.randint(0, size, (shape.rows, shape.prompt), generator=draw)
    return [tuple(row) for row in tokens_RT.tolist()]


def _write(engine: Engine, prompts: list[tuple[int, ...]], most: int) -> int:
    """Write after prompts; return how many tokens were written."""
    sampling = SamplingParams(max_tokens=most, temperature=1.0)
    asked = [Request(i, prompt, Text(sampling, i)) for i, prompt in enumerate(prompts)]
    return sum(len(getattr(result, "tokens", ())) for result in engine.run(asked))


def _learning(engine: Engine, prompts: list[tuple[int, ...]]) -> Callable[[], None]:
    """Return what computes gradients of an adapter on rows, as a training does for one update."""
    module = new_adapter(engine, AdapterTraining(rank=8), seed=0)
    places = range(1, len(prompts[0]))
    rows = [Learned(prompt, tuple(places), module.adapter) for prompt in prompts]

    def learn() -> None:
        module.zero_grad()
        logprobs = token_logprobs(engine.loaded, engine.head, rows)
        (-torch.cat(logprobs).sum()).backward()

    return learn


def _seconds(engine: Engine, work: Callable[[], object]) -> float:
    """Return the least time that some work takes; of several turns the first one is left out."""
    taken: list[float] = []
    while len(taken) < _TURNS and sum(taken) < _MOST_SECONDS:
        began = time.monotonic()
        work()
        if engine.loaded.device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.monotonic() - began)
    return max(min(taken[1:] or taken), 1e-9)
