"""Negative log-likelihood and divergence of the reference choices."""

import math

import pytest

from trimtab.core.types import Choice as Option
from trimtab.judges.divergence import Divergence
from trimtab.judges.perplexity import Perplexity

REFERENCE = Option(text="r", correct=True, reference=True)
OTHER = Option(text="o", correct=False)


def test_references_are_pooled_per_token_and_others_ignored(options_item) -> None:
    item = options_item((-6.0, REFERENCE), (-50.0, OTHER), (-2.0, REFERENCE), num_tokens=(3, 1, 1))
    (verdict,) = Perplexity(Perplexity.Config()).verdicts([item], None)
    assert verdict.values == {"nll_per_token": 2.0}


@pytest.mark.parametrize(
    ("options", "num_tokens"),
    [
        (((math.nan, REFERENCE),), (3,)),
        (((-6.0, OTHER),), (3,)),
        (((-6.0, REFERENCE),), (0,)),
        (((-6.0, REFERENCE),), None),
    ],
)
def test_no_number_without_a_sound_reference(options_item, options, num_tokens) -> None:
    item = options_item(*options, num_tokens=num_tokens)
    (verdict,) = Perplexity(Perplexity.Config()).verdicts([item], None)
    assert verdict.values == {"nll_per_token": None} and verdict.error


def test_divergence_is_the_mean_over_references(options_item) -> None:
    item = options_item((-1.0, REFERENCE), (-1.0, OTHER), (-1.0, REFERENCE), kl=(0.5, None, 0.25))
    (verdict,) = Divergence(Divergence.Config()).verdicts([item], None)
    assert verdict.values == {"kl": 0.375}


@pytest.mark.parametrize("kl", [None, (None, 0.1), (math.nan, 0.1), (0.1,)])
def test_divergence_is_never_imputed(options_item, kl) -> None:
    item = options_item((-1.0, REFERENCE), (-1.0, REFERENCE), kl=kl)
    (verdict,) = Divergence(Divergence.Config()).verdicts([item], None)
    assert verdict.values == {"kl": None} and verdict.error
