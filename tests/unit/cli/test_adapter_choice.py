"""Whose adapter is exported, where a run has several bases."""

from types import SimpleNamespace

import pytest

from trimtab.cli.adapters import adapter_of_condition
from trimtab.core.errors import ConfigError


@pytest.mark.parametrize(
    ("condition", "model", "said"),
    [
        ("honest-0", None, "an adapter for each of a, b"),
        ("honest-0", "c", "--model 'c': no base of 'honest-0'"),
        ("honest-1", "b", "'honest-1' with an adapter. Did you mean 'honest-0'"),
    ],
)
def test_an_adapter_that_is_not_told_apart_is_refused(
    condition: str, model: str | None, said: str
) -> None:
    cells = [
        SimpleNamespace(condition=name, model=SimpleNamespace(id=base), artifacts={"adapter": base})
        for base in "ab"
        for name in ("honest-0", "control-0")
    ]
    run = SimpleNamespace(dir="run", plan=SimpleNamespace(cells=cells))
    with pytest.raises(ConfigError, match=said):
        adapter_of_condition(run, condition, model)
