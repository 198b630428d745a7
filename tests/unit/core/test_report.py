"""Speed is told only where there is one, and stages are named by their attempts."""

from typing import Any

import pytest

from trimtab.core.report import Stage, Usage


def usage(**changes: Any) -> Usage:
    fields: dict[str, Any] = {
        "attempt": 1, "phase": "generate", "finished": True, "seconds": 2.0, "rows": 4,
        "tokens": 50, "threads": 1, "other_load": 0.5, "peak_memory_mib": None, "device": "cpu",
        "dtype": "float32",
    }  # fmt: skip
    return Usage.model_validate({**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "speed"), [({}, 25.0), ({"tokens": 0}, None), ({"seconds": 0.0}, None)]
)
def test_tokens_per_second(changes: dict[str, Any], speed: float | None) -> None:
    assert usage(**changes).tokens_per_second == speed


@pytest.mark.parametrize(("load", "disturbed"), [(0.5, False), (0.51, True), (None, False)])
def test_a_time_is_disturbed_by_more_than_half_a_core(load: float | None, disturbed: bool) -> None:
    assert usage(other_load=load).disturbed is disturbed


@pytest.mark.parametrize(
    ("attempts", "name"),
    [
        ((), "generate"),
        ((3,), "generate (attempt 3)"),
        ((1, 3, 4), "generate (attempts 1 and 3 and 4)"),
    ],
)
def test_the_name_of_a_stage(attempts: tuple[int, ...], name: str) -> None:
    assert Stage("generate", attempts, {}).name == name
