"""Workers: the same results as one, and nobody left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch

from trimtab.core.errors import NonFiniteError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.batching.scheduler import Limits
from trimtab.engine.engine import Engine
from trimtab.engine.request import (
    Activations,
    Edit,
    Options,
    OptionsResult,
    Request,
    Result,
    Text,
    TextResult,
)
from trimtab.engine.workers import parallel, pool
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


def at_work() -> list[multiprocessing.process.BaseProcess]:
    return [p for p in multiprocessing.active_children() if p.name.startswith(pool.NAME)]


def test_results_come_in_the_same_order_each_time(loaded, two_threads):
    requests = [r for r in work(loaded) if not isinstance(r.want, Options)]
    orders = [[r.key for r in Engine(loaded).run(requests)] for _ in range(3)]
    assert orders[0] == orders[1] == orders[2]


def test_option_scores_wait_for_no_slower_worker(loaded, two_threads):
    def score(requests: Sequence[Request], _limits: Limits) -> Iterator[Result]:
        if any(request.key == 0 for request in requests):
            time.sleep(1.0)
        for request in requests:
            yield OptionsResult(request.key, (0.0,), (None,))

    workers = parallel.Workers(loaded, {"options": score})
    requests = [Request(i, tuple(range(5 + i, 30 + i)), Options(((7,),))) for i in range(12)]
    order = [r.key for r in workers.run("options", requests, Limits(8, 64))]
    assert sorted(order) == list(range(12))
    # all that the other worker has come first
    assert order.index(0) >= 4


def test_what_is_there_already_changes_no_digit_of_the_others(loaded, two_threads):
    requests = work(loaded)
    engine = Engine(loaded)
    whole = {r.key: r for r in engine.run(requests)}
    for remainder in range(3):
        owed = {r.key for i, r in enumerate(requests) if i % 3 == remainder}
        partly = [replace(r, owed=r.key in owed) for r in requests]
        found = {r.key: r for r in engine.run(partly)}
        assert set(found) == owed
        for key, result in found.items():
            if key[2] < 3:
                assert result == whole[key]
            else:
                assert torch.equal(result.mean_LH, whole[key].mean_LH)


def test_consumer_that_leaves_stops_the_workers(loaded, two_threads):
    many = SamplingParams(max_tokens=30)
    requests = [Request(i, (5, 6, 7 + i), Text(many)) for i in range(12)]
    requests[0] = Request(0, (5, 6, 7), Text(SamplingParams(max_tokens=1)))
    results = Engine(loaded).run(requests)
    next(results)
    assert at_work()
    results.close()
    assert not at_work()


def test_error_of_one_worker_ends_the_others_and_is_raised(loaded, two_threads):
    v = torch.full((loaded.layout.hidden_size,), 1e30)
    many = SamplingParams(max_tokens=30)
    requests = [Request(i, (5, 6, 7 + i), Text(many)) for i in range(12)]
    requests[7] = replace(requests[7], edits=(Edit(0, v, 1e30),))
    with pytest.raises(NonFiniteError, match=r"row 7: first at model\.layers\.0"):
        list(Engine(loaded).run(requests))
    assert not at_work()


def long_texts() -> list[Request]:
    wants = [Text(SamplingParams(max_tokens=n)) for n in (1, 1, *[200] * 10)]
    return [Request(i, (5, 6, 7 + i), want) for i, want in enumerate(wants)]


def test_worker_that_the_system_kills_costs_no_row(loaded, two_threads):
    requests = long_texts()
    engine = Engine(loaded)
    results = engine.run(requests)
    found = [next(results)]
    os.kill(at_work()[0].pid or 0, signal.SIGKILL)
    found += results
    assert sorted(r.key for r in found) == list(range(12))
    expected = {r.key: r.tokens for r in Engine(loaded).run(requests)}
    assert {r.key: r.tokens for r in found} == expected


def test_worker_that_is_killed_while_it_sends_counts_as_out_of_memory(loaded, two_threads):
    def work(requests: Sequence[Request], _limits: Limits) -> Iterator[Result]:
        for request in requests:
            # longer than a pipe holds, so that the worker waits in the middle of it
            yield TextResult(request.key, "x" * 2**20, (), 0.0, "length")

    workers = parallel.Workers(loaded, {"texts": work})
    results = workers.run("texts", long_texts(), Limits(8, 64))
    next(results)
    time.sleep(0.5)
    for process in at_work():
        process.kill()
    with pytest.raises(MemoryError, match="killed a worker"):
        list(results)


def test_worker_that_dies_otherwise_is_told(loaded, two_threads):
    requests = long_texts()
    results = Engine(loaded).run(requests)
    next(results)
    os.kill(at_work()[0].pid or 0, signal.SIGTERM)
    with pytest.raises(RuntimeError, match="died with exit code -15"):
        list(results)


@pytest.mark.parametrize("where", ["block", "head"])
def test_weights_that_changed_are_the_workers_too(loaded, two_threads, where):
    requests = work(loaded)
    engine = Engine(loaded)
    before = {r.key: r for r in engine.run(requests)}
    with torch.no_grad():
        layout = loaded.layout
        changed = layout.blocks[0] if where == "block" else layout.lm_head
        for parameter in changed.parameters():
            parameter.mul_(0.5)
    after = {r.key: r for r in engine.run(requests)}
    options = [key for key in before if key[2] == 2]
    assert all(before[key].logprobs != after[key].logprobs for key in options)
    again = {r.key: r for r in Engine(loaded).run(requests)}
    assert [after[key].logprobs for key in options] == [again[key].logprobs for key in options]


def test_workers_are_kept_while_nothing_changes_and_end_with_their_engine(loaded, two_threads):
    requests = work(loaded)
    engine = Engine(loaded)
    first = {r.key: r for r in engine.run(requests)}
    pids = {process.pid for process in at_work()}
    second = {r.key: r for r in engine.run(requests)}
    assert {process.pid for process in at_work()} == pids
    assert [r.tokens for k, r in first.items() if k[2] < 2] == [
        r.tokens for k, r in second.items() if k[2] < 2
    ]
    del engine
    assert not at_work()


def test_a_kept_worker_that_ends_as_it_is_asked_costs_nothing(loaded, two_threads, monkeypatch):
    engine, requests = Engine(loaded), long_texts()[:4]
    expected = list(engine.run(requests))
    monkeypatch.setattr(pool.WorkerPool, "is_alive", True)
    for process in at_work():
        process.kill()
        process.join()
    assert list(engine.run(requests)) == expected


def test_workers_wait_since_the_first_of_them_was_done(loaded, two_threads):
    """Not since the last: the first ends by itself while the last is at work."""

    def work(requests: Sequence[Request], _limits: Limits) -> Iterator[Result]:
        for request in requests:
            time.sleep(0.3 if request.key == slow else 0)
            yield TextResult(request.key, "x", (), 0.0, "length")

    requests = long_texts()
    slow = requests[-1].key
    workers = parallel.Workers(loaded, {"texts": work})
    assert len(list(workers.run("texts", requests, Limits(8, 64)))) == len(requests)
    assert workers._pool is not None
    assert time.monotonic() - workers._pool.waiting_since > 0.25


def test_two_calls_at_once_have_workers_of_their_own(loaded, two_threads):
    engine = Engine(loaded)
    requests = long_texts()[:6]
    pairs = list(zip(engine.run(requests), engine.run(requests), strict=True))
    assert all(a == b for a, b in pairs)
    assert len(at_work()) == 2


def test_worker_that_waits_for_long_ends_and_another_comes(loaded, two_threads, monkeypatch):
    monkeypatch.setattr(pool, "IDLE_S", 0.2)
    engine = Engine(loaded)
    requests = long_texts()[:2]
    expected = list(engine.run(requests))
    deadline = time.monotonic() + 30
    while at_work() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not at_work()
    assert list(engine.run(requests)) == expected


OWNER = """
import sys, torch
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.workers import parallel
from trimtab.engine.engine import Engine
from trimtab.engine.request import Request, Text
from trimtab.models.load import load_model, resolve
parallel._WORTH_ROWS = 2
torch.set_num_threads(2)
engine = Engine(load_model(resolve(ModelSpec(id=sys.argv[1], device="cpu"))))
wants = [Text(SamplingParams(max_tokens=n)) for n in (1, *[3000] * 7)]
results = engine.run([Request(i, (5, 6 + i), want) for i, want in enumerate(wants)])
next(results)
import multiprocessing
print(*[p.pid for p in multiprocessing.active_children()], flush=True)
for _ in results:
    pass
"""


def test_workers_end_with_the_process_that_wants_their_results(tmp_path):
    save_tiny(tmp_path, "llama")
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == 2
        owner.kill()
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
