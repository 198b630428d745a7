import math

import pytest

from trimtab.core.training import Training


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_rate_rises_and_falls_as_its_formula_says(schedule) -> None:
    settings = Training(learning_rate=2.0, schedule=schedule, warmup=0.2, floor=0.25)
    rates = [settings.rate(step, 50) for step in range(50)]

    assert rates[:10] == pytest.approx([2.0 * k / 10 for k in range(1, 11)])
    share = {
        "cosine": lambda done: 0.25 + 0.75 * (1 + math.cos(math.pi * done)) / 2,
        "linear": lambda done: 0.25 + 0.75 * (1 - done),
        "constant": lambda done: 1.0,
    }[schedule]
    assert rates[10:] == pytest.approx([2.0 * share(k / 39) for k in range(40)])


def test_steps_count_partial_batches_and_partial_epochs() -> None:
    settings = Training(epochs=2.5, batch=8)
    assert settings.steps_per_epoch(17) == 3
    assert settings.num_steps(17) == 8
    assert Training(steps=5).num_steps(1000) == 5
    assert Training(steps=1).rate(0, 1) == Training().learning_rate
