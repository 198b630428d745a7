"""A model that the engine would compute otherwise is refused before anything is computed."""

from contextlib import contextmanager

import pytest
import torch

from trimtab.core.errors import ModelError, NonFiniteError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine import agreement, trial, version
from trimtab.engine.engine import Engine
from trimtab.engine.passes import batch, passes
from trimtab.engine.passes import forward as forwards
from trimtab.engine.request import Request, Text
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """Return a function that loads a tiny model which was never compared."""
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(agreement, "_PASSED", set())

    def load(layout="llama", dtype="float32", **overrides):
        folder = save_tiny(tmp_path / "model", layout, **overrides)
        return load_model(resolve(ModelSpec(id=str(folder), device="cpu", dtype=dtype)))

    return load


def trials(monkeypatch) -> list[object]:
    """Count the comparisons that are made."""
    made: list[object] = []
    compare = trial.differences

    def counted(*args):
        made.append(args)
        return compare(*args)

    monkeypatch.setattr(trial, "differences", counted)
    return made


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_is_compared_once(fresh, monkeypatch, dtype) -> None:
    made = trials(monkeypatch)
    loaded = fresh(dtype=dtype)
    Engine(loaded)
    Engine(loaded)
    agreement._PASSED.clear()  # another process reads it from the disk
    Engine(loaded)
    assert len(made) == 1
    monkeypatch.setattr(version, "code_hash", lambda: "changed")
    Engine(loaded)
    assert len(made) == 2


def at_zero(usual):
    """Return a forward that gives every token position 0."""

    def forward(loaded, ids_T, position_T, *others, **named):
        return usual(loaded, ids_T, torch.zeros_like(position_T), *others, **named)

    return forward


def without_attention(usual):
    """Return a forward in which tokens see only themselves."""

    @contextmanager
    def attending(loaded, attention):
        def own(layer, q_TKRD, key_TKD, value_TKD, scale, softcap):
            attention(layer, q_TKRD, key_TKD, value_TKD, scale, softcap)
            return value_TKD[:, :, None].expand(q_TKRD.shape)

        with usual(loaded, own):
            yield

    return attending


@pytest.mark.parametrize("layout", ["llama", "gpt2"])
def test_lost_positions_and_lost_prefixes_are_noticed(fresh, monkeypatch, layout) -> None:
    loaded = fresh(layout)
    with monkeypatch.context() as patch:
        for module in (passes, batch):
            patch.setattr(module, "forward", at_zero(forwards.forward))
        with pytest.raises(ModelError, match=rf"model type '{layout}'\) is refused: .*differ by"):
            Engine(loaded)
    with monkeypatch.context() as patch:
        patch.setattr(forwards, "attending", without_attention(forwards.attending))
        with pytest.raises(ModelError, match="nats a token"):
            Engine(loaded)
    Engine(loaded)


def test_a_family_that_asks_for_more_is_named(fresh, monkeypatch) -> None:
    loaded = fresh()
    monkeypatch.setattr(
        passes, "forward", lambda *args, **named: [][1]
    )  # whatever a family may stumble over
    with pytest.raises(ModelError, match=r"LlamaForCausalLM .*IndexError: list index"):
        Engine(loaded)


def test_values_that_are_not_finite_are_left_to_the_row_that_is_asked_for(fresh) -> None:
    loaded = fresh()
    with torch.no_grad():
        loaded.model.model.layers[2].mlp.up_proj.weight.data[0, 0] = torch.nan
    engine = Engine(loaded)
    with pytest.raises(NonFiniteError, match=r"layers\.2.*mlp\.up_proj\.weight hold NaN"):
        list(engine.run([Request(0, (5, 6), Text(SamplingParams(max_tokens=2)))]))
