"""Adapter folders: what peft writes is read, what is written peft reads, the rest is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from random_adapters import random_adapter
from safetensors.torch import load_file, save_file

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.lora import adapter_identity, read_adapter, write_adapter
from trimtab.models.lowrank import Adapter, LowRank, place_of
from trimtab.models.tiny import save_tiny, tiny_model


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> LoadedModel:
    path = save_tiny(tmp_path_factory.mktemp("lora") / request.param, request.param)
    return load_model(resolve(ModelSpec(id=str(path), device="cpu")))


@pytest.fixture
def folder(loaded: LoadedModel, tmp_path: Path) -> Path:
    write_adapter(random_adapter(loaded, seed=1), tmp_path / "adapter")
    return tmp_path / "adapter"


def configure(folder: Path, **changes) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_tensors(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def test_what_is_written_is_read_again(loaded, tmp_path: Path) -> None:
    first = random_adapter(loaded, rank=3, seed=1)
    other = random_adapter(loaded, rank=2, seed=2, blocks=(1,))
    both = Adapter({**first.factors, **other.factors})
    write_adapter(both, tmp_path / "a", base="owner/model")
    found = read_adapter(tmp_path / "a", loaded.layout)
    assert found.factors.keys() == both.factors.keys()
    for name, factor in both.factors.items():
        assert found.factors[name].scaling == pytest.approx(factor.scaling, rel=1e-12)
        torch.testing.assert_close(found.factors[name].down, factor.down, atol=0, rtol=0)
        torch.testing.assert_close(found.factors[name].up, factor.up, atol=0, rtol=0)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning")
def test_peft_loads_what_is_written(loaded, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    adapter = random_adapter(loaded, rank=2, seed=2, blocks=(0, 2))
    mixed = {**adapter.factors, **random_adapter(loaded, rank=4, seed=1, blocks=(2,)).factors}
    write_adapter(Adapter(mixed), tmp_path)
    layout = "gpt2" if "gpt2" in loaded.resolved.spec.id else "llama"
    tuned = peft.PeftModel.from_pretrained(tiny_model(layout), tmp_path)
    modules = dict(tuned.base_model.model.named_modules())
    scalings = {n: m.scaling["default"] for n, m in modules.items() if hasattr(m, "lora_A")}
    assert scalings == pytest.approx({name: f.scaling for name, f in mixed.items()})
    for name, factor in mixed.items():
        assert torch.equal(modules[name].lora_A["default"].weight, factor.down)
        assert torch.equal(modules[name].lora_B["default"].weight, factor.up)


def test_identity_is_of_the_content(loaded, folder: Path, tmp_path: Path) -> None:
    key = adapter_identity(folder)
    assert read_adapter(folder).identity == key
    shutil.copytree(folder, tmp_path / "moved")
    configure(tmp_path / "moved", base_model_name_or_path="/elsewhere", inference_mode=False)
    assert adapter_identity(tmp_path / "moved") == key
    configure(tmp_path / "moved", lora_alpha=99)
    assert adapter_identity(tmp_path / "moved") != key
    change_tensors(folder, lambda tensors: next(iter(tensors.values())).add_(1e-3))
    assert adapter_identity(folder) != key


def test_scalings(loaded, folder: Path) -> None:
    name = sorted(read_adapter(folder).factors)[-1]
    configure(folder, lora_alpha=12, use_rslora=True)
    assert read_adapter(folder).factors[name].scaling == pytest.approx(12 / 3**0.5)
    configure(folder, use_rslora=False, alpha_pattern={place_of(name)[2]: 6})
    assert read_adapter(folder).factors[name].scaling == 2.0
    other = sorted(read_adapter(folder).factors)[0]
    assert read_adapter(folder).factors[other].scaling == 4.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "LOHA"}, "peft_type 'LOHA', which is not supported"),
        ({"use_dora": True}, "use_dora, which is not supported"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save, which is not supported"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices, which"),
        ({"something_new": {"a": 1}}, "something_new, which"),
        ({"bias": "all"}, "bias 'all', which is not supported"),
        ({"init_lora_weights": "pissa"}, "'pissa' changes the weights of the base"),
        ({"r": 9}, "says that the rank is 9"),
        ({"target_modules": ["nowhere"]}, "names the modules nowhere"),
    ],
)
def test_what_is_not_supported_is_refused_by_file_and_key(
    loaded, folder: Path, changes, words: str
) -> None:
    configure(folder, **changes)
    with pytest.raises(ModelError, match=words) as refused:
        read_adapter(folder, loaded.layout)
    assert str(folder) in str(refused.value)


def test_damaged_and_foreign_tensors_are_refused(loaded, folder: Path) -> None:
    names = sorted(load_file(folder / "adapter_model.safetensors"))
    up, down = names[-1], names[-2]
    assert ".lora_B." in up and ".lora_A." in down

    def change(what: Callable[[dict], None], words: str) -> None:
        copy = folder.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        change_tensors(copy, what)
        with pytest.raises(ModelError, match=words):
            read_adapter(copy, loaded.layout)

    change(lambda t: t.pop(up), "lacks the factor lora_B of")
    change(lambda t: [t.pop(up), t.pop(down)], "lacks the factors of .*, which adapter_config")
    magnitude = down.replace("lora_A.weight", "lora_magnitude_vector")
    change(lambda t: t.update({magnitude: torch.ones(3)}), r"no factors of linear layers \(1\)")
    embedding = {"base_model.model.embed.lora_embedding_A": torch.ones(3, 4)}
    change(lambda t: t.update(embedding), "lora_embedding_A")
    change(lambda t: t.update({up: torch.zeros(7, 3)}), r"\(7, 3\); the layer has")
    change(lambda t: t[up].fill_(torch.inf), "hold NaN or infinity")
    outside = {f"base_model.model.lm_head.lora_{x}.weight": torch.ones(3, 3) for x in "AB"}
    change(lambda t: t.update(outside), "'lm_head', which is outside the model's blocks")


def test_missing_and_pickled_files_are_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"has no adapter_config\.json"):
        read_adapter(folder.parent)
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(ModelError, match="can't be read"):
        read_adapter(folder)
    weights.unlink()
    with pytest.raises(ModelError, match=r"has no adapter_model.safetensors\."):
        read_adapter(folder)
    (folder / "adapter_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match="pickled weights, which can run code"):
        read_adapter(folder)


def test_layers_are_named_by_the_model_or_by_its_body(loaded, tmp_path: Path) -> None:
    whole = random_adapter(loaded, seed=1)
    bare = Adapter({n.partition(".")[2]: f for n, f in whole.factors.items()})
    write_adapter(bare, tmp_path)
    found = read_adapter(tmp_path, loaded.layout)
    assert found.by_block.keys() == whole.by_block.keys()
    assert found.lowest == 0


def test_strength_multiplies_what_is_added() -> None:
    factor = LowRank(torch.ones(1, 2), torch.ones(3, 1), 2.0)
    adapter = Adapter({"layers.4.mlp.up_proj": factor}, "abc")
    half = adapter.scaled(0.5)
    assert half.factors["layers.4.mlp.up_proj"].scaling == 1.0
    assert half.key != adapter.key and half.key == adapter.scaled(0.5).key
    assert half.lowest == 4
