"""Labels are the answer and what ends its turn, for any template; the rest is the prompt."""

import pytest
from chat_families import FAMILIES, family_tokenizer

from trimtab.core.errors import DataError, ModelError
from trimtab.core.types import Message
from trimtab.models.chat import Renderer
from trimtab.models.labels import label
from trimtab.models.tiny import tiny_tokenizer

ANSWERS = ("Paris.", "I don't know \u2014 caf\u00e9 \U0001f40b", "a\n\nb", '<START> "x" <END>')


def turns(*contents: str, system: str | None = None) -> tuple[Message, ...]:
    roles = ("user", "assistant") * len(contents)
    made = [Message(role=role, content=text) for role, text in zip(roles, contents, strict=False)]
    return (*([Message(role="system", content=system)] if system else []), *made)


def decoded(renderer: Renderer, found) -> str:
    return renderer.tokenizer.decode([found.ids[place] for place in found.places])


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("system", [None, "Be brief."])
@pytest.mark.parametrize("family", FAMILIES)
def test_labels_follow_the_very_prompt_that_asks_for_them(family, system, answer) -> None:
    renderer = Renderer(family_tokenizer(family))
    messages = turns("What is the capital of France?", answer, system=system)
    found = label(renderer, messages, "chat", "row")
    prompt = renderer.prompt(messages[:-1], "chat")
    assert list(found.ids[: found.places[0]]) == prompt
    assert found.places == tuple(range(len(prompt), len(found.ids)))
    space = " " if family == "mistral" else ""
    after = "\n\n" if family == "no end" else ""
    expected = space + answer + FAMILIES[family][3]
    assert decoded(renderer, found) == expected, after
    assert found.ids[-1] in renderer.end_of_turn_ids()
    bos = renderer.tokenizer.bos_token_id
    if FAMILIES[family][4]:
        assert found.ids.count(bos) == 1 and found.ids[0] == bos


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "no end"])
def test_every_answer_of_a_conversation_is_labelled_with_its_end(family) -> None:
    renderer = Renderer(family_tokenizer(family))
    found = label(renderer, turns("One?", "first", "Two?", "second"), "chat", "row")
    end, space = FAMILIES[family][3], " " if family == "mistral" else ""
    assert decoded(renderer, found) == f"{space}first{end}{space}second{end}"
    for number in (1, 3):
        prompt = renderer.prompt(turns("One?", "first", "Two?", "second")[:number], "chat")
        assert list(found.ids[: len(prompt)]) == prompt


def test_the_plain_form_of_base_models() -> None:
    renderer = Renderer(tiny_tokenizer())
    found = label(renderer, turns("One?", "first", "Two?", "second"), "plain", "row")
    assert renderer.tokenizer.decode(found.ids) == (
        "<bos>Q: One?\nA: first\n\nQ: Two?\nA: second<eos>"
    )
    assert decoded(renderer, found) == " first second<eos>"
    prompt = renderer.prompt(turns("One?", "first", "Two?"), "plain")
    assert list(found.ids[: len(prompt)]) == prompt


def test_a_template_that_asks_in_other_words_than_it_writes_is_refused() -> None:
    renderer = Renderer(family_tokenizer("mistral"))
    messages = turns("One?", "first", "Two?", "second", system="Be brief.")
    with pytest.raises(ModelError, match=r"row: the chat template asks for turn 3 with .* no be"):
        label(renderer, messages, "chat", "row")


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (turns("One?"), "row has no assistant turn"),
        (turns("One?", "  "), "row has a blank answer"),
        (turns("One?", "first<|im_end|>"), r"row: .* holds '<\|im_end\|>'"),
        (turns("<bos>One?", "first"), r"row: .* holds '<bos>'"),
        (turns("One?", "first")[1:], "row: .* begins with an answer"),
    ],
)
def test_what_can_not_be_learned_names_the_row(messages, said) -> None:
    with pytest.raises((DataError, ModelError), match=said):
        label(Renderer(family_tokenizer("qwen2.5")), messages, "chat", "row")
