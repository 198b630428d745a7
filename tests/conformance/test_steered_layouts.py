"""Llama, GPT-2 and GPT-Neo, steered: what the engine gives is what plain transformers gives.

The other side is what a researcher writes without this package: a batch padded on the left, a
forward hook, ``generate`` with its own cache. Prompts are of 2 tokens and more, on both sides of
GPT-Neo's local window of 16; the engine packs the same rows without padding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import (
    Activations,
    ActivationsResult,
    Edit,
    Options,
    OptionsResult,
    Request,
    Text,
    TextResult,
)
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny

LENGTHS = (2, 3, 15, 16, 17, 50)
LAYER, STRENGTH, NUM_NEW = 1, 1.5, 24
OPTIONS = ((5,), (6, 7, 8), (65, 66))
EOS = 257

Sides = tuple[Engine, PreTrainedModel, list[str]]


@pytest.fixture(scope="module", params=["llama", "gpt2", "gpt_neo"])
def sides(request: pytest.FixtureRequest, tmp_path_factory) -> Sides:
    """The engine, a copy of the model that it never saw, and the names of the copy's blocks."""
    path: Path = save_tiny(tmp_path_factory.mktemp(request.param), request.param)
    loaded = load_model(resolve(ModelSpec(id=str(path), device="cpu", dtype="float32")))
    plain = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    return Engine(loaded), plain, loaded.layout.block_names


@pytest.fixture(scope="module")
def prompts() -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(1)
    return [
        tuple(torch.randint(10, 250, (length,), generator=generator).tolist()) for length in LENGTHS
    ]


def vector(width: int) -> torch.Tensor:
    return torch.randn(width, generator=torch.Generator().manual_seed(2))


def edits(sides: Sides) -> tuple[Edit, ...]:
    return (Edit(LAYER, vector(sides[0].loaded.layout.hidden_size), STRENGTH, "all"),)


@contextmanager
def steered(sides: Sides) -> Iterator[PreTrainedModel]:
    """Add the vector to every position of the copy's block by an ordinary hook."""
    _, plain, names = sides

    def hook(_module, _args, output):
        h = output[0] if isinstance(output, tuple) else output
        out = h + STRENGTH * vector(h.shape[-1])
        return (out, *output[1:]) if isinstance(output, tuple) else out

    handle = plain.get_submodule(names[LAYER]).register_forward_hook(hook)
    try:
        yield plain
    finally:
        handle.remove()


def padded(rows: list[tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Return token ids and mask [B, T], padded on the left."""
    width = max(map(len, rows))
    ids = torch.tensor([[258] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return {"input_ids": ids, "attention_mask": mask}


def positions(mask: torch.Tensor) -> torch.Tensor:
    return (mask.cumsum(1) - 1).clamp(min=0)


def test_steered_texts_are_those_of_generate(sides: Sides, prompts) -> None:
    want = Text(SamplingParams(max_tokens=NUM_NEW))
    ours = {r.key: r for r in sides[0].run([Request(p, p, want, edits(sides)) for p in prompts])}
    unsteered = {r.key: r for r in sides[0].run([Request(p, p, want) for p in prompts])}
    batch = padded(prompts)
    with steered(sides) as plain:
        whole = plain.generate(
            **batch, max_new_tokens=NUM_NEW, do_sample=False, eos_token_id=EOS, pad_token_id=258
        )
    changed = 0
    for prompt, row in zip(prompts, whole[:, batch["input_ids"].shape[1] :].tolist(), strict=True):
        result = ours[prompt]
        assert isinstance(result, TextResult)
        expected = row[: row.index(EOS) + 1] if EOS in row else row
        assert list(result.tokens) == expected, f"prompt of {len(prompt)}"
        changed += result.tokens != unsteered[prompt].tokens  # type: ignore[union-attr]
    assert changed > 3, "the vector matters"


def test_steered_options_are_scored_as_in_a_padded_batch(sides: Sides, prompts) -> None:
    asked = [Request(p, p, Options(OPTIONS), edits(sides)) for p in prompts]
    batch = padded([(*prompt, *option) for prompt in prompts for option in OPTIONS])
    with steered(sides) as plain, torch.no_grad():
        logits = plain(**batch, position_ids=positions(batch["attention_mask"])).logits
    for result in sides[0].run(asked):
        assert isinstance(result, OptionsResult)
        first = prompts.index(result.key) * len(OPTIONS)
        for at, (option, logprob) in enumerate(zip(OPTIONS, result.logprobs, strict=True)):
            row = logits[first + at, -len(option) - 1 : -1].log_softmax(-1)
            expected = float(row.gather(1, torch.tensor(option)[:, None]).sum())
            assert logprob == pytest.approx(expected, abs=1e-4), f"prompt of {len(result.key)}"


def test_steered_activations_are_hidden_states(sides: Sides, prompts) -> None:
    answer = (70, 71, 72)
    blocks = (0, LAYER, 2)
    asked = [
        Request(p, p, Activations(blocks, answer, len(p), len(p) + len(answer)), edits(sides))
        for p in prompts
    ]
    batch = padded([(*prompt, *answer) for prompt in prompts])
    with steered(sides) as plain, torch.no_grad():
        hidden = plain(
            **batch,
            position_ids=positions(batch["attention_mask"]),
            output_hidden_states=True,
        ).hidden_states
    for result in sides[0].run(asked):
        assert isinstance(result, ActivationsResult)
        row = prompts.index(result.key)
        for found, block in zip(result.mean_LH, blocks, strict=True):
            expected = hidden[block + 1][row, -len(answer) :].mean(0)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
