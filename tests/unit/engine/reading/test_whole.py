"""What is read back is what was read: same order, same bits, and some layers without the others."""

from pathlib import Path

import pytest
import torch

from trimtab.engine.engine import Engine
from trimtab.engine.reading.whole import LayerRows, save_whole, size_of
from trimtab.engine.request import Activations, ActivationsResult, Request


def reads(num: int, **more) -> list[Request]:
    """Rows of two answers to each prompt, of several lengths; unequal numbers of positions."""
    found = []
    for i in range(num):
        prompt = (*range(5, 9 + i // 2 % 3), 60 + i // 2)
        answer = (20 + i % 7, 30, 31)[: 2 + i % 2]
        want = Activations((0, 1, 3), answer, len(prompt) - 1, len(prompt) + len(answer), **more)
        found.append(Request(("row", i), prompt, want))
    return found


@pytest.mark.parametrize(
    "more", [{}, {"each": True}, {"site": "heads", "each": True}], ids=["mean", "each", "heads"]
)
def test_results_come_back_as_they_came(load_tiny, tmp_path: Path, more) -> None:
    engine, requests = Engine(load_tiny("llama"), max_tokens=24), reads(9, **more)
    came = list(engine.run(requests))[::-1]
    path = tmp_path / "whole.safetensors"
    save_whole(iter(came), requests, path)
    assert path.stat().st_size >= size_of(requests, came[0].mean_LH.shape[1])
    for layers in ((0, 1, 3), (1,), (0, 3)):
        at = [(0, 1, 3).index(layer) for layer in layers]
        file = LayerRows(path, (0, 1, 3), layers)
        back = list(file.results(requests))
        assert [one.key for one in back] == [one.key for one in came] and file.serves
        for one, other in zip(back, came, strict=True):
            assert torch.equal(one.mean_LH, other.mean_LH[at])
            assert torch.equal(one.norm_L, other.norm_L[at])
            assert (one.each_PLH is None) == (not more.get("each", False))
            if one.each_PLH is not None:
                assert torch.equal(one.each_PLH, other.each_PLH[:, at])
        in_rows = torch.stack([one.norm_L[at] for one in sorted(came, key=lambda one: one.key)])
        assert torch.equal(file.norms(), in_rows)
        assert torch.equal(file.read("norm", layers[-1]), in_rows[:, -1])


def test_rows_that_are_not_finite_somewhere_serve_all_layers_alone(tmp_path: Path) -> None:
    """They were computed again by themselves, which a capture of finite layers would not do."""
    requests = reads(2, allow_nonfinite=True)
    results = [ActivationsResult(r.key, torch.ones(3, 4), torch.ones(3)) for r in requests]
    results[1].norm_L[2] = float("inf")
    path = tmp_path / "whole.safetensors"
    save_whole(results, requests, path)
    assert LayerRows(path, (0, 1, 3), (0, 1, 3)).serves
    assert not LayerRows(path, (0, 1, 3), (0, 1)).serves
