import math
import random

import pytest
import torch

from trimtab.training.rerankers.groups import LOSSES, Group, pair_accuracy, usable


def slow_loss(name: str, energies: list[float], correct: list[bool]) -> float:
    right = [e for e, good in zip(energies, correct, strict=True) if good]
    wrong = [e for e, good in zip(energies, correct, strict=True) if not good]
    if name == "pairs":
        each = [math.log(1 + math.exp(a - b)) for a in right for b in wrong]
        return sum(each) / len(each)
    if name == "listwise":
        mass = sum(math.exp(-e) for e in right)
        return -math.log(mass / (mass + sum(math.exp(-e) for e in wrong)))
    each = [
        ((0 - 1 / (1 + math.exp(-a))) ** 2 + (1 - 1 / (1 + math.exp(-b))) ** 2) / 2
        for a in right
        for b in wrong
    ]
    return sum(each) / len(each)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("seed", range(5))
def test_a_loss_is_its_formula(name, seed) -> None:
    drawn = random.Random(seed)
    correct = [True, False, *(drawn.random() < 0.4 for _ in range(drawn.randrange(6)))]
    energies = [drawn.gauss(0, 2) for _ in correct]
    found = LOSSES[name](torch.tensor(energies), torch.tensor(correct))
    assert float(found) == pytest.approx(slow_loss(name, energies, correct), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_pushes_right_ones_down_and_wrong_ones_up(name) -> None:
    energy_K = torch.zeros(4, requires_grad=True)
    LOSSES[name](energy_K, torch.tensor([True, False, False, True])).backward()
    right_low, wrong_high = energy_K.grad[[0, 3]], energy_K.grad[[1, 2]]
    assert (right_low > 0).all() and (wrong_high < 0).all()


def test_extreme_energies_stay_finite() -> None:
    energy_K = torch.tensor([400.0, -400.0], requires_grad=True)
    for loss in LOSSES.values():
        value = loss(energy_K, torch.tensor([True, False]))
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(energy_K.grad).all()


def test_pairs_are_counted_within_a_problem_and_ties_count_half() -> None:
    groups = [
        Group("p", ("a", "b", "c"), (True, False, False)),
        Group("q", ("d", "e"), (False, True)),
        Group("r", ("f",), (True,)),
    ]
    energies = [[1.0, 2.0, 1.0], [0.0, -5.0], [9.0]]
    assert pair_accuracy(energies, groups) == (pytest.approx(2.5 / 3), 3)
    assert pair_accuracy([[1.0]], [groups[2]]) == (None, 0)


def test_one_class_groups_are_dropped_and_counted() -> None:
    mixed = Group("p", ("a", "b"), (True, False))
    found = usable(
        [mixed, Group("q", ("c",), (True,)), Group("r", ("d",), (False,)), Group("s", (), ())]
    )
    assert (found.groups, found.all_right, found.all_wrong) == ([mixed], 1, 2)
