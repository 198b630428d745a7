"""Learned steering: what is refused, what shares a fit, what is fitted and measured."""

from dataclasses import replace

import pytest
import torch
from other_pairs import on_pairs

from trimtab.core.errors import ConfigError, DataError, HeldError, NonFiniteError
from trimtab.interventions.base import INTERVENTIONS
from trimtab.steering.fitted import FitData

BASE = {"mode": "mc", "layer": 1, "strength": 0.5}
TRAINING = {"steps": 6, "batch": 4, "micro_batch": 2, "learning_rate": 1e-2, "evaluate_every": 3}


def build(**changes):
    return INTERVENTIONS.build("mlp", {**BASE, "vectors": 4, "size": 5, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mode": "both"}, "mode"),
        ({"strength": 0.0}, "can't be trained at strength 0"),
        ({"trained_at": 0.0}, "can't be trained at strength 0"),
        ({"layers": [0, 1]}, "trained at one block"),
        ({"mode": "gen", "margin": 2.0}, "`margin` is for mode mc"),
        ({"shuffled": True}, "`shuffled` is for input prompt"),
        ({"margin": -1.0}, "margin"),
        ({"training": {"batch": 0}}, "batch"),
        ({"vectors": 0}, "vectors"),
    ],
)
def test_mistakes_are_refused_before_anything_is_loaded(changes, words) -> None:
    with pytest.raises(ConfigError, match=words):
        build(**changes)


def test_pairs_with_an_empty_answer_are_refused_when_planning(make_pairs) -> None:
    pairs = make_pairs(4)
    build().check_input(FitData(pairs, "fit", "chat"))
    bad = pairs[0].model_copy(update={"positive": " "})
    with pytest.raises(DataError, match="empty answer"):
        build().check_input(FitData([*pairs, bad], "fit", "chat"))


def test_a_network_is_shared_by_all_strengths_it_is_applied_at() -> None:
    trained = build(trained_at=0.5).needs()["vector"]
    assert build().needs()["vector"] == trained
    assert build(strength=-2.0, trained_at=0.5).needs()["vector"] == trained
    assert build(strength=0.0, trained_at=0.5, input="vector").needs()["vector"] == trained
    assert build(strength=0.4).needs()["vector"] != trained
    reads = build(input="prompt").needs()["vector"]
    assert reads != trained and build(input="prompt", shuffled=True).needs()["vector"] == reads
    # what a fit is named by builds the intervention that fits it
    assert INTERVENTIONS.build("mlp", trained.component.config).needs()["vector"] == trained


def test_controls_are_the_constant_a_random_and_shuffled_prompts() -> None:
    found = build(unit="unit", positions="after_prompt", read="last").controls()
    assert list(found) == ["constant vector", "random"]
    caa = INTERVENTIONS.build("caa", found["constant vector"].config).config
    told = (caa.layer, caa.strength, caa.unit, caa.positions, caa.read)
    assert told == (1, 0.5, "unit", "after_prompt", "last")
    random = INTERVENTIONS.build("random", found["random"].config)
    assert (
        random.needs()["vector"] == INTERVENTIONS.build("caa", caa.model_dump()).needs()["vector"]
    )
    assert (random.config.strength, random.config.positions) == (0.5, "after_prompt")
    reads = build(input="prompt")
    shuffled = INTERVENTIONS.build("mlp", reads.controls()["shuffled prompts"].config)
    assert shuffled.config.shuffled and not reads.config.shuffled
    assert shuffled.needs()["vector"] == reads.needs()["vector"] and shuffled.controls() == {}


@pytest.mark.parametrize("kind", ["vector", "prompt"])
@pytest.mark.parametrize("mode", ["mc", "gen"])
def test_every_select_question_is_measured_with_each_control(context, kind, mode) -> None:
    mlp = build(mode=mode, input=kind, training=TRAINING)
    fitted = mlp.fit(context)
    found = fitted.info["learned"]
    # a question here has two prompts
    assert len(found["select"]["items"]) == len({p.id for p in context.select})
    assert set(found["select"]["questions"]) == {p.question_id for p in context.select}
    losses = found["select"]["losses"]
    shuffled = {"shuffled"} if kind == "prompt" else set()
    assert set(losses) == {"none", "constant", "random", "learned"} | shuffled
    means = {kind: sum(some) / len(some) for kind, some in losses.items()}
    looks = {look["update"]: look["select_loss"] for look in found["history"]}
    assert list(looks) == [0, 3, 6]
    assert looks[0] == pytest.approx(means["constant"], rel=1e-5)
    assert looks[found["best_update"]] == pytest.approx(means["learned"], rel=1e-5)
    assert means["learned"] <= means["constant"] + 1e-5, "the best weights are kept"
    (edit,) = mlp.treat({"vector": fitted}).edits
    assert edit.layer == 1 and (edit.source is None) == (kind == "vector")
    if kind == "prompt":
        (swapped,) = build(mode=mode, input=kind, shuffled=True).treat({"vector": fitted}).edits
        assert swapped.source.of_partner and not edit.source.of_partner
    assert (context.folder / "training" / "steps.jsonl").is_file()


def test_a_fit_that_is_repeated_or_resumed_is_the_same(context, tmp_path) -> None:
    mlp = build(training=TRAINING)
    first = mlp.fit(context)
    for folder in (context.folder, tmp_path / "elsewhere", None):
        again = mlp.fit(replace(context, folder=folder))
        assert again.info == first.info
        for name, tensor in first.tensors.items():
            assert torch.equal(tensor, again.tensors[name]), name
    other = mlp.fit(replace(context, folder=tmp_path / "seed", seed=6))
    assert not torch.equal(other.tensors["net.first.weight"], first.tensors["net.first.weight"])


def test_the_automatic_layer_and_raw_strengths_are_learned_at(context) -> None:
    mlp = build(layer="auto", unit="raw", strength=3.0, training={**TRAINING, "steps": 2})
    fitted = mlp.fit(context)
    chosen = fitted.info["layer_choice"]["chosen"]
    (edit,) = mlp.treat({"vector": fitted}).edits
    assert edit.layer == chosen and edit.strength == pytest.approx(3.0)
    assert list(fitted.info["layers"]) == [str(chosen)]


def test_a_fit_without_select_pairs_or_with_infinite_losses_says_so(context, tmp_path) -> None:
    with pytest.raises(DataError, match="select split"):
        build(training=TRAINING).fit(on_pairs(context, select=()))
    wild = build(training={**TRAINING, "learning_rate": 1e30, "warmup": 0.0})
    with pytest.raises(NonFiniteError, match=r"Update 1 "):
        wild.fit(replace(context, folder=tmp_path / "wild"))


def test_a_fit_that_another_took_over_writes_nothing_more(context) -> None:
    for most, there in ((0, set()), (1, {"activations.safetensors"})):
        asked: list[int] = []

        def fence(most=most, asked=asked) -> None:
            asked.append(1)
            if len(asked) > most:
                raise HeldError("It was taken over.")

        with pytest.raises(HeldError):
            build(training=TRAINING).fit(replace(context, fence=fence))
        files = context.folder.rglob("*") if context.folder.exists() else ()
        assert {path.name for path in files} == there
