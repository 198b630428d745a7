"""Mean differences and their reliability, against brute force and against the law they follow."""

import itertools

import pytest
import torch
from sklearn.decomposition import PCA

from trimtab.steering.estimators import (
    by_question,
    direction,
    fit_probe,
    mean_difference,
    principal_direction,
)
from trimtab.steering.reliability import reliability, spearman_brown


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


def two_kinds(num: int = 40, hidden: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    scale = torch.linspace(0.5, 2.0, hidden, dtype=torch.float64)
    signal = torch.linspace(-1.0, 1.0, hidden, dtype=torch.float64)
    draw = [torch.randn(num, hidden, generator=generator, dtype=torch.float64) for _ in range(2)]
    return 3 + signal + draw[0] * scale, 3 - 0.5 * signal + draw[1] * scale


@pytest.mark.parametrize("estimator", ["mean_difference", "pca", "probe"])
def test_directions_point_to_positive_and_are_as_long_as_the_mean_difference(estimator) -> None:
    positive, negative = two_kinds()
    found = direction(estimator, positive, negative)
    mean = mean_difference(positive - negative)
    assert float(found.norm()) == pytest.approx(float(mean.norm()))
    assert float(found @ mean) > 0
    torch.testing.assert_close(direction(estimator, negative, positive), -found)


def test_the_principal_direction_is_the_top_eigenvector_and_pca_of_centred_pairs() -> None:
    positive, negative = two_kinds()
    difference = positive - negative
    vectors = torch.linalg.eigh(difference.T @ difference).eigenvectors
    middle = (positive + negative) / 2
    both = torch.cat([positive - middle, negative - middle]).numpy()
    found = principal_direction(difference)
    for other in (vectors[:, -1], torch.from_numpy(PCA(1).fit(both).components_[0])):
        assert abs(float(found @ other) / float(found.norm())) == pytest.approx(1.0, abs=1e-9)


def test_the_probe_minimises_the_logistic_loss() -> None:
    positive, negative = two_kinds()
    probe = fit_probe(positive, negative, inverse_penalty=0.7)
    x = torch.cat([positive, negative])
    middle = x.mean(0)
    z = (x - middle) / (x - middle).square().mean().sqrt()
    z = torch.cat([z, torch.ones(len(z), 1, dtype=torch.float64)], dim=1)
    y = torch.tensor([1.0] * len(positive) + [0.0] * len(negative), dtype=torch.float64)
    penalty = torch.tensor([1.0] * 6 + [0.0], dtype=torch.float64)
    w = torch.zeros(7, dtype=torch.float64)
    for _ in range(50):  # Newton's method on |w|^2 / 2 + C * summed log loss
        p = (z @ w).sigmoid()
        gradient = penalty * w + 0.7 * z.T @ (p - y)
        w = w - torch.linalg.solve(
            penalty.diag() + 0.7 * z.T @ ((p * (1 - p))[:, None] * z), gradient
        )
    cosine = torch.nn.functional.cosine_similarity(w[:6], probe.direction_H, dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-6)
    called = x @ probe.direction_H > probe.threshold
    assert torch.equal(called, z @ w > 0)
    right = torch.cat([called[:40], ~called[40:]]).double().mean()
    assert probe.accuracy(positive, negative) == pytest.approx(float(right))
