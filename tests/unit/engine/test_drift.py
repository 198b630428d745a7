"""Drift between two runs: counted by hand, none against itself, some in bfloat16."""

import pytest

from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.drift import Drift, compare
from trimtab.engine.engine import Engine
from trimtab.engine.request import Options, OptionsResult, Request, Result, Text, TextResult
from trimtab.models import bundled
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.tasks.base import TASKS


def text(key: str, *tokens: int) -> TextResult:
    return TextResult(key, "", tokens, -1.0, "length")


def options(key: str, *logprobs: float) -> OptionsResult:
    return OptionsResult(key, logprobs, (None,) * len(logprobs))


def test_what_differs_is_counted() -> None:
    reference = [
        text("same", 1, 2, 3),
        text("third", 1, 2, 3),
        text("shorter", 1, 2, 3, 4, 5, 6),
        text("at once", 1),
        options("q1", -1.0, -2.0),
        options("q2", -3.0, -2.5),
    ]
    other = [
        options("q2", -2.0, -2.25),
        options("q1", -1.5, -2.0),
        text("at once", 2),
        text("shorter", 1, 2, 3, 4, 5),
        text("third", 1, 2, 9),
        text("same", 1, 2, 3),
    ]
    assert compare(reference, other) == Drift(
        texts=4,
        differing=3,
        first=2,  # of 2, 5 and 0
        options=4,
        largest=1.0,
        mean=(0.5 + 0.0 + 1.0 + 0.25) / 4,
        other_best=1,
        questions=2,
    )


def test_nothing_compared_is_not_no_drift() -> None:
    only_texts = compare([text("a", 1)], [text("a", 1)])
    assert (only_texts.first, only_texts.largest, only_texts.mean) == (None, None, None)
    with pytest.raises(ValueError, match="2 requests were run on one side only"):
        compare([text("a", 1)], [text("b", 1)])


def answers(model: str, dtype: str, limit: int) -> list[Result]:
    spec = ModelSpec.model_validate({"id": model, "dtype": dtype, "device": "cpu"})
    engine = Engine(load_model(resolve(spec)))
    samples = TASKS.build("truthfulqa", {"form": "options", "limit": limit}).samples("select")
    requests = []
    for sample in samples:
        prompt, choices = engine.renderer.with_answers(
            sample.messages, [choice.text for choice in sample.choices], "chat"
        )
        wants = Text(SamplingParams(max_tokens=8)), Options(tuple(map(tuple, choices)))
        requests += [
            Request((sample.id, number), tuple(prompt), want) for number, want in enumerate(wants)
        ]
    return list(engine.run(requests))


def check(model: str, limit: int, most: float) -> None:
    reference = answers(model, "float32", limit)
    itself = compare(reference, answers(model, "float32", limit))
    assert (itself.differing, itself.largest, itself.other_best) == (0, 0.0, 0)
    reduced = compare(reference, answers(model, "bfloat16", limit))
    assert reduced.texts == reduced.questions == limit
    assert reduced.largest is not None and reduced.mean is not None
    assert 0 < reduced.mean < reduced.largest < most
    assert (reduced.first is None) == (reduced.differing == 0)


def test_a_tiny_model_drifts_in_bfloat16_only(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("drift") / "tiny"
    save_tiny(path, "llama")
    # sums over some fifty tokens of a random model
    check(str(path), limit=4, most=10.0)


@pytest.mark.slow
@pytest.mark.skipif(
    not bundled.is_installed("smollm2-135m-instruct"), reason="the bundled model is not installed"
)
@pytest.mark.campaign
def test_a_real_model_drifts_in_bfloat16_only() -> None:
    check("bundled:smollm2-135m-instruct", limit=4, most=5.0)
