import json

import pytest

from trimtab.core.errors import ConfigError, DataError
from trimtab.tasks.base import TASKS
from trimtab.tasks.heldout import BUNDLED

ALL_TEST = {"fit": 0, "select": 0, "test": 1}


def task(**config):
    return TASKS.build("heldout", config)


def test_prompt_and_option_make_up_the_passage():
    texts = {}
    for line in BUNDLED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        texts[row["id"]] = row["text"]
    built = task(fractions=ALL_TEST)
    assert (built.output, built.measure, built.rendering) == ("options", "heldout", "verbatim")
    assert built.protocol == "heldout/plain"
    samples = built.samples("test")
    assert len(samples) == len(texts) == 24
    for sample in samples:
        (choice,) = sample.choices
        prompt = sample.messages[-1].content
        assert prompt + choice.text == texts[sample.id]
        assert len(prompt.split()) == 12
        assert choice.text[0].isspace()
        assert choice.reference
        assert sample.cluster == sample.metadata["genre"]


def test_default_split_and_limit():
    built = task()
    assert (len(built.samples("select")), len(built.samples("test"))) == (6, 18)
    assert {s.id for s in built.samples("select")}.isdisjoint(s.id for s in built.samples("test"))
    genres = {sample.cluster for sample in built.samples("test")}
    assert {sample.cluster for sample in task(limit=len(genres)).samples("test")} == genres
    with pytest.raises(ConfigError, match=r"'fit' .* is empty"):
        built.samples("fit")


def test_a_text_file_of_passages(tmp_path):
    path = tmp_path / "prose.txt"
    path.write_text("one two three four\nfive six\n\n  \nseven eight nine ten\n", encoding="utf-8")
    samples = task(source=str(path), opening_words=3, fractions=ALL_TEST).samples("test")
    assert sorted((s.messages[0].content, s.choices[0].text) for s in samples) == [
        ("one two three", " four\nfive six"),
        ("seven eight nine", " ten"),
    ]
    assert {sample.cluster for sample in samples} == {None}, "without a genre each is its own"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "only three words", "no more than 12 words"),
        ("a.txt", "a b\n\na b", "same text"),
        ("a.jsonl", '{"txt": "x"}', r"line 1: 'text' must be a text, .* \(found: txt; accepted"),
        ("a.csv", "text", "holds no texts"),
        ("a.csv", "x\ny", "has none of the columns text, id, genre; found: x"),
        ("a.pdf", "x", r"must be `bundled` or end in \.jsonl, \.csv or \.txt"),
    ],
)
def test_wrong_sources_are_named(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        task(source=str(path), fractions=ALL_TEST).samples("test")
