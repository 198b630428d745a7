"""Energies of completions: how a fit is declared, made, loaded and asked."""

from pathlib import Path

import pytest

from trimtab.clients.scripted import ScriptedEnergy
from trimtab.core.errors import ConfigError, DataError, HeldError, JudgeError
from trimtab.core.needs import Labelled
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Completion, Message, Sample
from trimtab.engine.engine import Engine
from trimtab.judges.base import JUDGES, Item, LoadContext
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import FitContext, Fitted, ModelAccess, ScoredCompletion, of_engine


def test_a_text_is_scored_as_an_answer_to_the_bare_question(text_item) -> None:
    judge = JUDGES.build("energy", {})
    asked = []

    def energy(problem: str, text: str) -> float:
        asked.append((problem, text))
        return float(len(text))

    plain = text_item("seven", question="Why?")
    told = Item(
        Sample(
            id="s",
            messages=(Message(role="user", content="Why? Think step by step."),),
            metadata={"question": "Why?"},
        ),
        plain.completion,
    )
    found = judge.verdicts([plain, text_item(None), told], ScriptedEnergy(energy))
    assert asked == [("Why?", "seven")] * 2
    assert [verdict.values["energy"] for verdict in found] == [5.0, None, 5.0]
    assert found[1].error


def test_a_lost_energy_is_an_error_and_not_a_shift(text_item) -> None:
    class Short(ScriptedEnergy):
        def energies(self, pairs, owed=None):
            return list(super().energies(pairs, owed))[:-1]

    items = [text_item("a"), text_item("b")]
    with pytest.raises(JudgeError, match="2 questions were asked, and 1 have results"):
        JUDGES.build("energy", {}).verdicts(items, Short(lambda problem, text: 0.0))
    with pytest.raises(JudgeError, match="no energy model"):
        JUDGES.build("energy", {}).verdicts(items, None)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"kind": "head", "loops": 2}, "loops"),
        ({"kind": "encoder", "layers": [3]}, "layers"),
        ({"kind": "length", "model": {"id": "x"}}, "model"),
        ({"kind": "encoder", "rank": 4}, "rank"),
    ],
)
def test_a_key_of_another_kind_is_refused(config, key) -> None:
    with pytest.raises(ConfigError, match=key):
        JUDGES.build("energy", config)


def test_ablations_share_a_fit_and_have_metrics_of_their_own() -> None:
    plain = JUDGES.build("energy", {"kind": "head"})
    blind = JUDGES.build("energy", {"kind": "head", "ablation": "question_removed"})
    other = JUDGES.build("energy", {"kind": "head", "loss": "listwise"})
    assert plain.needs() == blind.needs() != other.needs()
    assert [j.metrics[0].name for j in (plain, blind)] == ["energy", "energy_question_removed"]
    assert plain.on_model and not JUDGES.build("energy", {}).on_model


def test_a_trained_model_that_is_not_there_is_named(tmp_path) -> None:
    judge = JUDGES.build("energy", {"trained": str(tmp_path)})
    assert judge.needs() == {}
    with pytest.raises(ConfigError, match=r"holds no model\.safetensors"):
        judge.fingerprint  # noqa: B018


RIGHT, WRONG = "it is so!", "it is so?"


def shouted(prefix: str, count: int) -> list[ScoredCompletion]:
    """Two completions of each question; the one with an exclamation mark is right."""
    rows = []
    for i in range(count):
        sample = Sample(
            id=f"{prefix}{i}", messages=(Message(role="user", content=f"{prefix}{i}?"),)
        )
        for index, (text, reward) in enumerate(((f"{i} {RIGHT}", 1.0), (f"{i} {WRONG}", 0.0))):
            completion = Completion(
                cell="c", sample_id=sample.id, index=index, protocol="p", num_prompt_tokens=1,
                text=text, finish_reason="eos",
            )  # fmt: skip
            rows.append(ScoredCompletion(sample, completion, reward))
    return rows


def held_out(*questions: str) -> list[Sample]:
    return [Sample(id=q, messages=(Message(role="user", content=q),)) for q in questions]


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> ModelAccess:
    """A tiny random model."""
    path = save_tiny(tmp_path_factory.mktemp("tiny") / "llama", "llama")
    return of_engine(Engine(load_model(resolve(ModelSpec(id=str(path), device="cpu")))))


def fit_context(subject: ModelAccess, folder: Path, **changes) -> FitContext:
    rows = {"fit": shouted("f", 24), "select": shouted("s", 8)}
    return FitContext(subject, 3, completions=rows, folder=folder, **changes)


def load_context(subject: ModelAccess | None, folder: Path, *questions: str) -> LoadContext:
    return LoadContext(subject, {"energy": folder}, fitted=_not_read, held_out=held_out(*questions))


def _not_read(name: str) -> Fitted:
    raise AssertionError(f"the artifact {name} is read by its folder")


HEAD = {
    "kind": "head",
    "layers": [1],
    "training": {"epochs": 12, "batch": 8, "learning_rate": 5e-3, "patience": 4},
}


def test_a_head_is_fitted_loaded_and_tells_right_from_wrong(subject, tmp_path, text_item) -> None:
    judge = JUDGES.build("energy", HEAD)
    (need,) = judge.needs().values()
    assert need.inputs == {"fit": Labelled("fit"), "select": Labelled("select")}
    fitting = JUDGES.build(need.component.name, need.component.config)
    assert fitting.fit(fit_context(subject, tmp_path)) is None, "it wrote its files itself"
    assert (tmp_path / "artifact.json").is_file()
    model = judge.load(load_context(subject, tmp_path, "Another question?"))
    items = [
        text_item(f"{i} {text}", question=f"t{i}?") for i in (31, 32) for text in (RIGHT, WRONG)
    ]
    values = [verdict.values["energy"] for verdict in judge.verdicts(items, model)]
    assert values[0] < values[1] and values[2] < values[3], "lower is better"

    ablation = JUDGES.build("energy", {**HEAD, "ablation": "question_removed"})
    assert ablation.needs() == judge.needs()
    blind = ablation.load(load_context(subject, tmp_path))
    pairs = [text_item(RIGHT, question=question) for question in ("One?", "Quite another?")]
    (one, other) = ablation.verdicts(pairs, blind)
    assert one.values == other.values, "without the question both are one pair"


def test_what_is_tested_is_never_fitted_on(subject, tmp_path) -> None:
    judge = JUDGES.build("energy", HEAD)
    leaked = fit_context(subject, tmp_path / "leaked", held_out=held_out("f3?"))
    with pytest.raises(DataError, match="belong to the test split"):
        judge.fit(leaked)
    brief = JUDGES.build("energy", {"kind": "length"})
    brief.fit(fit_context(subject, tmp_path / "fitted"))
    with pytest.raises(DataError, match="was fitted on 1 problem"):
        brief.load(load_context(None, tmp_path / "fitted", "s2?"))


def test_a_folder_that_was_fitted_before_needs_no_fit(subject, tmp_path, text_item) -> None:
    brief = JUDGES.build("energy", {"kind": "length"})
    brief.fit(fit_context(None, tmp_path))
    again = JUDGES.build("energy", {"kind": "length", "trained": str(tmp_path)})
    assert again.needs() == {} and len(again.fingerprint["model"]) == 64
    model = again.load(LoadContext(None, {}, fitted=_not_read))
    items = [text_item("so"), text_item("so it is and so it stays")]
    expected = brief.verdicts(items, brief.load(load_context(None, tmp_path)))
    assert again.verdicts(items, model) == expected


def test_synthetic_candidates_ask_for_solutions(subject, tmp_path) -> None:
    judge = JUDGES.build("energy", {"kind": "length", "candidates": "synthetic"})
    with pytest.raises(DataError, match="no gold solution"):
        judge.fit(fit_context(subject, tmp_path))


def test_uncertainty_reads_the_model_and_needs_no_fit(subject, text_item) -> None:
    judge = JUDGES.build("energy", {"kind": "uncertainty"})
    assert judge.needs() == {} and judge.on_model
    model = judge.load(LoadContext(subject, {}, fitted=_not_read))
    (verdict,) = judge.verdicts([text_item("seven")], model)
    assert verdict.values["uncertainty"] < 0


def test_a_fit_that_another_took_over_ends_before_it_trains(tmp_path) -> None:
    asked: list[int] = []

    def fence() -> None:
        asked.append(1)
        if len(asked) > 1:
            raise HeldError("It was taken over.")

    with pytest.raises(HeldError):
        JUDGES.build("energy", {"kind": "length"}).fit(fit_context(None, tmp_path, fence=fence))
    assert list(tmp_path.rglob("*.*")) == [], "its training asks before it writes"
