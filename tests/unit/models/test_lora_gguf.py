"""Adapters for llama.cpp have its names, its order of rows, and their scaling in them."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, dequantize
from random_adapters import random_adapter

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.models import bundled
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.lora_gguf import as_in_gguf, dump_lora
from trimtab.models.lowrank import linear_layers, place_of

ARCHITECTURES = {"smollm2-135m-instruct": "llama", "gemma3-270m": "gemma3"}


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def model(request: pytest.FixtureRequest, tmp_path_factory) -> tuple[LoadedModel, GGUFReader]:
    name = request.param
    try:
        loaded = load_model(resolve(ModelSpec(id=f"bundled:{name}", device="cpu")))
        parts = bundled.locate(bundled.entry(f"bundled:{name}"))
    except ModelError as error:
        pytest.skip(f"the bundled model {name} is not here: {error}")
    path = tmp_path_factory.mktemp(name) / "whole.gguf"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return loaded, GGUFReader(path)


def test_names_and_rows_are_those_of_the_models_own_file(model, tmp_path: Path) -> None:
    loaded, file = model
    config = loaded.model.config
    arch = str(file.fields["general.architecture"].contents())
    theirs = {tensor.name: tensor for tensor in file.tensors}
    adapter = random_adapter(loaded, blocks=[0, 3])
    head_dim = loaded.resolved.card.head_dim
    made = tmp_path / "adapter.gguf"
    made.write_bytes(dump_lora(adapter, config.model_type, config.num_hidden_layers, head_dim))
    ours = {tensor.name: tensor.data for tensor in GGUFReader(made).tensors}
    assert {name.rpartition(".")[0] for name in ours} <= set(theirs)
    weights = dict(loaded.model.named_parameters())
    checked = 0
    for name, _ in linear_layers(loaded.layout):
        _, layer, inner = place_of(name)
        if layer != 3:
            continue
        factor = adapter.factors[name]
        (mine,) = (
            n for n in theirs
            if f"{n}.lora_a" in ours and np.array_equal(ours[f"{n}.lora_a"], factor.down.numpy())
        )  # fmt: skip
        whole = next(w for n, w in weights.items() if n.endswith(f"layers.3.{inner}.weight"))
        expected = dequantize(theirs[mine].data, theirs[mine].tensor_type)
        moved = as_in_gguf(whole.detach(), arch, inner, head_dim).numpy()
        np.testing.assert_array_equal(moved, expected, err_msg=name)
        change = factor.scaling * factor.up @ factor.down
        product = ours[f"{mine}.lora_b"] @ ours[f"{mine}.lora_a"]
        moved_change = as_in_gguf(change, arch, inner, head_dim).numpy()
        np.testing.assert_allclose(product, moved_change, atol=1e-5)
        checked += 1
    assert checked == 7


def test_what_llama_cpp_would_misread_is_refused(model) -> None:
    loaded, _ = model
    adapter = random_adapter(loaded, blocks=[0])
    with pytest.raises(ModelError, match="'gpt2' is not known here"):
        dump_lora(adapter, "gpt2", 4, 8)
    odd = type(adapter)({"model.layers.0.other": next(iter(adapter.factors.values()))})
    with pytest.raises(ModelError, match=r"no name for 'model\.layers\.0\.other'"):
        dump_lora(odd, "llama", 4, 8)


def test_the_file_says_what_it_is(model, tmp_path: Path) -> None:
    loaded, _ = model
    path = tmp_path / "adapter.gguf"
    path.write_bytes(dump_lora(random_adapter(loaded, blocks=[1]), "llama", 30, 64))
    fields = GGUFReader(path).fields
    assert fields["general.type"].contents() == "adapter"
    assert fields["adapter.type"].contents() == "lora"
    assert "adapter.lora.alpha" not in fields, "the factors hold their scaling"
