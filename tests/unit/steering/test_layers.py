"""The choice of a layer: scores as defined, on the select split, and the reason is told."""

import pytest
import torch
from other_pairs import on_pairs

from trimtab.core.errors import ConfigError
from trimtab.interventions.base import INTERVENTIONS
from trimtab.steering.estimators import fit_probe, mean_difference
from trimtab.steering.fitted import FitContext
from trimtab.steering.layers import LayerScore, rank
from trimtab.steering.pairs import read_pairs

AUTO = {"layer": "auto", "strength": 0.5}


def test_scores_are_those_of_the_select_split(context: FitContext) -> None:
    fitted = INTERVENTIONS.build("caa", AUTO).fit(context)
    choice = fitted.info["layer_choice"]
    assert set(choice["scores"]) == {str(k) for k in range(context.engine.num_layers)}
    layers = tuple(range(context.engine.num_layers))
    with (
        read_pairs(context, context.pairs, layers, "answer_mean") as fit,
        read_pairs(context, context.select, layers, "answer_mean") as select,
    ):
        for layer in layers:
            positive, negative = fit.answers(layer)
            held = select.answers(layer)
            vector = mean_difference(positive - negative)
            found = choice["scores"][str(layer)]
            assert found["probe"] == fit_probe(positive, negative).accuracy(*held)
            other = mean_difference(held[0] - held[1])
            cosine = torch.nn.functional.cosine_similarity(vector, other, dim=0)
            assert found["transfer"] == pytest.approx(float(cosine))
    best = min(choice["scores"].items(), key=lambda item: (item[1]["mean_rank"], int(item[0])))
    assert choice["chosen"] == int(best[0])
    assert f"block {best[0]}" in choice["why"] and "select split" in choice["why"]


def test_the_lens_is_what_the_head_makes_of_the_vector(context: FitContext) -> None:
    choice = INTERVENTIONS.build("caa", AUTO).fit(context).info["layer_choice"]
    loaded = context.engine.loaded
    body, head = loaded.model.model, loaded.model.lm_head
    with read_pairs(context, context.pairs, (2,), "answer_mean") as fit:
        positive, negative = fit.answers(2)
    middle = (positive.mean(0) + negative.mean(0)) / 2
    vector = positive.mean(0) - negative.mean(0)
    with torch.no_grad():
        up, down = (head(body.norm((middle + s * vector).float())) for s in (1, -1))
    effect = (up - down).double() / 2
    effect = (effect - effect.mean()) / effect.std()
    gains = []
    for pair in context.select:
        _, answers = context.engine.renderer.with_answers(
            pair.messages, [pair.positive, pair.negative], "chat"
        )
        gains.append(float(effect[answers[0]].mean() - effect[answers[1]].mean()))
    assert choice["scores"]["2"]["lens"] == pytest.approx(sum(gains) / len(gains), abs=1e-4)


def test_ranks_are_shared_by_equals() -> None:
    scores = [
        LayerScore(0, 0.5, 0.1, 0.0),
        LayerScore(1, 0.7, 0.1, 2.0),
        LayerScore(2, 0.7, 0.3, 1),
    ]
    assert [s.mean_rank for s in rank(scores)] == pytest.approx([8.5 / 3, 5.0 / 3, 4.5 / 3])


def test_other_select_pairs_may_choose_otherwise_but_fit_the_same_vectors(context) -> None:
    caa = INTERVENTIONS.build("caa", {**AUTO, "layers": [0, 2]})
    fitted = caa.fit(context)
    chosen = fitted.info["layer_choice"]["chosen"]
    assert chosen in (0, 2) and set(fitted.tensors) == {
        f"l{chosen}.direction",
        f"l{chosen}.residual_norm",
    }
    plain = INTERVENTIONS.build("caa", {"layer": chosen, "layers": [0, 2]}).fit(
        on_pairs(context, select=())
    )
    name = f"l{chosen}.direction"
    assert torch.equal(plain.tensors[name], fitted.tensors[name])
    (edit,) = caa.treat({"vector": fitted}).edits
    assert edit.layer == chosen
    random = INTERVENTIONS.build("random", {**AUTO, "like": {"name": "caa", **AUTO}})
    assert random.treat({"vector": fitted}).edits[0].layer == chosen
    with pytest.raises(ConfigError, match="without a choice"):
        caa.treat({"vector": plain})


def test_only_a_choice_asks_for_the_select_split() -> None:
    def splits(name: str, **config: object) -> set[str]:
        (need,) = INTERVENTIONS.build(name, config).needs().values()
        return {part.split for part in need.inputs.values()}

    assert splits("caa", **AUTO) == {"fit", "select"}
    assert splits("caa", layer=3) == {"fit"}
    assert splits("bank", layer=3, steerability_on=None) == {"fit"}
    assert splits("bank", layer=3) == {"fit", "select"}
