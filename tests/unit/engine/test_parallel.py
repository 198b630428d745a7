"""Workers: the same results as one, all threads given back, nobody left behind."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from trimtab.core.errors import NonFiniteError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine import parallel
from trimtab.engine.engine import Engine
from trimtab.engine.request import Activations, Edit, Options, Request, Text
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny


@pytest.fixture(params=["llama", "gemma3"])
def loaded(request: pytest.FixtureRequest, tmp_path) -> LoadedModel:
    save_tiny(tmp_path, request.param)
    return load_model(resolve(ModelSpec(id=str(tmp_path), device="cpu")))


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.setattr(parallel, "_WORTH_ROWS", 2)
    monkeypatch.setattr(parallel, "_WORTH_TOKENS", 16)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def work(loaded: LoadedModel) -> list[Request]:
    v = torch.randn(loaded.layout.hidden_size, generator=torch.Generator().manual_seed(0))
    wants = [
        Text(SamplingParams(max_tokens=9)),
        Text(SamplingParams(max_tokens=12, temperature=0.9), seed=3),
        Options(((7,), (8, 9, 10)), (1,)),
        Activations((1, 2), (5, 6), 2, 6),
    ]
    return [
        Request((i, strength, j), tuple(range(10 + i, 17 + 2 * i)), want, (Edit(1, v, strength),))
        for i in range(5)
        for strength in (0.0, 0.7)
        for j, want in enumerate(wants)
    ]


def test_two_workers_do_what_one_does(loaded, two_threads):
    requests = work(loaded)
    both = Engine(loaded)
    assert len(both._workers) == 2
    found = {r.key: r for r in both.run(requests)}
    torch.set_num_threads(1)
    alone = Engine(loaded)
    assert len(alone._workers) == 1
    for one in alone.run(requests):
        other = found.pop(one.key)
        if one.key[2] < 2:
            assert one.tokens == other.tokens
            assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
        elif one.key[2] == 2:
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
            assert one.kl[1] == pytest.approx(other.kl[1], abs=1e-5)
        else:
            torch.testing.assert_close(one.mean_LH, other.mean_LH)
    assert not found


def test_workers_share_weights_but_no_modules(loaded, two_threads):
    one, other = (worker.loaded.model for worker in Engine(loaded)._workers)
    assert not set(map(id, one.modules())) & set(map(id, other.modules()))
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert all(a is b for a, b in pairs)


def at_work() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("trimtab-worker")]


def test_results_come_in_the_same_order_each_time(loaded, two_threads):
    orders = [[r.key for r in Engine(loaded).run(work(loaded))] for _ in range(3)]
    assert orders[0] == orders[1] == orders[2]


def test_consumer_that_leaves_stops_the_workers(loaded, two_threads):
    many = SamplingParams(max_tokens=30)
    requests = [Request(i, (5, 6, 7 + i), Text(many)) for i in range(12)]
    requests[0] = Request(0, (5, 6, 7), Text(SamplingParams(max_tokens=1)))
    results = Engine(loaded).run(requests)
    next(results)
    assert at_work()
    results.close()
    assert not at_work()
    assert torch.get_num_threads() == 2


def test_error_of_one_worker_ends_the_others_and_is_raised(loaded, two_threads):
    v = torch.full((loaded.layout.hidden_size,), 1e30)
    many = SamplingParams(max_tokens=30)
    requests = [Request(i, (5, 6, 7 + i), Text(many)) for i in range(12)]
    requests[7] = replace(requests[7], edits=(Edit(0, v, 1e30),))
    with pytest.raises(NonFiniteError):
        list(Engine(loaded).run(requests))
    assert not at_work()
    assert torch.get_num_threads() == 2
