"""Every format gives back what it was given, counts blocks as its program does, and is refused
in one clear line where it is broken."""

import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader, GGUFWriter

from trimtab.core.errors import ConfigError, DataError, NonFiniteError, TrimtabError
from trimtab.core.spec import ModelSpec
from trimtab.engine.engine import Engine
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.vectors.file import INDEX, Vectors, checked
from trimtab.vectors.formats import FORMATS, bring_in, export

H, L = 32, 4
OTHERS = [name for name in FORMATS if name != "native"]


@pytest.fixture
def vectors() -> Vectors:
    generator = torch.Generator().manual_seed(3)
    drawn = {block: torch.randn(H, generator=generator) for block in (1, 3)}
    drawn[1][:3] = torch.tensor([1e-30, -1e30, 1 / 3])  # what rounding or text would lose
    about = {"model": "tiny", "model_type": "llama", "num_layers": L, "blocks": "layers"}
    return checked(drawn, about, "test", {1: 2.5})


@pytest.fixture(scope="module")
def load_tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], LoadedModel]:
    def load(layout: str) -> LoadedModel:
        path = save_tiny(tmp_path_factory.mktemp(layout) / "model", layout)
        return load_model(resolve(ModelSpec(id=str(path), device="cpu")))

    return load


@pytest.mark.parametrize("name", FORMATS)
def test_round_trip_is_exact_and_says_how_blocks_are_counted(
    name: str, vectors: Vectors, tmp_path: Path
) -> None:
    export(vectors, name, tmp_path / "file")
    assert INDEX.encode() in (tmp_path / "file").read_bytes()
    found = bring_in(tmp_path / "file", name)
    assert found.directions.keys() == {1, 3}
    assert all(torch.equal(found.directions[b], v) for b, v in vectors.directions.items())
    assert found.about["index"] == INDEX and found.about["num_layers"] == L
    assert found.residual_norms == (vectors.residual_norms if name == "native" else {})
    # what came in from elsewhere goes through our own file unchanged
    export(found, "native", tmp_path / "native")
    again = bring_in(tmp_path / "native", "native")
    assert all(torch.equal(again.directions[b], v) for b, v in vectors.directions.items())
    assert again.about == found.about


def test_what_the_other_programs_read(vectors: Vectors, tmp_path: Path) -> None:
    for name in OTHERS:
        export(vectors, name, tmp_path / name)
    of = vectors.directions
    hotwire = torch.load(tmp_path / "hotwire", weights_only=True, mmap=True)
    assert hotwire.shape == (L, H) and torch.equal(hotwire[1], of[1]) and not hotwire[[0, 2]].any()
    persona = torch.load(tmp_path / "persona", weights_only=False)
    assert persona.shape == (L + 1, H) and torch.equal(persona[4], of[3])
    assert not persona[[0, 1, 3]].any()
    steered = torch.load(tmp_path / "lm-eval", weights_only=True)
    assert steered.keys() == {"layers.1", "layers.3"}
    entry = steered["layers.3"]
    assert torch.equal(entry.pop("steering_vector"), of[3])
    assert entry == {"steering_coefficient": 1.0, "action": "add", "bias": None, "head_index": None}
    svec = json.loads((tmp_path / "svec").read_text())
    assert svec["model_type"] == "llama" and svec["directions"].keys() == {"1", "3"}
    assert torch.equal(torch.tensor(svec["directions"]["3"]), of[3][None])
    gguf = GGUFReader(tmp_path / "gguf")
    assert gguf.fields["general.architecture"].contents() == "controlvector"
    assert gguf.fields["controlvector.model_hint"].contents() == "llama"
    assert {t.name for t in gguf.tensors} == {"direction.1", "direction.3"}
    assert all(t.tensor_type.name == "F32" and list(t.shape) == [H] for t in gguf.tensors)


@pytest.mark.parametrize("layout", ["llama", "gemma3", "gemma3_multimodal", "gpt2", "gpt_neox"])
def test_hookpoints_are_the_blocks_by_the_name_that_lm_eval_looks_up(layout, load_tiny) -> None:
    loaded = load_tiny(layout)
    modules = dict(loaded.model.base_model.named_modules())
    for block, module in enumerate(loaded.layout.blocks):
        assert modules[f"{loaded.blocks_in_body}.{block}"] is module
    made = checked({2: torch.ones(H)}, {"blocks": loaded.blocks_in_body}, "test")
    stored = FORMATS["lm-eval"].dump(made)
    assert f"{loaded.blocks_in_body}.2".encode() in stored


def test_persona_rows_are_hidden_states_and_come_in_one_block_lower(
    load_tiny, tmp_path: Path
) -> None:
    loaded = load_tiny("llama")
    engine = Engine(loaded)
    ids = torch.tensor([engine.renderer.tokenizer.encode("Yes, it is so.")])
    outputs: dict[int, torch.Tensor] = {}
    for block, module in enumerate(loaded.layout.blocks):
        module.register_forward_hook(
            lambda _m, _a, out, block=block: outputs.update(
                {block: out[0] if isinstance(out, tuple) else out}
            )
        )
    with torch.no_grad():
        hidden = loaded.model(ids, output_hidden_states=True).hidden_states
    torch.save(torch.stack([h[0].mean(0) for h in hidden]).bfloat16(), tmp_path / "trait.pt")
    found = bring_in(tmp_path / "trait.pt", "persona")
    assert found.about["num_layers"] == L and found.about["embedding_row_left_out"]
    for block in range(L - 1):  # the last row is behind the final norm
        expected = outputs[block][0].mean(0).bfloat16().float()
        assert torch.equal(found.directions[block], expected)


def test_coefficients_are_multiplied_in_and_zero_rows_are_absent(tmp_path: Path) -> None:
    entry = {"steering_vector": torch.ones(H), "steering_coefficient": -1.5, "action": "add"}
    torch.save({"language_model.layers.7": entry}, tmp_path / "a.pt")
    found = bring_in(tmp_path / "a.pt", "lm-eval")
    assert torch.equal(found.directions[7], -1.5 * torch.ones(H))
    assert found.about["blocks"] == "language_model.layers"
    torch.save({"v": torch.stack([torch.zeros(H), torch.ones(H)])}, tmp_path / "b.pt")
    assert bring_in(tmp_path / "b.pt", "hotwire").directions.keys() == {1}
    torch.save(torch.ones(H), tmp_path / "c.pt")
    assert bring_in(tmp_path / "c.pt", "hotwire", 9).directions.keys() == {9}
    (tmp_path / "d.svec").write_text('{"model_type": "llama", "directions": {"5": [1, 2]}}')
    assert bring_in(tmp_path / "d.svec", "svec").directions.keys() == {5}


class Evil:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def gguf(path: Path, arch: str, tensors: dict[str, torch.Tensor]) -> None:
    writer = GGUFWriter(path, arch)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def entry(**changed: object) -> dict[str, object]:
    return {"steering_vector": torch.ones(H), "action": "add", **changed}


MALFORMED = [
    ("gguf", lambda p: p.write_text("hello"), "does not begin with 'GGUF'"),
    ("gguf", lambda p: gguf(p, "llama", {"direction.1": torch.ones(H)}), "probably a model"),
    ("gguf", lambda p: gguf(p, "controlvector", {"direction.0": torch.ones(H)}), "direction.0"),
    ("gguf", lambda p: gguf(p, "controlvector", {"v.1": torch.ones(H)}), "'v.1'"),
    ("gguf", lambda p: gguf(p, "controlvector", {"direction.1": torch.ones(H).half()}), "F16"),
    (
        "gguf",
        lambda p: gguf(p, "controlvector", {f"direction.{i}": torch.ones(i) for i in (1, 2)}),
        "different lengths",
    ),
    ("hotwire", lambda p: p.write_text("hello"), "can't be read as a .pt file"),
    ("hotwire", lambda p: p.write_bytes(pickle.dumps(Evil())), "can run code"),
    ("hotwire", lambda p: torch.save({"v": Evil()}, p), "can run code"),
    ("hotwire", lambda p: torch.save(torch.ones(2, 3, 4), p), r"shape \[2, 3, 4\]"),
    ("hotwire", lambda p: torch.save(torch.ones(H), p), "--layer"),
    ("hotwire", lambda p: torch.save(torch.ones(2, 3, dtype=torch.long), p), "int64"),
    ("hotwire", lambda p: torch.save(torch.zeros(4, 3), p), "not zero"),
    ("hotwire", lambda p: torch.save({"a": 1}, p), "dictionary with 'a'"),
    ("persona", lambda p: torch.save(torch.ones(H), p), r"\[blocks \+ 1, hidden\]"),
    ("lm-eval", lambda p: torch.save(torch.ones(H), p), "dictionary of hookpoints"),
    ("lm-eval", lambda p: torch.save({"layers.1.mlp": entry()}, p), "'layers.1.mlp'"),
    ("lm-eval", lambda p: torch.save({"layers.1": entry(action="clamp")}, p), "'clamp'"),
    ("lm-eval", lambda p: torch.save({"layers.1": entry(head_index=2)}, p), "head_index"),
    ("lm-eval", lambda p: torch.save({"h.1": entry(), "layers.1": entry()}, p), "different lists"),
    ("lm-eval", lambda p: torch.save({}, p), "not zero"),
    ("svec", lambda p: p.write_text("{"), "no .svec file"),
    ("svec", lambda p: p.write_text('{"model_type": "x"}'), "'directions'"),
    ("svec", lambda p: p.write_text('{"directions": {"a": [1.0]}}'), "no .svec file"),
    ("svec", lambda p: p.write_text('{"directions": {"1": [[1.0], [2.0]]}}'), r"shape \[2, 1\]"),
    ("svec", lambda p: p.write_text('{"directions": {"1": [1.0]}, "num_heads": 1}'), "heads"),
    ("svec", lambda p: p.write_text('{"directions": {"-1": [1.0]}}'), "below 0"),
    ("native", lambda p: p.write_text("hello"), "vectors import"),
]


@pytest.mark.parametrize(("name", "write", "message"), MALFORMED)
def test_malformed_files_are_named(name, write, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "bad")
    with pytest.raises(DataError, match=message) as caught:
        bring_in(tmp_path / "bad", name)
    assert str(tmp_path / "bad") in str(caught.value)
    assert not Path("pwned").exists()


@pytest.mark.parametrize("name", FORMATS)
def test_missing_files_and_values_that_are_not_finite(name, vectors, tmp_path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        bring_in(tmp_path / "none", name)
    vectors.directions[3][4] = float("nan")
    export(vectors, name, tmp_path / "nan")
    with pytest.raises(NonFiniteError, match="block 3"):
        bring_in(tmp_path / "nan", name)


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_an_error_of_ours(name: str, vectors: Vectors, tmp_path: Path) -> None:
    export(vectors, name, tmp_path / "whole")
    whole, drawing, path = (tmp_path / "whole").read_bytes(), random.Random(5), tmp_path / "bad"
    for number in range(150):
        damaged = bytearray(whole)
        if number % 3 == 0:
            del damaged[drawing.randrange(len(whole)) :]
            path.write_bytes(damaged)
            with pytest.raises(TrimtabError):
                bring_in(path, name)
            continue
        for _ in range(number % 3):
            damaged[drawing.randrange(min(len(whole), 900))] = drawing.randrange(256)
        path.write_bytes(damaged)
        try:
            bring_in(path, name)
        except TrimtabError as error:
            assert str(path) in str(error)


def test_what_a_format_can_not_hold(vectors: Vectors, tmp_path: Path) -> None:
    first = checked({0: torch.ones(H)}, {"num_layers": L}, "test")
    with pytest.raises(DataError, match="no block before block 1"):
        export(first, "gguf", tmp_path / "x")
    unknown = checked(vectors.directions, {}, "test")
    for name in ("hotwire", "persona"):
        with pytest.raises(DataError, match="--num-layers"):
            export(unknown, name, tmp_path / "x")
    shallow = checked(vectors.directions, {"num_layers": 3}, "test")
    with pytest.raises(DataError, match="block 3, and 3 blocks"):
        export(shallow, "hotwire", tmp_path / "x")
    with pytest.raises(ConfigError, match="Did you mean 'gguf'"):
        export(vectors, "ggfu", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_rows_of_our_own_files_are_not_taken_for_those_of_another_format(vectors, tmp_path) -> None:
    export(vectors, "persona", tmp_path / "x")
    with pytest.raises(DataError, match="format 'persona', not 'hotwire'"):
        bring_in(tmp_path / "x", "hotwire")
