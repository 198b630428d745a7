import pytest

from trimtab.core.errors import StoreError
from trimtab.models import pairs
from trimtab.models.pairs import Pair, PairTokenizer, pair_hash, render_pair

TEXTS = [Pair(f"Question: What is {i} + {i}?\n", f"Answer: It is {2 * i}.") for i in range(50)]


@pytest.fixture
def tokenizer():
    def make(max_length: int = 64) -> PairTokenizer:
        return PairTokenizer.train(TEXTS, 400, max_length)

    return make


def test_margins_and_line_ends_are_no_part_of_a_pair() -> None:
    assert render_pair(" Why?\r\n", "\n\nso\r\n7 \n") == render_pair("Why?", "so\n7")
    assert render_pair("a", "b") != render_pair("b", "a")


def test_the_hash_is_of_what_rendering_does(monkeypatch) -> None:
    before = pair_hash()
    assert pair_hash() == before
    monkeypatch.setattr(pairs, "render_pair", lambda p, t: Pair(f"Q: {p}\n", f"A: {t}"))
    assert pair_hash() != before


def test_the_same_texts_make_the_same_vocabulary(tokenizer, tmp_path) -> None:
    for name in ("a", "b"):
        tokenizer().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded = PairTokenizer.load(tmp_path / "a", 64)
    assert loaded.encode(TEXTS) == tokenizer().encode(TEXTS)


def test_digits_stay_single_and_every_text_has_tokens(tokenizer) -> None:
    made = tokenizer()
    short, long = made.encode([Pair("", "1"), Pair("", "11111")])
    assert len(long.ids) - len(short.ids) == 4
    strange, empty = made.encode([Pair("漢\x00", "🙂"), Pair("", "Answer: ")])
    assert strange.cut == empty.cut == 0 and len(empty.ids) > empty.answer_from


def test_marks_within_a_text_are_text(tokenizer) -> None:
    (found,) = tokenizer().encode([Pair("a <answer> b<pad>", "<end> <start>")])
    start, middle, end = 1, 2, 3
    assert [found.ids.count(mark) for mark in (0, start, middle, end)] == [0, 1, 1, 1]
    assert found.ids[found.answer_from - 1] == middle and found.ids[-1] == end


def test_what_is_too_long_keeps_the_end_of_the_answer(tokenizer) -> None:
    whole, short = tokenizer(10**6), tokenizer(32)
    cases = [Pair("q" * 10, "x" * 100 + "789"), Pair("q" * 100, "789"), Pair("q" * 90, "x" * 90)]
    for full, cut in zip(whole.encode(cases), short.encode(cases), strict=True):
        assert len(cut.ids) == 32 and cut.cut == len(full.ids) - 32
        kept = len(cut.ids) - cut.answer_from
        assert cut.ids[cut.answer_from :] == full.ids[-kept:]
        assert cut.ids[: cut.answer_from - 1] == full.ids[: cut.answer_from - 1]


def test_a_damaged_file_is_named(tmp_path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"version": ')
    with pytest.raises(StoreError, match=r"tokenizer\.json"):
        PairTokenizer.load(tmp_path / "tokenizer.json", 64)
    with pytest.raises(StoreError, match="absent"):
        PairTokenizer.load(tmp_path / "absent", 64)
