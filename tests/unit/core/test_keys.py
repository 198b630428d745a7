"""Keys are the same everywhere, and differ where outputs would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.keys import content_key, derive_seed
from trimtab.core.spec import Component, Spec
from trimtab.core.types import Message, Sample, SamplingParams


class _Knobs(Spec):
    strength: float = 0.0
    threshold: float | None = 0.5


def test_pinned_keys() -> None:
    sample = Sample(id="a", messages=(Message(role="user", content="Why?"),))
    assert content_key({"b": 1, "a": [1.5, "x", None, True]}) == PINNED["plain"]
    assert content_key(sample) == PINNED["sample"]
    assert content_key(SamplingParams(temperature=0.7)) == PINNED["sampling"]
    assert derive_seed(0, "cell", "sample", 3) == PINNED["seed"]


def test_defaults_do_not_count_but_null_is_not_the_default() -> None:
    assert content_key(_Knobs()) == content_key(_Knobs(strength=0.0)) == content_key({})
    assert content_key(_Knobs(threshold=None)) != content_key(_Knobs())
    assert content_key(_Knobs(strength=1)) == content_key(_Knobs(strength=1.0))
    assert content_key(Component(name="a", config={"x": 1})) != content_key(Component(name="a"))


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)))
def test_order_does_not_matter(mapping: dict[str, float]) -> None:
    assert content_key(mapping) == content_key(dict(reversed(mapping.items())))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        content_key([value])


def test_seeds_differ_in_every_part_and_fit_63_bits() -> None:
    seeds = {derive_seed(s, c, q, i) for s in (0, 1) for c in "ab" for q in "xy" for i in (0, 1)}
    assert len(seeds) == 16 and all(0 <= seed < 2**63 for seed in seeds)


PINNED = {
    "plain": "a1fbfff801eadd5b",
    "sample": "006fd21060ea4a8f",
    "sampling": "c083976164c1b2dd",
    "seed": 4324856621085662902,
}
