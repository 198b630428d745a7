import json

import pytest
import torch
from torch import nn

from trimtab.core.errors import NonFiniteError, StoreError
from trimtab.core.training import Training
from trimtab.training.course import Course
from trimtab.training.loop import Loop


class Quadratic:
    """Squared distance of the output to a target; items have different weights."""

    def __init__(self, module: nn.Module, poison: int | None = None) -> None:
        drawn = torch.Generator().manual_seed(7)
        self.x = torch.randn(23, 5, generator=drawn)
        self.y = torch.randn(23, generator=drawn)
        self.module, self.poison, self.seen = module, poison, []

    def loss(self, items):
        self.seen += items
        weight_N = 1.0 + torch.tensor(items) % 3
        error_N = self.module(self.x[items]).squeeze(-1) - self.y[items]
        poisoned = self.poison is not None and len(self.seen) >= self.poison
        scale = float("nan") if poisoned else 1.0
        return scale * (weight_N * error_N.square()).sum(), float(weight_N.sum())

    def state(self):
        return {"seen": self.seen}

    def restore(self, state):
        self.seen = list(state["seen"])


@pytest.fixture
def net():
    def make(dropout=0.0):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))

    return make


@pytest.fixture
def loop(tmp_path):
    def make(module, settings, *, name="run", objective=None, evaluate=None, **more):
        return Loop(
            module,
            objective or Quadratic(module),
            Course(
                settings=settings,
                folder=tmp_path / name,
                seed=3,
                identity=more.pop("identity", "a"),
                checkpoint_seconds=more.pop("checkpoint_seconds", 0.0),
            ),
            num_items=23,
            evaluate=evaluate,
        )

    return make


def test_a_batch_in_parts_is_the_batch(net, loop) -> None:
    whole, parts = net(), net()
    settings = Training(steps=9, batch=4, learning_rate=0.05)
    loop(whole, settings, name="whole").run()
    loop(parts, settings.model_copy(update={"micro_batch": 1}), name="parts").run()
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6, rtol=0)


def test_each_epoch_sees_every_item_once_in_its_own_order(net, loop) -> None:
    module = net()
    objective = Quadratic(module)
    loop(module, Training(epochs=2, batch=5), objective=objective).run()
    first, second = objective.seen[:23], objective.seen[23:]
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second != list(range(23))


def test_it_matches_a_plain_loop(net, loop) -> None:
    """Against AdamW driven by hand on the same batches, without accumulation or checkpoints."""
    module, plain = net(), net()
    settings = Training(steps=7, batch=6, learning_rate=0.03, clip=0.5, weight_decay=0.2)
    objective = Quadratic(module)
    rows = loop(module, settings, objective=objective).run().rows
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in plain.parameters() if p.dim() > 1], "weight_decay": 0.2},
            {"params": [p for p in plain.parameters() if p.dim() == 1], "weight_decay": 0.0},
        ],
        betas=settings.betas,
    )
    sizes = [6, 6, 6, 5, 6, 6, 6]
    at = 0
    for step, size in enumerate(sizes):
        items = objective.seen[at : at + size]
        at += size
        total, weight = Quadratic(plain).loss(items)
        loss = total / weight
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate(step, 7)
        optimizer.step()
        assert rows[step]["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
        assert rows[step]["gradient_norm"] == pytest.approx(float(norm), rel=1e-5)
    for a, b in zip(module.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_patience_ends_it_and_the_best_weights_come_back(net, loop) -> None:
    module = net()
    looks, kept = iter([0.5, 0.6, 0.9, 0.9, 0.7, 0.8, 1.0]), []

    def evaluate() -> float:
        kept.append(module[0].weight.detach().clone())
        return (next(looks),)

    settings = Training(steps=50, batch=5, evaluate_every=2, patience=3)
    outcome = loop(module, settings, evaluate=evaluate).run()
    assert (outcome.reason, outcome.steps) == ("patience", 10)
    assert (outcome.best, outcome.best_step, outcome.untrained) == (0.9, 4, 0.5)
    assert torch.equal(module[0].weight, kept[2])
    assert not torch.equal(kept[-1], kept[2])


def test_the_callers_random_stream_is_left_alone(net, loop) -> None:
    module = net(dropout=0.5)
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    loop(module, Training(steps=3)).run()
    assert torch.equal(torch.rand(3), expected)


def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(net, loop, tmp_path) -> None:
    settings = Training(steps=12, batch=4, micro_batch=3, learning_rate=0.05, evaluate_every=5)

    def evaluate_by(module):
        return lambda: (-Quadratic(module).loss(list(range(23)))[0].item(),)

    whole = net(dropout=0.3)
    loop(whole, settings, name="whole", evaluate=evaluate_by(whole)).run()
    for poisoned in (1, 3, 4, 8, 15, 22, 24, 37, 46):
        module = net(dropout=0.3)
        broken = loop(
            module,
            settings,
            name="broken",
            objective=Quadratic(module, poison=poisoned),
            evaluate=evaluate_by(module),
        )
        with pytest.raises(NonFiniteError, match="Update"):
            broken.run()
    module = net(dropout=0.3)
    loop(module, settings, name="broken", evaluate=evaluate_by(module)).run()
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_a_finished_training_is_found_again(net, loop, tmp_path) -> None:
    module, again = net(), net()
    settings = Training(steps=4)
    first = loop(module, settings).run()
    before = contents(tmp_path / "run")
    objective = Quadratic(again)
    second = loop(again, settings, objective=objective).run()
    assert second == first and second.rows == first.rows
    assert contents(tmp_path / "run") == before
    assert torch.equal(again[0].weight, module[0].weight)


def test_another_trainings_checkpoint_is_refused(net, loop) -> None:
    loop(net(), Training(steps=2)).run()
    with pytest.raises(StoreError, match="another training"):
        loop(net(), Training(steps=2), identity="b").run()


def test_a_torn_log_line_is_cut(net, loop, tmp_path) -> None:
    module = net()
    loop(module, Training(steps=2)).run()
    log = tmp_path / "run" / "steps.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"step": 3, "loss": 1.0}\n{"step": 4, "lo')
    rows = loop(net(), Training(steps=2)).run().rows
    assert log.read_bytes() == whole
    written = [json.loads(line) for line in whole.splitlines()]
    assert rows == [{k: v for k, v in row.items() if k != "crc"} for row in written]


@pytest.mark.parametrize("name", ["steps.jsonl", "model", "optimizer", "state", "best"])
def test_a_changed_checkpoint_is_refused(net, loop, tmp_path, name) -> None:
    settings = Training(steps=6, evaluate_every=2)
    loop(net(), settings, evaluate=lambda: (1.0,)).run()
    folder = tmp_path / "run"
    (path,) = [p for p in folder.rglob("*") if p.is_file() and p.name.startswith(name)]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"changed|not what was written|damaged"):
        loop(net(), settings, evaluate=lambda: (1.0,)).run()


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
