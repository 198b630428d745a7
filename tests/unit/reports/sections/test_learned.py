"""What learned steering gained is said plainly, and so is that it gained nothing."""

import math
from types import SimpleNamespace

import pytest

from trimtab.core.plan import FitPlan
from trimtab.core.spec import Component
from trimtab.reports.draw.format import DASH, MINUS

NUM = 30
ABOUT = {
    "mode": "mc",
    "trained_at": 0.2,
    "unit": "relative",
    "margin": 1.0,
    "parameters": 9,
    "fit_questions": 60,
    "updates": 40,
    "ended_by": "steps",
    "history": [],
}


def fit(key: str) -> FitPlan:
    return FitPlan(key=key, component=Component(name="mlp"), artifacts={"vector": key})


def info(gain: float, *, best: int = 20, reads: bool = False) -> dict:
    """Losses of questions that differ much, and a gain over the constant vector that varies."""
    constant = [3.0 + i % 7 for i in range(NUM)]
    learned = [value - gain + 0.3 * math.sin(5 * i) for i, value in enumerate(constant)]
    losses = {
        "none": [value + 0.5 for value in constant],
        "constant": constant,
        "random": constant,
        "learned": constant if best == 0 else learned,
    }
    if reads:
        losses["shuffled"] = learned
    return {
        "learned": {
            **ABOUT,
            "input": "prompt" if reads else "vector",
            "best_update": best,
            "select": {
                "items": [f"q{i}#0" for i in range(NUM)],
                "questions": [f"q{i}" for i in range(NUM)],
                "losses": losses,
            },
        }
    }


@pytest.fixture
def learned(show):
    def make(**infos: dict):
        cells = [
            SimpleNamespace(condition=label, artifacts={"vector": key}, role=role, purpose="result")
            for key in infos
            for label, role in ((key, "treatment"), ("a control", "control"))
        ]
        plan = SimpleNamespace(fits=[fit("caa"), *map(fit, infos)], cells=cells, seed=0)
        return show(
            "learned",
            SimpleNamespace(plan=plan, artifact_info=lambda key: infos.get(key, {"layers": {}})),
        )

    return make


def test_each_outcome_is_named(learned) -> None:
    shown = learned(
        better=info(0.4, reads=True), same=info(0.0), worse=info(-0.4), unchanged=info(0.0, best=0)
    )
    table = shown.tables()["learned"]
    note = table.note
    found = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.texts}
    verdicts = {name: row["verdict"] for name, row in found.items()}
    assert verdicts == {
        "better": "lower",
        "same": "not lower: no difference found",
        "worse": "higher",
        "unchanged": "not lower: no update improved on the constant vector",
    }
    assert "better: training did lower the hinge of the constant vector; against" in note
    for name in ("same", "worse", "unchanged"):
        assert f"{name}: training did not demonstrably lower the hinge" in note
    assert found["better"]["questions"] == str(NUM)
    low, high = found["better"]["Δ"].split("[")[1].rstrip("]").split(", ")
    assert low.startswith(f"{MINUS}0.") and high.startswith(f"{MINUS}0.")
    assert found["better"]["shuffled prompts"] == found["better"]["learned vector"]
    assert found["same"]["shuffled prompts"] == DASH


def test_an_artifact_that_is_owed_or_learned_nothing_has_no_row(learned) -> None:
    assert learned().content is None
