"""Chat templates in the manner of known families, on the byte tokenizer with their special tokens.

Written for these tests: what matters of each is what it puts before, between and after turns.
"""

from transformers import PreTrainedTokenizerFast

from trimtab.models.tiny import tiny_tokenizer

_CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_QWEN3 = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'].lstrip('\\n') }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_GEMMA3 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set first = messages[0]['content'] + '\n\n' %}{% set rest = messages[1:] %}"
    "{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ first if loop.first else '' }}{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
_LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
_MISTRAL = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set system = messages[0]['content'] + '\n\n' %}{% set rest = messages[1:] %}"
    "{% else %}{% set system = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}{% if m['role'] == 'user' %}[INST] "
    "{% if loop.last or loop.index0 == rest | length - 2 %}{{ system }}{% endif %}"
    "{{ m['content'] }}[/INST]{% else %} {{ m['content'] | trim }}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)
_NO_END = (
    "{{ bos_token }}{% for m in messages %}### {{ m['role'] }}:\n{{ m['content'] }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}### assistant:\n{% endif %}"
)

FAMILIES: dict[str, tuple[str, tuple[str, ...], str, str, bool]] = {
    "smollm2": (_CHATML, ("<|im_start|>", "<|im_end|>"), "<|im_start|>", "<|im_end|>", False),
    "qwen2.5": (_CHATML, ("<|im_start|>", "<|im_end|>"), "", "<|im_end|>", False),
    "qwen3": (_QWEN3, ("<|im_start|>", "<|im_end|>"), "", "<|im_end|>", False),
    "gemma3": (_GEMMA3, ("<start_of_turn>", "<end_of_turn>"), "<bos>", "<end_of_turn>", True),
    "llama3": (
        _LLAMA3,
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<bos>",
        "<|eot_id|>",
        True,
    ),
    "mistral": (_MISTRAL, ("[INST]", "[/INST]"), "<bos>", "<eos>", True),
    "no end": (_NO_END, (), "<bos>", "<eos>", True),
}
"""Template, special tokens, BOS, what ends a turn, and whether plain text gets a BOS."""


def family_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Return a byte tokenizer with a family's template and special tokens."""
    template, specials, bos, _, adds_bos = FAMILIES[name]
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(specials)})
    if not adds_bos:
        from tokenizers.processors import ByteLevel

        tokenizer._tokenizer.post_processor = ByteLevel(trim_offsets=False)
    tokenizer.bos_token = bos or None
    tokenizer.chat_template = template
    return tokenizer
