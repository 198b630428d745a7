"""Banks: vectors are what their subsets say, refused pairs are counted, cells share one bank."""

import pytest
import torch
from other_pairs import on_pairs
from safetensors.torch import load_file

from trimtab.core.errors import ConfigError, DataError, NonFiniteError
from trimtab.interventions.bank import slope, subsets
from trimtab.interventions.base import INTERVENTIONS
from trimtab.steering.estimators import by_question, direction
from trimtab.steering.fitted import FitContext, Fitted
from trimtab.steering.reliability import (
    mean_cosine,
    questions_needed,
    reliability_curve,
    spearman_brown,
)

BANK = {"layer": 1, "sizes": [3, 50], "vectors": 4, "multipliers": [-1, 0, 2]}


@pytest.fixture
def fitted(context: FitContext) -> Fitted:
    return INTERVENTIONS.build("bank", BANK).fit(context)


def test_vectors_are_directions_of_their_subsets_of_questions(context, fitted) -> None:
    on_disk = load_file(context.folder / "activations.safetensors")["mean"].double()[:, 0]
    questions = [pair.question_id for pair in context.pairs]
    positive, negative = (by_question(on_disk[k::2], questions) for k in (0, 1))
    assert len(positive) == 12
    for k, some in enumerate(subsets(12, 3, 4, context.seed)):
        assert len(set(some.tolist())) == 3
        expected = (positive[some] - negative[some]).mean(dim=0)
        torch.testing.assert_close(fitted.tensors["l1.bank.3"][k].double(), expected)
    large = fitted.tensors["l1.bank.50"]  # lowered to all 12 questions
    assert torch.allclose(large, fitted.tensors["l1.direction"].expand(4, -1), atol=1e-6)
    sizes = fitted.info["layers"]["1"]["sizes"]
    assert [(s["asked"], s["used"], s["share"]) for s in sizes] == [(3, 3, 0.25), (50, 12, 1.0)]
    assert sizes[0]["mean_cosine"] == pytest.approx(
        mean_cosine(fitted.tensors["l1.bank.3"]), abs=1e-5
    )


@pytest.mark.parametrize("estimator", ["pca", "probe"])
def test_banks_of_other_estimators(context, estimator) -> None:
    found = INTERVENTIONS.build("bank", {**BANK, "estimator": estimator}).fit(context)
    on_disk = load_file(context.folder / "activations.safetensors")["mean"].double()[:, 0]
    questions = [pair.question_id for pair in context.pairs]
    positive, negative = (by_question(on_disk[k::2], questions) for k in (0, 1))
    some = subsets(12, 3, 4, context.seed)[2]
    expected = direction(estimator, positive[some], negative[some]).float()
    torch.testing.assert_close(found.tensors["l1.bank.3"][2], expected, atol=1e-5, rtol=1e-3)


def test_the_curve_is_the_cosine_of_disjoint_means() -> None:
    generator = torch.Generator().manual_seed(0)
    x = 0.4 + torch.randn(60, 300, generator=generator, dtype=torch.float64)
    points = reliability_curve(x, [5, 20, 200], seed=1)
    assert [point.n for point in points] == [5, 20, 30]
    rho = mean_cosine(x)
    for point in points:
        assert point.predicted == pytest.approx(spearman_brown(rho, point.n))
        assert point.measured == pytest.approx(point.predicted, abs=0.02)
    needed = questions_needed(rho, 0.9)
    assert spearman_brown(rho, needed) ** 0.5 >= 0.9 > spearman_brown(rho, needed - 1) ** 0.5
    assert questions_needed(-0.1, 0.9) is None and reliability_curve(x[:3], [5], 0) == []


def test_steerability_is_the_slope_of_the_answers_log_odds(context, fitted) -> None:
    found = fitted.info["layers"]["1"]["steerability"]
    assert found["split"] == "select" and found["num_pairs"] == len(context.select) == 8
    engine, pair = context.engine, context.select[3]
    vector = fitted.tensors["l1.direction"]
    prompt, answers = engine.renderer.with_answers(
        pair.messages, [pair.positive, pair.negative], "chat"
    )
    gaps = []
    for multiple in (-1, 0, 2):
        total = []
        for answer in answers:
            ids = torch.tensor([[*prompt, *answer]])

            def steer(_module, _args, output, multiple=multiple):
                h = output[0] if isinstance(output, tuple) else output
                h[:, len(prompt) - 1 :] += multiple * vector
                return output

            handle = engine.loaded.layout.blocks[1].register_forward_hook(steer)
            with torch.no_grad():
                logits = engine.loaded.model(ids).logits[0, len(prompt) - 1 : -1]
            handle.remove()
            picked = logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None])
            total.append(float(picked.sum()))
        gaps.append(total[0] - total[1])
    assert found["slopes"][pair.id] == pytest.approx(slope([-1, 0, 2], gaps), abs=1e-3)
    values = list(found["slopes"].values())
    assert found["anti_steered"] == sum(v < 0 for v in values) / 8
    assert slope([-1, 0, 2], [1, 3, 7]) == pytest.approx(2)


def test_one_bank_serves_every_vector_strength_and_position() -> None:
    parts = [
        INTERVENTIONS.build("bank", {**BANK, **more}).needs()["vector"]
        for more in ({}, {"size": 3, "vector": 2, "strength": -0.4, "positions": "all"})
    ]
    assert parts[0] == parts[1]
    other = INTERVENTIONS.build("bank", {**BANK, "sizes": [3, 4]}).needs()["vector"]
    assert other != parts[0]


def test_cells_add_the_vector_they_name(fitted) -> None:
    bank = INTERVENTIONS.build("bank", {**BANK, "size": 3, "vector": 2, "strength": 0.5})
    (edit,) = bank.treat({"vector": fitted}).edits
    assert torch.equal(edit.vector, fitted.tensors["l1.bank.3"][2])
    length = float((edit.strength * edit.vector).norm())
    assert length == pytest.approx(0.5 * float(fitted.tensors["l1.residual_norm"]), rel=1e-5)
    for wrong in ({"size": 7}, {"vector": 4}, {"sizes": [3, 3]}, {"multipliers": [1, 1]}):
        with pytest.raises(ConfigError):
            INTERVENTIONS.build("bank", {**BANK, **wrong})


def test_pairs_that_are_not_finite_are_refused_or_counted(context: FitContext) -> None:
    weight = context.engine.loaded.model.get_input_embeddings().weight
    first, *others = context.pairs
    bad = first.model_copy(update={"negative": "No ~"})
    broken = on_pairs(context, [bad, *others], folder=context.folder)
    token = context.engine.renderer.with_answers(bad.messages, ["~"], "chat")[1][0][-1]
    kept = weight.data[token].clone()
    weight.data[token] = float("nan")
    try:
        with pytest.raises(NonFiniteError, match="'p0', False"):
            INTERVENTIONS.build("bank", BANK).fit(broken)
        found = INTERVENTIONS.build("bank", {**BANK, "drop_nonfinite": True}).fit(broken)
    finally:
        weight.data[token] = kept
    assert found.info["num_dropped"] == 1 and found.info["dropped"] == ["p0"]
    assert found.info["num_pairs"] == 23
    whole = on_pairs(context, others)
    expected = INTERVENTIONS.build("bank", BANK).fit(whole)
    for name, tensor in expected.tensors.items():
        torch.testing.assert_close(found.tensors[name], tensor)


def test_a_whole_capture_is_used_again_and_one_of_other_pairs_is_not(context) -> None:
    bank = INTERVENTIONS.build("bank", BANK)
    first = bank.fit(context)
    path = context.folder / "activations.safetensors"
    stamp = path.stat().st_mtime_ns
    again = bank.fit(context)
    assert path.stat().st_mtime_ns == stamp
    assert all(torch.equal(again.tensors[k], v) for k, v in first.tensors.items())
    bank.fit(on_pairs(context, context.pairs[:-2], folder=context.folder))
    assert path.stat().st_mtime_ns != stamp
    assert [p.name for p in context.folder.iterdir()] == ["activations.safetensors"]
    with pytest.raises(DataError, match="at least 2"):
        bank.fit(on_pairs(context, context.pairs[:1]))
