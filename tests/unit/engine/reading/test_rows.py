"""Activations on disk: the same as in memory, whole or absent, and no more memory for more rows."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from trimtab.core.errors import NonFiniteError, StoreError
from trimtab.engine.engine import Engine
from trimtab.engine.reading.rows import RowFile, Rows, save_activations
from trimtab.engine.request import Activations, ActivationsResult, Request, Result
from trimtab.models.load import LoadedModel
from trimtab.models.tiny import TinyLayout

Load = Callable[[TinyLayout], LoadedModel]


def reads(num: int, **more: bool) -> list[Request]:
    """Rows of two answers to each prompt, of several lengths."""
    found = []
    for i in range(num):
        prompt = (*range(5, 9 + i // 2 % 3), 60 + i // 2 % 100)
        answer = (20 + i % 7, 30, 31)[: 2 + i % 2]
        want = Activations((0, 2), answer, len(prompt), len(prompt) + len(answer), **more)
        found.append(Request(("row", i), prompt, want))
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_file_holds_what_memory_would(load_tiny: Load, tmp_path: Path, dtype) -> None:
    engine, requests = Engine(load_tiny("llama"), max_tokens=40), reads(14)
    found = {r.key: r for r in engine.run(requests)}
    path = tmp_path / "deep" / "rows.safetensors"
    save_activations(engine.run(requests), requests, path, dtype=dtype, about={"model": "tiny"})
    mean = torch.stack([found[r.key].mean_LH for r in requests]).to(dtype)
    norm = torch.stack([found[r.key].norm_L for r in requests])
    plain = load_file(path)
    assert torch.equal(plain["mean"], mean) and torch.equal(plain["norm"], norm)
    rows = Rows(path)
    assert rows.shape("mean") == (14, 2, engine.hidden_size) and rows.about == {"model": "tiny"}
    assert torch.equal(rows.read("mean", slice(4, 9), 1), mean[4:9, 1])
    assert [p.name for p in path.parent.iterdir()] == ["rows.safetensors"]


def test_memory_does_not_grow_with_the_rows(load_tiny: Load, tmp_path: Path) -> None:
    engine = Engine(load_tiny("llama"), max_tokens=24)

    def most_alive(num: int) -> int:
        seen = []

        def watched(results: Iterator[Result]) -> Iterator[Result]:
            for i, result in enumerate(results):
                yield result
                if i % (num // 8) == 0:
                    # no list of them, which would keep them alive
                    alive = (x.numel() for x in gc.get_objects() if type(x) is torch.Tensor)
                    seen.append(sum(alive))

        requests = reads(num)
        gc.collect()
        save_activations(watched(engine.run(requests)), requests, tmp_path / str(num))
        return max(seen) - min(seen)

    # ten times the rows, and what is alive between two of them varies no more
    assert most_alive(160) <= most_alive(16) + 64


def test_an_interrupted_capture_leaves_no_file(load_tiny: Load, tmp_path: Path) -> None:
    engine, requests = Engine(load_tiny("llama")), reads(6)
    path = tmp_path / "rows.safetensors"

    def dying(results: Iterator[Result]) -> Iterator[Result]:
        yield next(results)
        assert len(list(tmp_path.iterdir())) == 1 and not path.exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_activations(dying(engine.run(requests)), requests, path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match="was not written"):
        save_activations(list(engine.run(requests[:-1])), requests, path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_is_replaced_and_never_read(load_tiny: Load, tmp_path: Path) -> None:
    path = tmp_path / "rows.safetensors"
    left = RowFile(path, {"mean": (3, 2)})
    left.write("mean", 0, torch.ones(2))  # and then the process is gone: nothing closes it
    with pytest.raises(StoreError, match="can't be read"):
        Rows(path)
    with RowFile(path, {"mean": (2, 2)}) as file:
        file.write("mean", 1, torch.tensor([3.0, 4.0]))
        file.write("mean", 0, torch.tensor([1.0, 2.0]))
        file.finish()
    assert Rows(path).read("mean", slice(None)).tolist() == [[1, 2], [3, 4]]


def test_non_finite_rows_are_refused_unless_they_are_wanted(load_tiny: Load, tmp_path) -> None:
    loaded = load_tiny("gemma3")
    weight = loaded.model.get_input_embeddings().weight
    kept = weight.data[31].clone()
    weight.data[31] = float("nan")
    try:
        engine = Engine(loaded)
        with pytest.raises(NonFiniteError, match="embeddings"):
            list(engine.run(reads(8)))
        requests = reads(8, allow_nonfinite=True)
        save_activations(engine.run(requests), requests, tmp_path / "rows")
    finally:
        weight.data[31] = kept
    norm = Rows(tmp_path / "rows").read("norm", slice(None))
    bad = [31 in r.want.continuation for r in requests]
    assert any(bad) and torch.isfinite(norm).all(dim=1).tolist() == [not b for b in bad]
    found = {r.key: r for r in Engine(loaded).run(reads(8))}
    for i, request in enumerate(requests):
        if not bad[i]:
            expected = found[request.key]
            assert isinstance(expected, ActivationsResult)
            torch.testing.assert_close(norm[i], expected.norm_L)


def test_a_value_too_large_for_the_files_format_is_refused(tmp_path: Path) -> None:
    request = reads(1)[0]
    result = ActivationsResult(request.key, torch.full((2, 3), 1e6), torch.full((2,), 2e6))
    with pytest.raises(NonFiniteError, match="float16"):
        save_activations([result], [request], tmp_path / "x", dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []
