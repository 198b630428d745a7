"""Turns that go on from what is kept equal turns whose whole prompts are read."""

from dataclasses import replace

import pytest
import recorded_operations
import torch
from random_adapters import random_adapter

from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.batching.scheduler import Limits
from trimtab.engine.conversations import Conversations
from trimtab.engine.passes import passes
from trimtab.engine.passes.head import Head
from trimtab.engine.request import Edit, Request, Text, TextResult
from trimtab.engine.writing.decode import write
from trimtab.engine.writing.stepping import write_static
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny

TOLERANCE = 4e-5


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> LoadedModel:
    path = save_tiny(tmp_path_factory.mktemp(request.param), request.param)
    return load_model(resolve(ModelSpec(id=str(path), device="cpu")))


def first_turns(loaded: LoadedModel, shared: int) -> list[Request]:
    """Rows of three adapters, one with edits, drawn, of 1 to 30 tokens beyond a common start."""
    generator = torch.Generator().manual_seed(shared)
    common = torch.randint(10, 200, (shared,), generator=generator).tolist()
    adapters = [None, *(random_adapter(loaded, seed=seed) for seed in (1, 2))]
    v = torch.randn(loaded.layout.hidden_size, generator=generator)
    found = []
    for i, count in enumerate((30, 1, 9, 17, 4, 1)):
        own = torch.randint(10, 200, (count,), generator=generator).tolist()
        want = Text(SamplingParams(max_tokens=3 + 7 * (i % 3), temperature=1.0), seed=i)
        edits = (Edit(1, v, 0.5),) if i == 4 else ()
        found.append(Request(i, (*common, *own), want, edits, adapters[i % 3]))
    return found


def next_turn(request: Request, result: TextResult) -> Request:
    """Return what follows; that of row 3 goes on in another way than the text was written."""
    tokens = result.tokens[:-2] if request.key == 3 else result.tokens
    prompt = (*request.prompt, *tokens, *(11 + request.key + i for i in range(request.key)), 7)
    return replace(request, prompt=prompt)


@pytest.mark.parametrize(
    ("way", "shared"), [("step by step", 20), ("step by step", 80), ("recorded", 80)]
)
def test_three_turns_equal_turns_that_are_read_whole(loaded, monkeypatch, way, shared) -> None:
    head, limits = Head(loaded), Limits(4, 200)
    read: list[int] = []
    run = passes.Pass.run

    def counted(self: passes.Pass, *args, **options):
        read.append(sum(len(segment.tokens) for segment in self.segments))
        return run(self, *args, **options)

    monkeypatch.setattr(passes.Pass, "run", counted)

    def written(requests: list[Request]) -> dict[int, TextResult]:
        read.clear()
        with torch.no_grad():
            if way == "step by step":
                return {r.key: r for r in write(loaded, head, requests, limits)}
            results = write_static(loaded, head, requests, limits, recorded_operations.record)
            return {r.key: r for r in results}

    kept = Conversations()
    whole = first_turns(loaded, shared)
    for turn in range(3):
        going_on = [replace(r, want=replace(r.want, conversations=kept)) for r in whole]
        expected, num_whole = written(whole), sum(read)
        found, num_read = written(going_on), sum(read)
        for key, result in expected.items():
            assert found[key].tokens == result.tokens
            assert found[key].logprobs == pytest.approx(result.logprobs, abs=TOLERANCE)
        if turn:
            # a row with edits is read whole
            most = sum(len(r.prompt) if r.edits else r.key + 3 for r in whole)
            assert num_read <= most < num_whole
        else:
            assert num_read == num_whole
        whole = [next_turn(request, expected[request.key]) for request in whole]
