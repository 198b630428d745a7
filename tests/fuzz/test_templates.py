"""Any chat template: every text comes out of it, or the conversation is refused, soon."""

import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.core.errors import ModelError
from trimtab.core.types import Message
from trimtab.models.chat import Renderer
from trimtab.models.tiny import tiny_tokenizer

EXPRESSIONS = [
    "m.content",
    "m.role",
    "m.content | trim",
    "m['content'][0]['text']",
    "m.content[0].text.strip()",
    "messages[0].content",
    "messages[-1]['content'] | upper",
    "m.content ~ m.content",
    "m.content * 10 ** 9",
    "m.name + m.content",
    "range(99999) | list | length",
    "raise_exception('no')",
    "ns.x",
    "bos_token",
    "1 / 0",
    "missing.attribute",
    "m.content | tojson",
    "loop.index",
    "f(m)",
]
TESTS = ["m.role == 'user'", "loop.last", "m.content is string", "messages | length > 1", "missing"]
PIECES = (
    st.sampled_from([f"{{{{ {e} }}}}" for e in EXPRESSIONS])
    | st.sampled_from(
        ["<|user|>", "<|end|>", "\n", "{% set ns.x = ns.x ~ ns.x %}", "{{", "{% if %}"]
    )
    | st.sampled_from(EXPRESSIONS).map(lambda e: f"{{% set x = {e} %}}{{{{ x }}}}")
)


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=4).map("".join)
    return st.one_of(
        body,
        body.map(lambda b: "{% for m in messages %}" + b + "{% endfor %}"),
        body.map(lambda b: "{% for part in m.content %}{{ part.text }}" + b + "{% endfor %}"),
        body.map(lambda b: "{% for i in range(99999) %}" + b + "{% endfor %}"),
        body.map(lambda b: "{% macro f(m) %}" + b + "{% endmacro %}"),
        st.tuples(st.sampled_from(TESTS), body).map(
            lambda t: "{% if " + t[0] + " %}" + t[1] + "{% endif %}"
        ),
    )


TEMPLATES = st.recursive(PIECES, nested, max_leaves=12).map(
    lambda t: "{% set ns = namespace(x='x') %}" + t
)
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    roles = draw(st.sampled_from(["u", "su", "uau", "suau"]))
    names = {"s": "system", "u": "user", "a": "assistant"}
    texts = [draw(WORDS) for _ in roles]
    if roles[0] == "s" and draw(st.booleans()):
        texts[1] = texts[0] + texts[1]
    return [Message(role=names[r], content=t) for r, t in zip(roles, texts, strict=True)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(template=TEMPLATES, messages=conversations())
def test_nothing_is_lost_raised_or_endless(template: str, messages: list[Message]) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    renderer, since = Renderer(tokenizer), time.process_time()
    assert renderer.end_of_turn_ids()
    try:
        text = tokenizer.decode(renderer.prompt(messages, "chat"))
    except ModelError as error:
        assert "\n" not in str(error)
    else:
        for message in sorted(messages, key=lambda m: -len(m.content)):
            said = message.content.strip()
            assert said in text
            text = text.replace(said, "\0", 1) if said else text
    plain = tokenizer.decode(renderer.prompt(messages, "plain"))
    assert all(message.content in plain for message in messages)
    assert time.process_time() - since < 60  # each rendering ends within seconds; here are dozens


@settings(max_examples=100, deadline=None)
@given(messages=conversations())
def test_a_template_that_keeps_all_refuses_nothing(messages: list[Message]) -> None:
    tokenizer = tiny_tokenizer()
    text = tokenizer.decode(Renderer(tokenizer).prompt(messages, "chat"))
    wanted = "".join(f"<|{m.role}|>{m.content}<|end|>" for m in messages)
    assert text == f"<bos>{wanted}<|assistant|>"
