"""The intervention ``adapter``: the folder's content is its key, and its rows are adapted."""

import shutil
from pathlib import Path

import pytest
import torch
from random_adapters import random_adapter

from trimtab.core.errors import DataError, ModelError
from trimtab.core.spec import ModelSpec
from trimtab.engine.engine import Engine
from trimtab.engine.request import Options, Request
from trimtab.interventions.base import INTERVENTIONS, Treatment
from trimtab.models.load import load_model, resolve
from trimtab.models.lora import read_adapter, write_adapter
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import FitContext, of_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    path = save_tiny(tmp_path_factory.mktemp("adapter") / "llama", "llama")
    return Engine(load_model(resolve(ModelSpec(id=str(path), device="cpu"))))


@pytest.fixture
def source(engine: Engine, tmp_path: Path) -> Path:
    write_adapter(random_adapter(engine.loaded, seed=1), tmp_path / "tuned")
    return tmp_path / "tuned"


def fit(built, engine: Engine):
    component = built.needs()["adapter"].component
    fitting = INTERVENTIONS.build(component.name, component.config)
    return {"adapter": fitting.fit(FitContext(of_engine(engine), 0))}


def test_rows_carry_the_folders_adapter(engine: Engine, source: Path) -> None:
    built = INTERVENTIONS.build("adapter", {"source": str(source)})
    treatment = built.treat(fit(built, engine))
    scored = {}
    for name, adapter in {
        "none": None,
        "treated": treatment.adapter,
        "read": read_adapter(source),
        "half": INTERVENTIONS.build("adapter", {"source": str(source), "strength": 0.5})
        .treat(fit(built, engine))
        .adapter,
    }.items():
        request = Request(name, (5, 6, 7), Options(((8, 9),)), adapter=adapter)
        (result,) = engine.run([request])
        scored[name] = result.logprobs[0]
    assert scored["treated"] == scored["read"]
    assert len(set(scored.values())) == 3


def test_strength_zero_is_exactly_the_baseline_and_shares_the_fit(engine, source: Path) -> None:
    built, zero = (
        INTERVENTIONS.build("adapter", {"source": str(source), **more})
        for more in ({}, {"strength": 0.0})
    )
    assert zero.needs() == built.needs()
    fitted = fit(zero, engine)
    assert zero.treat(fitted) == Treatment()
    assert zero.strengths(fitted) == {"raw": 0.0}
    assert built.strengths(fitted) == {"raw": 1.0}


def test_the_content_determines_it_and_the_path_does_not(engine, source: Path) -> None:
    moved = source.with_name("moved")
    shutil.copytree(source, moved)
    here, there = (
        INTERVENTIONS.build("adapter", {"source": str(path)}) for path in (source, moved)
    )
    components = [built.needs()["adapter"].component for built in (here, there)]
    assert here.determines(components[0]) == there.determines(components[1])
    write_adapter(random_adapter(engine.loaded, seed=2), moved)
    assert here.determines(components[0]) != there.determines(there.needs()["adapter"].component)
    fitting = INTERVENTIONS.build("adapter", components[1].config)
    with pytest.raises(DataError, match="not what this run was planned with"):
        fitting.fit(FitContext(of_engine(engine), 0))


def test_an_adapter_of_another_base_is_refused(engine, source: Path, tmp_path) -> None:
    save_tiny(tmp_path / "wide", "llama", hidden_size=64)
    other = Engine(load_model(resolve(ModelSpec(id=str(tmp_path / "wide"), device="cpu"))))
    built = INTERVENTIONS.build("adapter", {"source": str(source)})
    with pytest.raises(ModelError, match="fit only the base"):
        fit(built, other)


def test_the_artifact_keeps_the_factors_bit_for_bit(engine, source: Path) -> None:
    built = INTERVENTIONS.build("adapter", {"source": str(source)})
    adapter = built.treat(fit(built, engine)).adapter
    wanted = read_adapter(source)
    assert adapter.identity == wanted.identity
    for name, factor in wanted.factors.items():
        assert torch.equal(adapter.factors[name].down, factor.down)
        assert torch.equal(adapter.factors[name].up, factor.up)
        assert adapter.factors[name].scaling == factor.scaling
