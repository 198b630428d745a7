"""A model over several devices, or partly on disk, gives what it gives on one."""

from dataclasses import replace

import pytest
import torch
from random_adapters import random_adapter

from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import (
    Activations,
    ActivationsResult,
    DynamicStrength,
    Edit,
    Options,
    OptionsResult,
    Request,
    Result,
    Text,
    TextResult,
    Window,
)
from trimtab.models.layout import find_layout
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny

pytest.importorskip("accelerate", reason="accelerate is not installed")

LAYOUTS = ["llama", "gemma3"]


@pytest.fixture(scope="module", params=LAYOUTS)
def path(request: pytest.FixtureRequest, tmp_path_factory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("spread") / request.param, request.param))


@pytest.fixture(scope="module")
def whole(path: str) -> LoadedModel:
    return load_model(resolve(ModelSpec(id=path, device="cpu")))


@pytest.fixture(scope="module")
def expected(whole: LoadedModel) -> dict[object, Result]:
    return {r.key: r for r in Engine(whole, max_rows=3).run(work(whole))}


def work(loaded: LoadedModel) -> list[Request]:
    """Texts, options and activations: a shared primer, edits in both halves and at both sites.

    Every other row carries an adapter of all layers.

    Prompts are longer than Gemma's window of 16.
    """
    generator = torch.Generator().manual_seed(3)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(10, 200, (count,), generator=generator).tolist())

    v = torch.randn(loaded.layout.hidden_size, generator=generator)
    heads = torch.randn(loaded.layout.head_width, generator=generator)
    edits = [
        (),
        (Edit(1, v, 0.8, "generated"), Edit(3, v, -0.5, "all")),
        (Edit(0, v, 0.5, "prompt"), Edit(2, heads, 0.7, "all", "heads")),
        (Edit(3, v, 0.3, Window(4, 9)),),
    ]
    constant = {(1, "residual"): v[None], (2, "heads"): heads[None], (3, "residual"): v[None]}
    dynamic = DynamicStrength((constant,), constant=True)
    found = []
    for primer, counts in ((tokens(20), (21, 3)), (tokens(70), (2, 5))):
        for i, count in enumerate(counts):
            prompt = (*primer, *tokens(count))
            cold, hot = SamplingParams(max_tokens=6), SamplingParams(max_tokens=4, temperature=0.8)
            for j, some in enumerate(edits[:: 1 + i]):
                key = (len(primer), i, j)
                text = Text(hot if j == 1 else cold, seed=j)
                found.append(Request(("text", *key), prompt, text, some))
                options = Options(((5,), (5, 6, 7), (8, 9)), reference=(1,))
                found.append(Request(("options", *key), prompt, options, some))
                for site, layers in (("residual", (0, 2, 3)), ("heads", (1, 2))):
                    end = len(prompt) + 2
                    read = Activations(layers, (5, 6), 2, end, site, each=True)
                    found.append(Request((site, *key), prompt, read, some))
            written = Text(cold, dynamic=dynamic)
            found.append(Request(("composed", len(primer), i), prompt, written))
    tuned = random_adapter(loaded, seed=1, size=0.2)
    return [replace(r, adapter=tuned if i % 2 else None) for i, r in enumerate(found)]


def assert_same(results: list[Result], expected: dict[object, Result]) -> None:
    assert {r.key for r in results} == set(expected)
    for one in results:
        other = expected[one.key]
        if isinstance(one, TextResult):
            assert one.tokens == other.tokens, one.key
            assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
            for strengths, wanted in zip(one.strengths, other.strengths, strict=True):
                assert strengths == pytest.approx(wanted, abs=1e-4)
        elif isinstance(one, OptionsResult):
            assert one.logprobs == pytest.approx(other.logprobs, abs=5e-5)
            assert one.kl[1] == pytest.approx(other.kl[1], abs=5e-5)
        else:
            assert isinstance(one, ActivationsResult)
            torch.testing.assert_close(one.mean_LH, other.mean_LH, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(one.each_PLH, other.each_PLH, atol=1e-4, rtol=1e-4)


def disk_map(loaded: LoadedModel) -> dict[str, int | str]:
    """Half of the blocks on disk, the others and the embedding on the CPU."""
    children = loaded.layout.text_model.named_children()
    found: dict[str, int | str] = {f"model.{name}": "cpu" for name, _ in children}
    del found["model.layers"]
    return found | {f"model.layers.{i}": "disk" if i % 2 else "cpu" for i in range(4)}


@pytest.mark.parametrize("head", ["cpu", "disk"])
def test_blocks_on_disk(path: str, whole: LoadedModel, expected, tmp_path, head: str) -> None:
    spec = ModelSpec(
        id=path,
        device="cpu",
        device_map=disk_map(whole) | {"lm_head": head},
        offload_folder=str(tmp_path / "offload"),
    )
    split = load_model(resolve(spec))
    assert split.identity == whole.identity
    kept = [next(block.parameters()).is_meta for block in split.layout.blocks]
    assert kept == [False, True, False, True]
    assert split.layout.lm_head.weight.is_meta == (head == "disk")
    assert_same(list(Engine(split, max_rows=3).run(work(split))), expected)
    state = torch.randn(2, 1, whole.layout.hidden_size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(split.layout.lens(state), whole.layout.lens(state))


@pytest.mark.parametrize("first_on_second", [2, 4])
def test_two_devices(path: str, expected, first_on_second: int) -> None:
    from pretend_devices import PretendDevices, spread, where

    loaded = load_model(resolve(ModelSpec(id=path, device="cpu")))
    spread(loaded, first_on_second)
    with PretendDevices():
        layout = find_layout(loaded.model)
        names = [device.index for device in layout.devices]
        assert names == [0] * first_on_second + [1] * (4 - first_on_second)
        assert layout.head_device.index == 1
        assert layout.lens(torch.zeros(1, 1, layout.hidden_size)).device.index == 1
        loaded = replace(loaded, layout=layout, device=layout.devices[0])
        results = list(Engine(loaded, max_rows=3).run(work(loaded)))
        assert {where(r.mean_LH) for r in results if isinstance(r, ActivationsResult)} == {
            torch.device("cpu")
        }
    assert_same(results, expected)


def test_tensors_of_two_pretended_devices_do_not_mix() -> None:
    from pretend_devices import PretendDevices

    with PretendDevices():
        one, two = (torch.ones(3).to(device) for device in ("xpu:0", "xpu:1"))
        for mix in (lambda: one + two, lambda: torch.cat([one, two]), lambda: one + torch.ones(3)):
            with pytest.raises(RuntimeError, match="tensors on"):
                mix()
        assert (one[torch.tensor([0])] * torch.tensor(2.0)).device == torch.device("xpu:0")
        assert float((one + two.to(one.device)).sum()) == 6.0


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="two GPUs are needed")
@pytest.mark.parametrize("device_map", ["auto", "balanced", "halves"])
def test_two_gpus(path: str, whole: LoadedModel, expected, device_map: str) -> None:
    names = [name for name, _ in whole.layout.text_model.named_children() if name != "layers"]
    halves = {f"model.{name}": int(name == "norm") for name in names} | {"lm_head": 1}
    halves |= {f"model.layers.{i}": i // 2 for i in range(4)}
    chosen = halves if device_map == "halves" else device_map
    spec = ModelSpec(id=path, device="cuda", dtype="float32", device_map=chosen)
    split = load_model(resolve(spec))
    if device_map == "halves":
        assert [d.index for d in split.layout.devices] == [0, 0, 1, 1]
    assert_same(list(Engine(split, max_rows=3).run(work(split))), expected)
