"""Mean differences and their reliability, against brute force and against the law they follow."""

import itertools

import pytest
import torch

from trimtab.interventions._estimators import (
    by_question,
    mean_difference,
    reliability,
    spearman_brown,
)


def test_mean_pairwise_cosine_equals_the_loop_over_pairs() -> None:
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cosine = torch.nn.functional.cosine_similarity
    slow = [float(cosine(a, b, dim=0)) for a, b in itertools.combinations(x, 2)]
    assert reliability(x, seed=0).mean_cosine == pytest.approx(sum(slow) / len(slow), abs=1e-12)


@pytest.mark.parametrize("rho", [0.05, 0.2, 0.5])
def test_split_halves_follow_the_law(rho: float) -> None:
    generator = torch.Generator().manual_seed(1)
    hidden, n = 400, 120
    signal = torch.randn(hidden, generator=generator, dtype=torch.float64)
    signal *= (rho / (1 - rho)) ** 0.5
    x = signal + torch.randn(n, hidden, generator=generator, dtype=torch.float64)
    found = reliability(x, seed=2)
    assert found.mean_cosine == pytest.approx(rho, abs=0.03)
    assert found.split_half_measured == pytest.approx(found.split_half_predicted, abs=0.02)
    true = torch.nn.functional.cosine_similarity(mean_difference(x), signal, dim=0)
    assert found.population_cosine == pytest.approx(float(true), abs=0.03)


def test_figures_of_the_law() -> None:
    # rho 0.02: 50 pairs give cosine 0.70 to the population vector, 200 give 0.89
    assert spearman_brown(0.02, 50) ** 0.5 == pytest.approx(0.71, abs=0.01)
    assert spearman_brown(0.02, 200) ** 0.5 == pytest.approx(0.89, abs=0.01)


def test_few_questions_have_no_reliability_rather_than_zero() -> None:
    found = reliability(torch.randn(3, 4), seed=0)
    assert found.num_units == 3 and found.mean_cosine is None and found.population_cosine is None


def test_pairs_of_one_question_count_once() -> None:
    x = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]])
    assert torch.equal(by_question(x, ["a", "a", "b"]).float(), torch.tensor([[2.0, 0], [0, 5.0]]))
