"""Training on conversations: parts of a batch, kept states, what is refused, and going on."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trimtab.core.errors import ConfigError, DataError, NonFiniteError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Conversation, Message
from trimtab.engine.engine import Engine
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.training.parts import parts_of
from trimtab.training.sft import fit as sft
from trimtab.training.sft.config import AdapterTraining
from trimtab.training.sft.objective import Likelihood
from trimtab.training.sft.rows import make_rows

SMALL = AdapterTraining(rank=2, epochs=2, batch=5, learning_rate=0.01, most_tokens=120)


def conversations(count: int) -> list[Conversation]:
    return [
        Conversation(
            id=f"c{i}",
            messages=(
                Message(role="user", content=f"Say {'z' * (i % 4)}{i}"),
                Message(role="assistant", content=f"I say {i * 'ab'}"),
            ),
            metadata={"source": "odd" if i % 2 else "even"},
        )
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    path = save_tiny(tmp_path_factory.mktemp("sft") / "llama", "llama", num_layers=2)
    return Engine(load_model(resolve(ModelSpec(id=str(path), device="cpu"))))


def test_parts_of_a_batch_give_the_gradients_of_the_batch(engine: Engine) -> None:
    rows = make_rows(engine.renderer, conversations(9)).rows
    found = {}
    for most in (1, 100, 10_000):
        module = sft.new_adapter(engine, SMALL, 1)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter += 0.1
        objective = Likelihood(engine, module.adapter, rows)
        weight = 0.0
        for part in parts_of(rows, range(9), most):
            loss, share = objective.loss(part)
            loss.backward()
            weight += share
        assert weight == sum(len(row.places) for row in rows)
        found[most] = torch.cat([p.grad.flatten() / weight for p in module.parameters()])
    for most in (1, 100):
        assert torch.allclose(found[most], found[10_000], rtol=0, atol=1e-6)


def test_states_are_kept_and_the_held_out_rows_are_watched(engine: Engine, tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"held_out_share": 0.2, "keep": "log"})
    learned, aside = settings.shared_out(conversations(15))
    assert (len(learned), len(aside)) == (12, 3)
    kept = sft.tune(engine, settings, sft.Data(learned, aside), folder=tmp_path / "t", seed=4)
    assert list(kept) == ["last", "step-4", "step-2", "step-1"]
    assert len({state.adapter.identity for state in kept.values()}) == 4
    training = kept["last"].about["training"]
    assert [look["update"] for look in training["held_out"]] == [0, 1, 2, 4, 6]
    assert training["held_out"][0]["held_out"].keys() <= {"odd", "even"}
    norms = [sum(state.about["change"].values()) for state in kept.values()]
    assert norms == sorted(norms, reverse=True)
    name, norm = next(iter(kept["last"].about["change"].items()))
    factor = kept["last"].adapter.factors[name]
    assert norm == pytest.approx(float((factor.scaling * factor.up @ factor.down).norm()), rel=1e-4)


def test_layers_by_the_ends_of_their_names(engine: Engine) -> None:
    names = sft.layers_of(engine.loaded.layout, ["q_proj", "mlp.down_proj"])
    assert len(names) == 4 and all(n.endswith(("q_proj", "down_proj")) for n in names)
    with pytest.raises(ConfigError, match=r"'proj'.*q_proj"):
        sft.layers_of(engine.loaded.layout, ["proj"])


def test_cut_rows_are_counted_and_refused_above_one_in_a_hundred(engine: Engine) -> None:
    rows = make_rows(engine.renderer, conversations(12), max_tokens=30)
    assert rows.truncated and max(len(row.tokens) for row in rows.rows) == 30
    with pytest.raises(DataError, match=r"of 12 are longer than 30 tokens.*'c"):
        make_rows(engine.renderer, conversations(12), max_tokens=30, most_truncated=0.01)
    with pytest.raises(DataError, match="'c0' has no label among its first 5 tokens"):
        make_rows(engine.renderer, conversations(12), max_tokens=5)


def test_batches_that_are_not_finite_are_skipped_and_named(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Likelihood.loss

    def poisoned(self, items):
        loss, weight = usual(self, items)
        bad = any(self.rows[item].id == "c7" for item in items)
        return loss * (float("nan") if bad else 1.0), weight

    monkeypatch.setattr(Likelihood, "loss", poisoned)
    data = sft.Data(conversations(20))
    kept = sft.tune(engine, SMALL, data, folder=tmp_path / "a", seed=4)
    assert next(iter(kept.values())).about["training"]["skipped"] == 2
    assert all(torch.isfinite(f.up).all() for f in kept["epoch-2"].adapter.factors.values())
    strict = SMALL.model_copy(update={"most_skipped": 1})
    with pytest.raises(NonFiniteError, match=r"after 1 that were skipped \(row 'c7'\)"):
        sft.tune(engine, strict, data, folder=tmp_path / "b", seed=4)


def test_many_in_a_row_bring_the_last_good_state_back(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update that leads to NaN everywhere is undone, and the training goes on from before."""
    usual = Likelihood.loss
    seen: list[float] = []

    def poisoned(self, items):
        loss, weight = usual(self, items)
        size = float(next(iter(self._adapter.factors.values())).up.detach().norm())
        seen.append(size)
        return loss * (float("nan") if len(set(seen)) >= 3 and size == seen[2] else 1.0), weight

    monkeypatch.setattr(Likelihood, "loss", poisoned)
    settings = SMALL.model_copy(
        update={"most_tokens": 10_000, "steps": 8, "skipped_in_a_row": 2, "keep": "last"}
    )
    sft.tune(engine, settings, sft.Data(conversations(20)), folder=tmp_path / "a", seed=4)
    assert seen[2] == seen[3] and seen[4] == seen[1] and len(set(seen)) > 4


PROGRAM = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from test_sft import SMALL, conversations, load_model, resolve, Engine, ModelSpec, sft
from trimtab.training.checkpoint import write_tensors
from trimtab.training.sft.objective import Likelihood
import os, signal
at = int(sys.argv[2])
engine = Engine(load_model(resolve(ModelSpec(id=sys.argv[1], device="cpu"))))
calls, usual = [0], Likelihood.loss
def counted(self, items):
    calls[0] += 1
    if calls[0] == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return usual(self, items)
Likelihood.loss = counted
settings = SMALL.model_copy(update={{"dropout": 0.1, "warmup": 0.3}})
folder = Path(sys.argv[3])
kept = sft.tune(engine, settings, sft.Data(conversations(17)), folder=folder / "training", seed=4,
                checkpoint_seconds=0.0)
for name, state in kept.items():
    tensors = {{}}
    for layer, f in state.adapter.factors.items():
        tensors |= {{layer + ".A": f.down, layer + ".B": f.up}}
    write_tensors(folder / name, tensors)
print(calls[0])
"""


@pytest.mark.campaign
def test_killed_at_any_place_it_leaves_the_same_bytes(engine: Engine, tmp_path: Path) -> None:
    """Before the first update, within a batch, after the warm-up, at the end of an epoch."""
    model = engine.loaded.resolved.spec.id
    program = PROGRAM.format(here=str(Path(__file__).parent))

    def run(at: int, folder: Path) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", program, model, str(at), str(folder)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    whole = run(-1, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    calls = int(whole.stdout)
    rows = make_rows(engine.renderer, conversations(17)).rows
    assert calls > 2 * len(rows) / SMALL.batch, "batches are cut into parts"
    killed = tmp_path / "killed"
    for at in (1, 2, calls // 4, calls // 4, calls // 5):
        assert run(at, killed).returncode == -signal.SIGKILL
    done = run(-1, killed)
    assert done.returncode == 0, done.stderr
    for name in ("epoch-1", "epoch-2", "training/steps.jsonl"):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
