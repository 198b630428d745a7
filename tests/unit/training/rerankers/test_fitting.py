"""Fits of every kind, on tasks whose answer is known."""

import random
from pathlib import Path

import pytest
from as_they_come import listed

from trimtab.core.errors import DataError, ModelError
from trimtab.core.records import read_json, write_json
from trimtab.core.spec import ModelSpec
from trimtab.core.training import Training
from trimtab.engine.engine import Engine
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import ModelAccess
from trimtab.training.rerankers import energies
from trimtab.training.rerankers.ablated import Ablated
from trimtab.training.rerankers.config import EnergyConfig
from trimtab.training.rerankers.corrupt import corrupted
from trimtab.training.rerankers.fitting import (
    Data,
    fit_energy,
    load_energy,
    refuse_fitted_on,
)
from trimtab.training.rerankers.groups import Group, pair_accuracy
from trimtab.training.rerankers.ranking import mine, of_groups

FAST = Training(epochs=5, batch=16, learning_rate=1e-3, warmup=0.1, patience=2)
BRIEF = Training(steps=6, batch=4, learning_rate=1e-3)


def accuracy(model, groups) -> float:
    found, _ = pair_accuracy(of_groups(model, groups), groups)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def ordered(order, tmp_path_factory):
    """An encoder that has learned the order task, and its folder."""
    folder = tmp_path_factory.mktemp("ordered")
    data = Data(order(0, 500), order(500, 600))
    return fit_energy(EnergyConfig(training=FAST), data, folder=folder), folder


@pytest.fixture(scope="module")
def subject(tmp_path_factory) -> ModelAccess:
    folder = save_tiny(tmp_path_factory.mktemp("tiny") / "llama", "llama")
    resolved = resolve(ModelSpec(id=str(folder), device="cpu"))
    engine = Engine(load_model(resolved))
    return ModelAccess(resolved.identity, lambda: engine)


def shouting(count: int, seed: int = 0) -> list[Group]:
    """Candidates with an exclamation mark at the end are right."""
    drawn = random.Random(seed)
    groups = []
    for i in range(count):
        words = [drawn.choice(["so", "it", "is", "ten"]) for _ in range(3)]
        text = " ".join(words)
        groups.append(Group(f"Problem {seed}-{i}?", (text + "!", text + "?"), (True, False)))
    return groups


@pytest.mark.slow
def test_an_encoder_learns_an_order(ordered, order) -> None:
    model, folder = ordered
    assert accuracy(model, order(600, 1100)) > 0.95
    assert read_json(folder / "artifact.json")["select_pair_accuracy"] > 0.95


@pytest.mark.campaign
def test_without_positions_it_learns_nothing(order, tmp_path) -> None:
    data = Data(order(0, 500), order(500, 600))
    config = EnergyConfig(training=FAST, positions=False)
    model = fit_energy(config, data, folder=tmp_path)
    assert accuracy(model, order(600, 1100)) == pytest.approx(0.5, abs=0.08)


@pytest.mark.slow
def test_a_learned_energy_moves_with_the_order_and_not_with_the_batch(ordered, order) -> None:
    model, _ = ordered
    pairs = [(g.problem, text) for g in order(600, 640) for text in g.texts]
    pairs += [(g.problem * 4, g.texts[0] * 9) for g in order(600, 603)]  # others are padded
    together = listed(model.energies(pairs))
    alone = [model.score(problem, [text])[0] for problem, text in pairs]
    assert together == pytest.approx(alone, abs=1e-5)
    right, wrong = together[0:80:2], together[1:80:2]
    assert all(abs(a - b) > 1e-3 for a, b in zip(right, wrong, strict=True))


@pytest.mark.slow
def test_the_question_decides_so_without_it_all_is_lost(ordered, order) -> None:
    model, _ = ordered
    groups = order(600, 1100)
    for ablation in ("question_removed", "question_shuffled", "answer_permuted"):
        found = accuracy(Ablated(model, ablation, model.others), groups)
        assert found == pytest.approx(0.5, abs=0.1), ablation


@pytest.mark.slow
def test_a_loaded_model_is_the_fitted_one(ordered, order) -> None:
    model, folder = ordered
    again = load_energy(folder)
    pairs = [(g.problem, text) for g in order(600, 620) for text in g.texts]
    assert listed(again.energies(pairs)) == listed(model.energies(pairs))
    assert again.identity == model.identity
    refuse_fitted_on(folder, [g.problem for g in order(600, 620)])
    with pytest.raises(DataError, match="was fitted on 1 problem"):
        refuse_fitted_on(folder, [order(0, 1)[0].problem.upper(), order(600, 601)[0].problem])


@pytest.mark.parametrize("kind", ["head", "lora"])
@pytest.mark.parametrize("loss", ["pairs", "listwise", "mse"])
def test_a_model_tells_what_can_be_seen_at_the_last_token(
    kind, loss, subject, tmp_path, monkeypatch
) -> None:
    training = Training(epochs=12, batch=8, micro_batch=4, learning_rate=5e-3, patience=4)
    config = EnergyConfig(kind=kind, loss=loss, training=training)
    data = Data(shouting(40), shouting(15, seed=1))
    model = fit_energy(config, data, folder=tmp_path, subject=subject)
    assert accuracy(model, shouting(20, seed=2)) > 0.95
    pairs = [(g.problem, text) for g in shouting(5, seed=2) for text in g.texts]
    again = load_energy(tmp_path, subject)
    whole = listed(model.energies(pairs))
    assert listed(again.energies(pairs)) == whole
    monkeypatch.setattr(energies, "_CPU_BATCH_TOKENS", 60)
    whole = listed(model.energies(pairs))
    for number in range(len(pairs)):
        owed = [i == number for i in range(len(pairs))]
        assert list(model.energies(pairs, owed)) == [(number, whole[number])]


def test_a_head_notes_which_layer_the_select_split_chose(subject, tmp_path) -> None:
    config = EnergyConfig(kind="head", layers=(0, 2), training=BRIEF)
    data = Data(shouting(12), shouting(6, seed=1))
    model = fit_energy(config, data, folder=tmp_path, subject=subject)
    info = read_json(tmp_path / "artifact.json")
    best = max(info["layers"].values())
    assert info["layers"][str(info["layer"])] == best == info["select_pair_accuracy"]
    assert model.layer == info["layer"]
    other = ModelAccess("another", subject.engine)
    with pytest.raises(ModelError, match="fitted on the model"):
        load_energy(tmp_path, other)
    assert len(model.score("Why?", ["", " ", "so"])) == 3


@pytest.mark.parametrize("kind", ["length", "format"])
def test_length_and_format_are_seen_and_nothing_else(kind, tmp_path) -> None:
    by_length = [Group(f"p{i}", ("a " * (9 + i), "a " * (3 + i)), (True, False)) for i in range(40)]
    by_format = [Group(f"p{i}", (f"#### {i}", f"then: {i}"), (True, False)) for i in range(40)]
    tasks = {"length": by_length, "format": by_format}
    other = {"length": by_format, "format": by_length}[kind]
    config = EnergyConfig(kind=kind, training=Training(epochs=30, learning_rate=0.05))
    model = fit_energy(config, Data(tasks[kind][:30], tasks[kind][30:]), folder=tmp_path)
    assert accuracy(model, tasks[kind]) > 0.95
    if kind == "format":
        assert accuracy(model, other) == 0.5  # all ties


def test_problems_of_the_test_split_are_refused(tmp_path) -> None:
    fit, select = shouting(8), shouting(4, seed=1)
    for leaked in (fit[3].problem, select[2].problem.upper() + " "):
        data = Data(fit, select, held_out=["Something else?", leaked])
        with pytest.raises(DataError, match="belong to the test split"):
            fit_energy(EnergyConfig(training=BRIEF), data, folder=tmp_path)
    with pytest.raises(DataError, match="in fit and select"):
        fit_energy(EnergyConfig(training=BRIEF), Data(fit, [*select, fit[0]]), folder=tmp_path)
    assert not (tmp_path / "artifact.json").exists()


def test_overlaps_and_one_class_groups_are_dropped_and_counted(tmp_path) -> None:
    shared = "a farmer with nine hens and two cows walks nine miles to the next town"
    fit = [
        *shouting(8),
        Group(f"Once {shared} and back. How far?", ("x!", "x?"), (True, False)),
        Group("all right?", ("x!", "y!"), (True, True)),
        Group("all wrong?", ("x?",), (False,)),
        Group("no candidates?", (), ()),
    ]
    held = [f"On Mondays {shared}. How long?"]
    data = Data(fit, shouting(4, seed=1), held)
    fit_energy(EnergyConfig(training=BRIEF), data, folder=tmp_path / "drop")
    found = read_json(tmp_path / "drop" / "artifact.json")["fit"]
    assert (found["problems"], found["overlapping"]) == (8, 1)
    assert (found["dropped_all_right"], found["dropped_all_wrong"]) == (1, 2)
    kept = EnergyConfig(training=BRIEF, overlaps="keep")
    fit_energy(kept, data, folder=tmp_path / "keep")
    assert read_json(tmp_path / "keep" / "artifact.json")["fit"]["problems"] == 9
    with pytest.raises(DataError, match="No problem of the select split"):
        fit_energy(EnergyConfig(), Data(fit[:8], fit[9:]), folder=tmp_path / "none")


def test_another_layout_of_pairs_is_refused(tmp_path) -> None:
    fit_energy(EnergyConfig(training=BRIEF), Data(shouting(6), shouting(3, 1)), folder=tmp_path)
    info = read_json(tmp_path / "artifact.json")
    write_json(tmp_path / "artifact.json", {**info, "pair_hash": "0123"})
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(ModelError, match="another layout"):
        load_energy(tmp_path)


def test_mining_keeps_the_most_convincing_wrong_ones() -> None:
    group = Group("p", ("a", "b", "c", "d", "e"), (False, True, False, False, True))
    (hard,) = mine([group], [[3.0, 9.0, 1.0, 2.0, 0.0]], 2)
    assert hard == Group("p", ("b", "c", "d", "e"), (True, False, False, True))


def test_a_second_round_is_never_worse_on_select(tmp_path) -> None:
    data = Data(shouting(16), shouting(8, seed=1))
    config = EnergyConfig(training=BRIEF, mining=1)
    model = fit_energy(config, data, folder=tmp_path)
    info = read_json(tmp_path / "artifact.json")
    assert info["mining"]["untrained_pair_accuracy"] == info["select_pair_accuracy"]
    best = info["mining"]["select_pair_accuracy"]
    assert best >= info["select_pair_accuracy"]
    assert accuracy(model, shouting(8, seed=1)) == best


def test_synthetic_wrong_answers_are_far_off_and_nothing_else_differs() -> None:
    gold = "She makes 9 * 2 = $18 a day.\n#### 1,018"
    found = corrupted("How much?", gold)
    assert found == corrupted("How much?", gold) and found.correct == (True, False)
    head, _, number = found.texts[1].rpartition(" ")
    assert head == "She makes 9 * 2 = $18 a day.\n####"
    assert abs(float(number) - 1018) > 500
    with pytest.raises(DataError, match="no number"):
        corrupted("Why?", "because")


def test_how_a_synthetic_fit_does_on_samples_is_noted(tmp_path: Path) -> None:
    def golds(start: int, stop: int) -> list[Group]:
        return [corrupted(f"p{i}", f"It is {i}.") for i in range(start, stop)]

    config = EnergyConfig(candidates="synthetic", loss="mse", training=BRIEF)
    data = Data(golds(0, 20), golds(20, 30), samples=shouting(5, seed=1))
    model = fit_energy(config, data, folder=tmp_path)
    info = read_json(tmp_path / "artifact.json")
    assert info["samples_pair_accuracy"] == accuracy(model, shouting(5, seed=1))
