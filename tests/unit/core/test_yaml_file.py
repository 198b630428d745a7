"""YAML within bounds: what PyYAML takes without a word, or answers with a traceback."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.core.errors import ConfigError
from trimtab.core.yaml_file import parse_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(f'*{before}' for _ in range(9))}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: the key 'a' occurs twice"),
        ("a: {b: 1, b: 1}", "line 1: the key 'b' occurs twice"),
        ("a: &x [*x]", "an alias stands within what it stands for"),
        (BOMB, "once aliases are followed"),
        ("a: " + "[" * 5000, "nested more than 50"),
        ("a: " + "[" * 60 + "]" * 60, "nested more than 50"),
        ("a: " + "9" * 5000, "more than 4,300 digits"),
        ("a: 0x" + "f" * 5000, "more than 4,300 digits"),
        ("a: 1.0e+999", "not finite"),
        ("a: .nan", "not finite"),
        ('a: "\\ud83d"', "half of a character"),
        ("a\0: 1", "not valid YAML"),
        ("a: 2020-13-45", "can't be read"),
        ("a: " + "x" * 1_000_001, "the most are 1000000"),
        ("a: !!python/object:os.system x", "constructor"),
    ],
)
def test_what_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_yaml(text, "some.yaml")
    message = str(error.value)
    assert message.startswith("some.yaml") and "\n" not in message
    assert words in message.replace("1,000,000", "1000000")


def test_aliases_and_merged_mappings_are_read() -> None:
    text = "base: &b {x: 1, y: 2}\nother: {<<: *b, x: 3}\nagain: *b\n"
    assert parse_yaml(text, "some.yaml") == {
        "base": {"x": 1, "y": 2},
        "other": {"x": 3, "y": 2},
        "again": {"x": 1, "y": 2},
    }


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab:{}[]&*<-?!|>\"'\\\n\t #0123456789.eu~%@,", max_size=60))
def test_any_text_is_a_value_or_one_line(text: str) -> None:
    try:
        parse_yaml(text, "some.yaml")
    except ConfigError as error:
        assert "\n" not in str(error)
