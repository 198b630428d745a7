"""Every format gives back what it was given, counts blocks as its program does, and is refused
in one clear line where it is broken."""

import json
import os
import pickle
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import safetensors.torch as st
import torch
from gguf import GGUFReader, GGUFWriter

from trimtab.core.errors import ConfigError, DataError, NonFiniteError, TrimtabError
from trimtab.core.spec import ModelSpec
from trimtab.engine.engine import Engine
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.vectors.file import INDEX, Vectors, checked
from trimtab.vectors.formats import FORMATS, bring_in, export
from trimtab.vectors.recognise import recognise

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


def test_a_vector_must_be_finite_as_it_is_added(tmp_path: Path) -> None:
    for value, message in ((1e300, "what float32 can not"), (1e-300, "is zero in float32")):
        torch.save(torch.full((2, H), value, dtype=torch.float64), tmp_path / "wide.pt")
        with pytest.raises(NonFiniteError, match=f"the vector of block 0 .*{message}"):
            bring_in(tmp_path / "wide.pt", "hotwire")
    torch.save(torch.ones(2, H, dtype=torch.float64) / 3, tmp_path / "wide.pt")
    assert torch.equal(bring_in(tmp_path / "wide.pt", "hotwire").directions[0], torch.ones(H) / 3)
    torch.save(torch.ones(2, H).to(torch.float8_e4m3fn), tmp_path / "narrow.pt")
    assert torch.equal(bring_in(tmp_path / "narrow.pt", "hotwire").directions[1], torch.ones(H))
    large = {"steering_vector": torch.full((H,), 1e30), "action": "add"}
    torch.save({"layers.1": {**large, "steering_coefficient": 1e20}}, tmp_path / "large.pt")
    with pytest.raises(NonFiniteError, match="block 1"):
        bring_in(tmp_path / "large.pt", "lm-eval")
    both = {"steering_vector": torch.full((H,), 1e300, dtype=torch.float64), "action": "add"}
    torch.save({"layers.1": {**both, "steering_coefficient": 1e-300}}, tmp_path / "both.pt")
    assert torch.allclose(bring_in(tmp_path / "both.pt", "lm-eval").directions[1], torch.ones(H))


def test_a_layer_that_is_given_is_taken_or_refused(vectors: Vectors, tmp_path: Path) -> None:
    for stored in (torch.ones(H), torch.ones(1, H), {"v": torch.ones(1, H)}):
        torch.save(stored, tmp_path / "one.pt")
        assert bring_in(tmp_path / "one.pt", "hotwire", 15).directions.keys() == {15}
    for name in FORMATS:
        export(vectors, name, tmp_path / name)
        with pytest.raises(ConfigError, match=r"--layer 15 does not fit .* block 1, 3"):
            bring_in(tmp_path / name, name, 15)
    single = checked({0: torch.ones(H)}, {"num_layers": 1}, "test")
    export(single, "hotwire", tmp_path / "single")
    assert bring_in(tmp_path / "single", "hotwire").directions.keys() == {0}


def test_formats_are_recognised_by_content(vectors: Vectors, tmp_path: Path) -> None:
    for name in FORMATS:
        export(vectors, name, tmp_path / "file")
        assert recognise(tmp_path / "file") == (name, None)
    foreign = {
        "lm-eval": {"layers.1": entry()},
        "hotwire": {"v": torch.ones(4, H)},
    }
    for name, stored in foreign.items():
        torch.save(stored, tmp_path / "foreign.pt")
        assert recognise(tmp_path / "foreign.pt") == (name, None)
    torch.save(torch.ones(4, H), tmp_path / "foreign.pt")
    assert recognise(tmp_path / "foreign.pt") == ("hotwire", "persona")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(DataError, match=r"can't be read as a \.pt file"):
        recognise(tmp_path / "text")


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


def native(path: Path, tensors: dict[str, torch.Tensor], about: str | None = None) -> None:
    said = json.dumps({"index": INDEX}) if about is None else about
    path.write_bytes(st.save(tensors, {"trimtab": said}))


def save(stored: object, path: Path) -> None:
    torch.save(stored, path)


def packed(path: Path, size: int) -> None:
    """Write an archive whose members are small and claim to be large."""
    torch.save(torch.ones(2, H), path)
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02") + 24  # the size of the first member, in the directory
    data[place : place + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)


def sparse_file(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


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
    ("svec", lambda p: p.write_text('{"directions": {"-1": [1.0]}}'), "no number of a block"),
    ("svec", lambda p: p.write_text('{"directions": {"01": [1.0]}}'), "no number of a block"),
    ("svec", lambda p: p.write_text('{"directions": {"1": [1.0], "1": [2.0]}}'), "a key twice"),
    ("svec", lambda p: p.write_text("[" * 100_000), "nested too deeply"),
    ("svec", lambda p: p.write_text('{"directions": {"1": [%s]}}' % ("9" * 5000)), "no .svec file"),
    ("svec", lambda p: p.write_text('{"directions": {"1": [%s]}}' % ("9" * 400)), "no .svec file"),
    ("svec", lambda p: p.write_text('{"directions": {"1": []}}'), "has 0 numbers"),
    (
        "svec",
        lambda p: p.write_text('{"directions": {"1": [1.0]}, "trimtab": []}'),
        "no .svec file",
    ),
    ("svec", lambda p: p.write_text('{"directions": {"1": ["\\ud800"]}}'), "no .svec file"),
    ("native", lambda p: p.write_text("hello"), "vectors import"),
    ("native", lambda p: native(p, {"l1.direction": torch.ones(H)}, "[" * 100_000), "too deeply"),
    ("native", lambda p: native(p, {"l1.direction": torch.ones(H)}, "[]"), "no JSON object"),
    ("native", lambda p: native(p, {f"l{'1' * 5000}.direction": torch.ones(H)}), "no vectors that"),
    (
        "native",
        lambda p: native(p, {"l1.direction": torch.ones(H), "l1.residual_norm": torch.ones(2)}),
        r"shape \[2\], not one number",
    ),
    (
        "native",
        lambda p: native(p, {"l1.direction": torch.ones(H), "l1.residual_norm": torch.zeros(1)}),
        "is no length",
    ),
    ("native", lambda p: native(p, {"l1.direction": torch.ones(2, H)}), r"shape \[2, 32\]"),
    *(
        ("lm-eval", partial(save, {"layers.1": entry(steering_coefficient=odd)}), "is no number")
        for odd in (None, [1.0, 2.0], "strong", True, 1e40, float("nan"), torch.ones(2), 10**400)
    ),
    ("lm-eval", partial(save, {f"layers.{'1' * 5000}": entry()}), "is not the output of a block"),
    ("lm-eval", partial(save, {"layers.01": entry()}), "is not the output of a block"),
    ("lm-eval", partial(save, {"x" * 9999: entry()}), "x{58} is not the output of a block"),
    *(
        (name, partial(save, odd), message)
        for name in ("hotwire", "persona")
        for odd, message in (
            (torch.ones(4, H).to_sparse(), "sparse_coo"),
            (torch.ones(4, H, device="meta"), "without data"),
            (torch.ones(1).expand(10**9, H), r"\[1000000000, 32\]"),
            (torch.ones(1).expand(4, 10**9), "1000000000 numbers"),
            (torch.ones(4, H, dtype=torch.complex64), "complex64"),
            (torch.ones(4, 0), "has 0 numbers"),
        )
    ),
    ("hotwire", lambda p: torch.save(torch.ones(1, H), p), "--layer"),
    ("hotwire", lambda p: packed(p, 2 << 30), "too large for vectors"),
    *((name, lambda p: sparse_file(p, 1 << 40), "too large for vectors") for name in FORMATS),
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
    with pytest.raises(DataError, match="is no file"):
        bring_in(tmp_path, name)
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
