import pytest

from trimtab.core.errors import DataError, ModelError
from trimtab.core.types import Message
from trimtab.models.chat import Renderer
from trimtab.models.tiny import tiny_tokenizer

CHATML = (
    "{% for m in messages %}{{ '<|user|>' + m.role + '\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|user|>assistant\n' }}{% endif %}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ m.role + ':' + m.content + '\n' }}{% endfor %}"
)


def turns(*pairs):
    return [Message(role=role, content=content) for role, content in pairs]


QUESTION = turns(("user", "Why?"))


@pytest.fixture
def tokenizer():
    return tiny_tokenizer()


def text_of(tokenizer, ids):
    return tokenizer.decode(ids)


@pytest.mark.parametrize("template", ["with", "without", "twice"])
def test_one_bos_whatever_the_template_does(tokenizer, template):
    own = tokenizer.chat_template
    tokenizer.chat_template = {
        "with": own,
        "without": own.replace("{{ bos_token }}", ""),
        "twice": "{{ bos_token }}" + own,
    }[template]
    ids = Renderer(tokenizer).prompt(QUESTION, "chat")
    assert text_of(tokenizer, ids) == "<bos><|user|>Why?<|end|><|assistant|>"
    plain = Renderer(tokenizer).prompt(QUESTION, "plain")
    assert text_of(tokenizer, plain) == "<bos>Q: Why?\nA:"


def test_turn_marker_that_is_the_bos_token_is_kept_and_not_added(tokenizer):
    # SmolLM2's shape: <|im_start|> opens every turn, is the BOS token, and is not added to text.
    tokenizer.chat_template = CHATML
    tokenizer.bos_token = "<|user|>"
    tokenizer.backend_tokenizer.post_processor = None
    renderer = Renderer(tokenizer)
    chat = text_of(tokenizer, renderer.prompt(QUESTION, "chat"))
    assert chat == "<|user|>user\nWhy?<|end|>\n<|user|>assistant\n"
    assert text_of(tokenizer, renderer.prompt(QUESTION, "plain")) == "Q: Why?\nA:"


def test_plain_puts_system_then_preamble_then_turns(tokenizer):
    messages = turns(("system", "Be brief."), ("user", "a?"), ("assistant", "b"), ("user", "c?"))
    prompt, answers = Renderer(tokenizer).with_answers(messages, ["d e"], "plain", "Q: x\nA: y\n\n")
    wanted = "<bos>Be brief.\n\nQ: x\nA: y\n\nQ: a?\nA: b\n\nQ: c?\nA:"
    assert text_of(tokenizer, prompt) == wanted
    assert [text_of(tokenizer, a) for a in answers] == [" d e"]


def test_chat_answers_follow_the_template_at_once(tokenizer):
    renderer = Renderer(tokenizer)
    prompt, answers = renderer.with_answers(QUESTION, ["yes", "no"], "chat")
    assert prompt == renderer.prompt(QUESTION, "chat")
    assert [text_of(tokenizer, a) for a in answers] == ["yes", "no"]


def test_answer_that_merges_with_the_prompt_is_encoded_alone(tokenizer):
    # "\n" + "\n" is one token here, so that the joint encoding loses the prompt's last id.
    tokenizer.chat_template = CHATML
    tokenizer.add_tokens(["\n\n"])
    renderer = Renderer(tokenizer)
    prompt, answers = renderer.with_answers(QUESTION, ["\nx"], "chat")
    assert prompt == renderer.prompt(QUESTION, "chat")
    assert answers == [tokenizer("\nx", add_special_tokens=False).input_ids]


@pytest.mark.parametrize("answer", ["", " "])
def test_empty_answer_is_an_error_and_not_certain(tokenizer, answer):
    with pytest.raises(DataError, match="Answer 1 to 'Why\\?' is empty"):
        Renderer(tokenizer).with_answers(QUESTION, ["yes", answer], "plain")


@pytest.mark.parametrize("template", ["refuses", "drops"])
def test_system_text_goes_to_the_user_where_the_template_has_no_place_for_it(tokenizer, template):
    tokenizer.chat_template = NO_SYSTEM
    if template == "drops":
        tokenizer.chat_template = NO_SYSTEM.replace("{{ raise_exception(", "{% set x = (").replace(
            "supported') }}", "supported') %}"
        ).replace("{{ m.role", "{% if m.role != 'system' %}{{ m.role").replace(
            "'\n' }}", "'\n' }}{% endif %}"
        )  # fmt: skip
    messages = turns(("system", "Be brief."), ("user", "Why?"))
    ids = Renderer(tokenizer).prompt(messages, "chat")
    assert text_of(tokenizer, ids) == "<bos>user:Be brief.\n\nWhy?\n"


def test_errors_of_a_template_say_what_to_do(tokenizer):
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(ModelError, match=r"roles must alternate.*rendering: plain"):
        Renderer(tokenizer).prompt(QUESTION, "chat")
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match=r"no chat template.*rendering: plain"):
        Renderer(tokenizer).prompt(QUESTION, "chat")


def test_template_gets_a_fixed_date(tokenizer):
    tokenizer.chat_template = "{{ bos_token + strftime_now('%d %b %Y') + messages[0].content }}"
    ids = Renderer(tokenizer).prompt(QUESTION, "chat")
    assert text_of(tokenizer, ids) == "<bos>26 Jul 2024Why?"


def test_a_verbatim_prompt_loses_no_turn(tokenizer):
    renderer = Renderer(tokenizer)
    asked = turns(("system", "Be brief."), ("user", "Why?"))
    assert (
        text_of(tokenizer, renderer.prompt(asked, "verbatim", "x ")) == "<bos>Be brief.\n\nx Why?"
    )
    with pytest.raises(ModelError, match="holds one user turn, and here are 3 turns"):
        renderer.prompt(turns(("user", "a"), ("assistant", "b"), ("user", "c")), "verbatim")


def test_end_of_turn_ids(tokenizer):
    end, eos = tokenizer.convert_tokens_to_ids(["<|end|>", "<eos>"])
    assert Renderer(tokenizer, eos_ids=[7]).end_of_turn_ids() == {eos, end, 7}
    tokenizer.chat_template = CHATML
    assert Renderer(tokenizer).end_of_turn_ids() == {eos, end}
    tokenizer.chat_template = NO_SYSTEM
    assert Renderer(tokenizer).end_of_turn_ids() == {eos}
    # one that renders no answer at the end, and one that renders nothing at all
    tokenizer.chat_template = CHATML.replace(
        "{% for", "{% if messages[-1].role != 'user' %}{{ raise_exception('no') }}{% endif %}{% for"
    )
    assert Renderer(tokenizer).end_of_turn_ids() == {eos, end}
    tokenizer.chat_template = "{{ messages["
    assert Renderer(tokenizer).end_of_turn_ids() == {eos}
    tokenizer.chat_template = None
    assert Renderer(tokenizer).end_of_turn_ids() == {eos}


def test_template_hash_depends_on_the_template(tokenizer):
    before = Renderer(tokenizer).template_hash
    assert before == Renderer(tiny_tokenizer()).template_hash
    tokenizer.chat_template = CHATML
    assert Renderer(tokenizer).template_hash != before
