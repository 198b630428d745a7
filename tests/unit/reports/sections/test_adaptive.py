"""What interventions decided is counted over tokens and rows; constant ones decided nothing."""

import pytest

from trimtab.core.types import Completion, GateReading
from trimtab.reports.sections.adaptive import AdaptiveContent, decided


def row(**more):
    return Completion(
        cell="c", sample_id="s", protocol="p", num_prompt_tokens=1, text="t", num_tokens=2,
        finish_reason="eos", **more,
    )  # fmt: skip


def test_strengths_are_pooled_over_tokens_and_gates_over_rows():
    decisions = decided(
        [
            row(strengths=((0.0, 1.0), (2.0,)), gates=(GateReading(value=3.0, factor=1.0),)),
            row(strengths=((0.5,), ()), gates=(GateReading(value=-1.0, factor=0.5),)),
            row(),
        ]
    )
    first, second = decisions.strengths
    assert (first.mean, first.largest, first.tokens) == (0.5, 1.0, 3)
    assert first.zero == pytest.approx(1 / 3) and second.tokens == 1
    (gate,) = decisions.gates
    assert (gate.mean, gate.factor, gate.open, gate.rows) == (1.0, 0.75, 0.5, 2)
    content = AdaptiveContent(measures={"generation": {"dynamic": decisions}})
    assert [row[:2] for row in content.rows()] == [("dynamic", "generation")]


def test_constant_interventions_decided_nothing(show, data):
    assert decided([row()]) is None
    assert show("adaptive", data).content is None
