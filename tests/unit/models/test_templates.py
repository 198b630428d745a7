"""What is said comes out of a template whatever it takes, or the template is refused by name."""

import itertools

import pytest

from trimtab.core.errors import ModelError
from trimtab.models.templates import ChatTemplate
from trimtab.models.tiny import tiny_tokenizer

END = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
PARTS = (
    "{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
)
SYSTEM, QUESTION = "Be brief.", "What is the capital of Norway?"


def each(body: str) -> str:
    return "{% for m in messages %}<|{{ m.role }}|>" + body + "<|end|>{% endfor %}" + END


def first_system(system: str, body: str) -> str:
    """Llama 2's and Mistral's shape: a system text is taken from in front of the turns."""
    return (
        "{% set turns = messages %}{% set system = '' %}{% if messages[0].role == 'system' %}"
        "{% set turns = messages[1:] %}{% set system = " + system + " + '\n\n' %}{% endif %}"
        "{% for m in turns %}[{{ m.role }}]{% if loop.last %}{{ system }}{% endif %}"
        + body
        + "{% endfor %}"
    )


TEMPLATES = {
    "texts": each("{{ m.content }}"),
    "trimmed": each("{{ m.content | trim }}"),
    "parts": each(PARTS),
    "first part": each("{{ m.content[0]['text'] }}"),
    "first part, stripped": each("{{ m['content'][0]['text'].strip() }}"),
    "either": each("{% if m.content is string %}{{ m.content }}{% else %}" + PARTS + "{% endif %}"),
    "system text before the last turn": first_system("messages[0].content", "{{ m.content }}"),
    "system a text, turns parts": first_system("messages[0].content", PARTS),
    "system parts, turns texts": first_system("messages[0].content[0].text", "{{ m.content }}"),
    "drops system": each("{% if m.role != 'system' %}{{ m.content }}{% endif %}"),
    "refuses system": each(
        "{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ m.content }}"
    ),
    "only the last turn": "{{ messages[-1].content }}" + END,
    "only the first turn": "{{ messages[0].content }}" + END,
    "wants a system turn": (
        "{% if messages[0].role != 'system' %}{{ raise_exception('no') }}{% endif %}"
        + each("{{ m.content }}")
    ),
    "prints parts": each("{{ m.content if m.content is not string else m.missing.x }}"),
    "prints parts as JSON": each("{{ m.content[0].text.x or m.content | tojson }}"),
    "nothing": END,
    "no template by itself": {"rag": each("{{ m.content }}")},
    "of several": {"default": each("{{ m.content }}"), "rag": ""},
}
CONVERSATIONS = {
    "user": [("user", QUESTION)],
    "system": [("system", SYSTEM), ("user", QUESTION)],
    "repeated": [("system", SYSTEM), ("user", f"{SYSTEM} {QUESTION}")],
    "inside": [("system", "Norway"), ("user", f" {QUESTION}\n")],
    "turns": [("user", "1+1?"), ("assistant", "2"), ("user", "2+2?")],
    "all": [("system", SYSTEM), ("user", QUESTION), ("assistant", "Oslo"), ("user", QUESTION)],
}
REFUSED = {
    "only the last turn": {"turns", "all"},
    "only the first turn": {"turns", "all"},
    "wants a system turn": {"user", "turns"},
    "prints parts": set(CONVERSATIONS),
    "prints parts as JSON": set(CONVERSATIONS),
    "nothing": set(CONVERSATIONS),
    "no template by itself": set(CONVERSATIONS),
}


def turns(*said: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in said]


def chat_template(template: str | dict[str, str]) -> ChatTemplate:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return ChatTemplate(tokenizer)


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_turn_is_there_beside_the_others_or_the_conversation_is_refused(name: str) -> None:
    template, refused = chat_template(TEMPLATES[name]), set()
    for which, said in CONVERSATIONS.items():
        try:
            text = template.text(turns(*said))
        except ModelError as error:
            refused.add(which)
            assert "\n" not in str(error) and "rendering: plain" in str(error)
            continue
        assert "'text'" not in text and '"text"' not in text
        for _, content in sorted(said, key=lambda one: -len(one[1])):
            assert content.strip() in text
            text = text.replace(content.strip(), "", 1)
    assert refused == REFUSED.get(name, set())


def test_a_text_that_a_template_changes_is_an_error() -> None:
    template = chat_template(each("{{ m.content.split('</think>')[-1] }}"))
    assert "Why?" in template.text(turns(("user", "Why?")))
    with pytest.raises(ModelError, match=r"\(user\): it loses or changes 'a</think>b'"):
        template.text(turns(("user", "a</think>b")))


def test_the_error_is_one_line_that_a_terminal_can_show() -> None:
    template = chat_template("{{ raise_exception('first\n\x1b[31msecond' ~ 'x' * 5000) }}")
    with pytest.raises(ModelError, match=r"\(user\): first \[31msecondx+\. Check") as caught:
        template.text(turns(("user", "Why?")))
    assert len(str(caught.value)) < 500 and str(caught.value).isprintable()


def test_what_stands_behind_an_answer() -> None:
    assert chat_template(each("{{ m.content }}")).after_answer() == "<|end|>"
    assert chat_template(each(PARTS)).after_answer() == "<|end|>"
    only_questions = "{% if messages[-1].role != 'user' %}{{ raise_exception('no') }}{% endif %}"
    assert chat_template(only_questions + each("{{ m.content }}")).after_answer() == (
        "<|end|><|user|>whatthectturnsays<|end|>".replace("ctturn", "cturn")
    )
    assert chat_template("{{ messages[").after_answer() == ""


def test_long_conversations_have_marks_of_their_own() -> None:
    said = [
        (role, f"text {i}") for i, role in zip(range(41), itertools.cycle(("user", "assistant")))
    ]
    text = chat_template(each("{{ m.content }}")).text(turns(*said))
    assert text.count("text ") == 41
