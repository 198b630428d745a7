"""The state of a model: equal while nothing changed, different after whatever changes a forward."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from trimtab.models.state import State


def swap_module(model: nn.Sequential) -> None:
    model[1] = nn.Linear(4, 4)


def swap_weight(model: nn.Sequential) -> None:
    model[0].weight = nn.Parameter(model[0].weight.detach().clone())


def change_weight(model: nn.Sequential) -> None:
    with torch.no_grad():
        model[0].weight.mul_(2)


def change_buffer(model: nn.Sequential) -> None:
    model[2].running_mean.add_(1)


def replace_data(model: nn.Sequential) -> None:
    model[0].weight.data = torch.zeros(4, 4)


def add_hook(model: nn.Sequential) -> None:
    model[1].register_forward_hook(lambda *_: None)


def set_factor(model: nn.Sequential) -> None:
    model[1].scaling["default"] = 2.0


def train(model: nn.Sequential) -> None:
    model.train()


def replace_forward(model: nn.Sequential) -> None:
    model[0].forward = lambda x: x


CHANGES = [
    swap_module,
    swap_weight,
    change_weight,
    change_buffer,
    replace_data,
    add_hook,
    set_factor,
    train,
    replace_forward,
]


@pytest.fixture
def model() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    model[1].scaling = {"default": 1.0}
    return model


def test_state_stays_the_same_over_forwards(model):
    before = State.of(model)
    model(torch.ones(2, 4))
    assert State.of(model) == before


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_changes_a_forward_changes_the_state(model, change: Callable):
    before = State.of(model)
    change(model)
    assert State.of(model) != before


def test_tensor_that_took_the_place_of_another_is_not_taken_for_it(model):
    before = State.of(model)
    for _ in range(20):  # likely in the same memory
        del model[0].weight
        model[0].weight = nn.Parameter(torch.ones(4, 4))
        assert State.of(model) != before
