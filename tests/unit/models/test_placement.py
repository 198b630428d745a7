"""What is asked of devices and of quantised weights is done, or refused before anything loads."""

import importlib.util
import json
import sys
from types import ModuleType

import pytest
import torch

from trimtab.core.errors import ModelError
from trimtab.core.keys import content_key
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Activations, Edit, Options, Request, Text
from trimtab.models import placement
from trimtab.models.load import load_model, resolve
from trimtab.models.memory import ModelCard, estimate_bytes

QUANTIZATIONS = ("4bit", "8bit")


@pytest.fixture
def with_bitsandbytes() -> ModuleType:
    return pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")


def spec(path, **fields) -> ModelSpec:
    return ModelSpec(id=str(path), **({"device": "cpu"} | fields))


def test_quantisation_is_part_of_the_identity_and_devices_are_not(tiny_dir) -> None:
    plain = resolve(spec(tiny_dir)).identity
    quantised = {resolve(spec(tiny_dir, quantization=q)).identity for q in QUANTIZATIONS}
    assert len({plain, *quantised}) == 3
    for fields in ({"device_map": "auto"}, {"device_map": {"": "disk"}, "offload_folder": "x"}):
        assert resolve(spec(tiny_dir, **fields)).identity == plain
    # keys of models that are not quantised did not change when quantisation came
    assert content_key(spec(tiny_dir)) == content_key({"id": str(tiny_dir), "device": "cpu"})


def test_device_map_and_memory_survive_json() -> None:
    both = spec("m", device_map="auto", max_memory={0: "20GiB", "cpu": 2**33})
    assert ModelSpec.model_validate_json(both.model_dump_json()) == both
    named = spec("m", device_map={"model": "0", "lm_head": "cpu"})
    assert named.device_map == {"model": 0, "lm_head": "cpu"}
    for wrong in ({"max_memory": {0: "1GiB"}}, {"offload_folder": "x"}):
        with pytest.raises(ValueError, match="is for"):
            spec("m", **wrong)


@pytest.mark.parametrize("missing", ["bitsandbytes", "accelerate"])
def test_a_missing_library_is_named_before_weights_are_read(tiny_dir, monkeypatch, missing) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == missing else find(n) or object()
    )
    (tiny_dir / "model.safetensors").touch()
    resolved = resolve(spec(tiny_dir, quantization="4bit"))
    monkeypatch.setattr("trimtab.models.weights.read_weights", None)
    with pytest.raises(ModelError, match=rf"{missing}.*pip install 'trimtab\[quant\]'"):
        load_model(resolved)


def test_devices_that_are_not_there_are_named(tiny_dir) -> None:
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    none = torch.cuda.device_count()
    for device in (none, f"cuda:{none}"):
        with pytest.raises(ModelError, match=rf"GPU .*sees {none} of them"):
            placement.check_placement(spec(tiny_dir, device_map={"": device}))
    with pytest.raises(ModelError, match="'gpu', which is no device"):
        placement.check_placement(spec(tiny_dir, device_map={"": "gpu"}))


def test_a_block_stays_on_one_device() -> None:
    block = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2, device="meta"))
    with pytest.raises(ModelError, match="splits the block over cpu, meta"):
        placement.device_of(block, "the block")


def test_quantised_parts_can_not_be_left_behind(tiny_dir, with_bitsandbytes) -> None:
    for places in ({"": "disk"}, {"model": 0, "lm_head": "cpu"}):
        with pytest.raises(ModelError, match="part of it on the CPU or on disk"):
            placement._check_quantization(spec(tiny_dir, quantization="4bit", device_map=places))


def test_a_device_that_bitsandbytes_does_not_know(tiny_dir, monkeypatch) -> None:
    module = ModuleType("bitsandbytes")
    module.__spec__ = importlib.util.spec_from_loader("bitsandbytes", None)
    module.supported_torch_devices = {"cuda"}
    monkeypatch.setitem(sys.modules, "bitsandbytes", module)
    with pytest.raises(ModelError, match=r"on 'cpu', and the bitsandbytes.* knows cuda only"):
        placement.check_placement(spec(tiny_dir, quantization="8bit"))


def test_a_quantised_checkpoint_is_not_quantised_again(tiny_dir, with_bitsandbytes) -> None:
    config = json.loads((tiny_dir / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    (tiny_dir / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="is quantised already"):
        load_model(resolve(spec(tiny_dir, quantization="8bit")))


def test_estimate_of_quantised_weights() -> None:
    tied = ModelCard(1_000_000, 4, 100, 4, 25, 2_000, "x")
    untied = ModelCard(1_000_000, 4, 100, 4, 25, 2_000, "x", tied=False)
    assert estimate_bytes(tied, "float32", 1, 1, "8bit").weights == 200_000 * 4 + 800_000
    assert estimate_bytes(untied, "bfloat16", 1, 1, "8bit").weights == 400_000 * 2 + 600_000
    four = estimate_bytes(tied, "bfloat16", 1, 1, "4bit").weights - 200_000 * 2
    assert four == pytest.approx(800_000 * 4.127 / 8, rel=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_4_bits_are_the_model_with_the_rounded_weights(tiny_dir, with_bitsandbytes, dtype) -> None:
    loaded = load_model(resolve(spec(tiny_dir, quantization="4bit", dtype=dtype)))
    plain = load_model(resolve(spec(tiny_dir, dtype=dtype)))
    for name, module in loaded.model.named_modules():
        if type(module).__name__ == "Linear4bit":
            weight, state = module.weight, module.weight.quant_state
            rounded = with_bitsandbytes.functional.dequantize_4bit(weight.data, state)
            assert weight.numel() * 2 == rounded.numel()
            plain.model.get_submodule(name).weight.data.copy_(rounded)
    assert loaded.layout.head_width == plain.layout.head_width == 32
    requests = work()
    wanted = {r.key: r for r in Engine(plain).run(requests)}
    for result in Engine(loaded).run(requests):
        other = wanted[result.key]
        if dtype == "float32" and result.key == "text":
            assert result.tokens == other.tokens
        elif result.key == "options":
            near = 1e-4 if dtype == "float32" else 0.3
            assert result.logprobs == pytest.approx(other.logprobs, abs=near)
        elif result.key == "activations":
            near = 1e-4 if dtype == "float32" else 0.05
            torch.testing.assert_close(result.mean_LH, other.mean_LH, atol=near, rtol=near)


def test_8_bits_are_near_the_model(tiny_dir, with_bitsandbytes) -> None:
    loaded = load_model(resolve(spec(tiny_dir, quantization="8bit")))
    plain = load_model(resolve(spec(tiny_dir)))
    assert loaded.layout.blocks[0].mlp.gate_proj.weight.dtype == torch.int8
    requests = [r for r in work() if r.key == "activations"]
    ours, other = (next(iter(Engine(m).run(requests))) for m in (loaded, plain))
    error = (ours.mean_LH - other.mean_LH).norm() / other.mean_LH.norm()
    assert 1e-4 < float(error) < 0.1


def work() -> list[Request]:
    prompt = tuple(range(20, 50))
    edits = (Edit(1, torch.linspace(-1, 1, 32), 0.5, "all"),)
    return [
        Request("text", prompt, Text(SamplingParams(max_tokens=8)), edits),
        Request("options", prompt, Options(((5,), (6, 7))), edits),
        Request("activations", prompt, Activations((0, 3), (), 3, 30), edits),
    ]
