"""Vectors from files act where they are said to act, and files that can't fit are refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trimtab.core.errors import ConfigError, DataError
from trimtab.engine.engine import Engine
from trimtab.engine.request import Edit, Options, Request
from trimtab.interventions.base import INTERVENTIONS
from trimtab.steering.fitted import FitContext
from trimtab.vectors.file import Vectors, checked
from trimtab.vectors.formats import FORMATS, bring_in, export

L = 4


def drawn(engine: Engine, *blocks: int, **about: object) -> Vectors:
    generator = torch.Generator().manual_seed(1)
    vectors = {b: torch.randn(engine.hidden_size, generator=generator) for b in blocks}
    return checked(vectors, {"num_layers": L, **about}, "test")


@pytest.fixture
def path(tiny_engine: Engine, tmp_path: Path) -> Path:
    export(drawn(tiny_engine, 1, 2), "native", tmp_path / "v.safetensors")
    return tmp_path / "v.safetensors"


def logprobs(engine: Engine, edits: tuple[Edit, ...]) -> list[float]:
    options = tuple((token, token + 1) for token in range(40, 60))
    (result,) = engine.run([Request("row", (256, 72, 105), Options(options), edits)])
    return list(result.logprobs)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("block", range(1, L))
def test_acts_at_the_same_block_after_any_round_trip(
    tiny_engine, context: FitContext, tmp_path, name, block
) -> None:
    vectors = drawn(tiny_engine, block)
    export(vectors, name, tmp_path / "out")
    export(bring_in(tmp_path / "out", name), "native", tmp_path / "back")
    config = {"file": str(tmp_path / "back"), "unit": "raw", "strength": 2, "positions": "all"}
    acting = INTERVENTIONS.build("vector", config)
    found = logprobs(tiny_engine, acting.treat({"vector": acting.fit(context)}).edits)
    places = [
        logprobs(tiny_engine, (Edit(b, vectors.directions[block], 2.0, "all"),)) for b in range(L)
    ]
    assert found == places[block]
    assert all(found != other for b, other in enumerate(places) if b != block)


@pytest.mark.parametrize("unit", ["raw", "unit", "relative"])
def test_strength_is_that_of_each_block_and_agrees_with_caa(context, path, unit) -> None:
    config = {"file": str(path), "strength": -0.5, "unit": unit}
    both = INTERVENTIONS.build("vector", config)
    fitted = both.fit(context)
    edits = both.treat({"vector": fitted}).edits
    assert [edit.layer for edit in edits] == [1, 2] and both.strengths({"vector": fitted}) == {
        unit: -0.5
    }
    caa = INTERVENTIONS.build("caa", {"layer": 1, "layers": [1, 2]}).fit(context)
    for edit in edits:
        norm = caa.tensors[f"l{edit.layer}.residual_norm"]
        torch.testing.assert_close(fitted.tensors[f"l{edit.layer}.residual_norm"], norm)
        length = {"raw": 0.5 * edit.vector.norm(), "unit": torch.tensor(0.5), "relative": norm / 2}
        torch.testing.assert_close(abs(edit.strength) * edit.vector.norm(), length[unit])
    one = INTERVENTIONS.build("vector", {**config, "layers": [2]})
    assert [edit.layer for edit in one.treat({"vector": fitted}).edits] == [2]
    assert (
        one.strengths({"vector": fitted})[unit] == pytest.approx(-0.5)
        and len(one.strengths({"vector": fitted})) == 3
    )


def test_the_content_determines_the_fit_and_the_random_control_shares_it(path, tmp_path) -> None:
    config = {"file": str(path), "strength": 0.3, "layers": [2]}
    first = INTERVENTIONS.build("vector", config).needs()["vector"]
    assert first == INTERVENTIONS.build("vector", {**config, "strength": -1}).needs()["vector"]
    like = {"name": "vector", **config}
    random = INTERVENTIONS.build("random", {"layer": 2, "strength": 0.3, "like": like})
    assert random.needs()["vector"] == first
    vectors = bring_in(path, "native")
    export(replace(vectors, about={**vectors.about, "x": 1}), "native", path)
    assert INTERVENTIONS.build("vector", config).needs()["vector"] != first


def test_files_that_changed_or_are_of_another_model_are_refused(
    tiny_engine, context, path, tmp_path
) -> None:
    need = INTERVENTIONS.build("vector", {"file": str(path)}).needs()["vector"]
    export(drawn(tiny_engine, 1, 2, 3), "native", path)
    with pytest.raises(DataError, match="planned with"):
        INTERVENTIONS.build("vector", need.component.config).fit(context)
    export(drawn(tiny_engine, 1, num_layers=L + 1), "native", path)
    with pytest.raises(DataError, match="5 blocks, and this one has 4"):
        INTERVENTIONS.build("vector", {"file": str(path)}).fit(context)
    export(checked({1: torch.ones(7)}, {}, "test"), "native", path)
    with pytest.raises(DataError, match="7 numbers"):
        INTERVENTIONS.build("vector", {"file": str(path)}).fit(context)


def test_what_is_not_in_the_file_is_named_without_a_model(path, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"layer 3; it holds those of \[1, 2\]"):
        INTERVENTIONS.build("vector", {"file": str(path), "layers": [3]}).needs()["vector"]
    with pytest.raises(DataError, match="does not exist"):
        INTERVENTIONS.build("vector", {"file": str(tmp_path / "no")}).needs()["vector"]
    with pytest.raises(ConfigError, match="named twice"):
        INTERVENTIONS.build("vector", {"file": str(path), "layers": [1, 1]})
