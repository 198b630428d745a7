import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from trimtab.models.tiny import TINY_LAYOUTS, save_tiny, tiny_model, tiny_tokenizer

PROMPTS = ("Hello", "What is the capital of France?", "aaaa")


def _ids(tokenizer, text):
    turns = [{"role": "user", "content": text}]
    return tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]


def test_tokenizer_is_one_token_per_byte_and_round_trips():
    tokenizer = tiny_tokenizer()
    text = " a , b .\n\té 漢 <|user|>x"
    plain = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(plain) == text
    assert len(plain) == len(text.replace("<|user|>", "!").encode())
    assert tokenizer("x").input_ids[0] == tokenizer.bos_token_id


@pytest.mark.parametrize("layout", TINY_LAYOUTS)
def test_greedy_text_depends_on_the_prompt_and_does_not_end_at_once(layout):
    model, tokenizer = tiny_model(layout), tiny_tokenizer()
    texts = set()
    for prompt in PROMPTS:
        ids = torch.tensor([_ids(tokenizer, prompt)])
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False
        )
        new = out[0, ids.shape[1] :].tolist()
        assert tokenizer.eos_token_id not in new
        texts.add(tuple(new))
    assert len(texts) == len(PROMPTS)


@pytest.mark.parametrize("layout", ["llama", "gemma3_multimodal", "gpt2"])
def test_saved_directory_loads_to_the_same_model(tmp_path, layout):
    save_tiny(tmp_path, layout, seed=3)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    wanted = tiny_model(layout, seed=3)
    assert type(model) is type(wanted)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), wanted.parameters(), strict=True)
    )
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert _ids(tokenizer, "x é") == _ids(tiny_tokenizer(), "x é")
