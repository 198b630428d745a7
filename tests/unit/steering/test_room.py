"""A fit on what is longer than the model names a question and the numbers, before it reads."""

from pathlib import Path

import pytest

from trimtab.core.errors import DataError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message, Sample
from trimtab.engine.engine import Engine
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import FitContext, FitData

LIMITS = {"gpt2": {"n_positions": 64}, "llama": {"max_position_embeddings": 64}}


@pytest.fixture(scope="module", params=LIMITS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """An engine with 64 positions, learned ones and rotary ones."""
    folder = tmp_path_factory.mktemp("short") / request.param
    save_tiny(folder, request.param, num_layers=2, **LIMITS[request.param])
    return Engine(load_model(resolve(ModelSpec(id=str(folder), device="cpu"))))


def pair(number: int, question: str) -> ContrastPair:
    return ContrastPair(
        id=f"p{number}",
        question_id=f"q{number}",
        messages=(Message(role="user", content=question),),
        positive="yes",
        negative="no",
    )


SHORT = [pair(i, f"Is it {i}?") for i in range(5)]
LONG = pair(9, "Is it very " + "very " * 20 + "long?")

FITS = {
    "caa": {"layer": 1},
    "bank": {"layer": 1, "sizes": [2], "vectors": 2, "steerability_on": "fit"},
    "iti": {},
    "dac": {"source": "answers"},
    "mlp": {"mode": "mc", "layer": 1, "vectors": 2, "size": 2, "strength": 1.0},
}


@pytest.mark.parametrize("name", FITS)
def test_fits_on_pairs(engine: Engine, name: str, tmp_path: Path) -> None:
    context = FitContext.of_pairs(engine, [*SHORT, LONG], "plain", 0, select=SHORT, folder=tmp_path)
    with pytest.raises(DataError, match=r"Is it very very.* needs \d+ positions, the model has 64"):
        INTERVENTIONS.build(name, FITS[name]).fit(context)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("bank", {"layer": 1, "sizes": [2], "vectors": 2}),
        ("mlp", {"mode": "mc", "layer": 1, "vectors": 2, "size": 2, "strength": 1.0}),
    ],
)
def test_fits_that_read_the_select_split(engine, name, config, tmp_path) -> None:
    context = FitContext.of_pairs(engine, SHORT, "plain", 0, select=[LONG], folder=tmp_path)
    with pytest.raises(DataError, match=r"1 of 1 questions .* the model has 64"):
        INTERVENTIONS.build(name, config).fit(context)


def test_examples_before_a_question_count(engine: Engine) -> None:
    context = FitContext.of_pairs(engine, SHORT, "plain", 0)
    config = {"source": "generated", "shots": 4, "num_prompts": 2, "steps": 8}
    with pytest.raises(DataError, match=r"'Is it \d\?' needs \d+ positions, the model has 64"):
        INTERVENTIONS.build("dac", config).fit(context)


def test_prompts_of_a_condition(engine: Engine) -> None:
    def samples(question: str) -> list[Sample]:
        return [Sample(id=question[:9], messages=(Message(role="user", content=question),))]

    long = LONG.messages[0].content
    data = {
        f"{split}-{label}": FitData(samples(text), split, "plain", label)
        for split, label, text in [
            ("fit", "holds", long),
            ("fit", "fails", "Is it?"),
            ("select", "holds", "It is?"),
            ("select", "fails", "Not?"),
        ]
    }
    context = FitContext(FitContext.of_pairs(engine, SHORT, "plain", 0).model, 0, data)
    with pytest.raises(DataError, match=r"1 of 4 questions .* the model has 64"):
        INTERVENTIONS.build("condition", {"open_on": "truthfulqa", "closed_on": "gsm8k"}).fit(
            context
        )


def test_what_fits_is_read(engine: Engine, tmp_path: Path) -> None:
    context = FitContext.of_pairs(engine, SHORT, "plain", 0, folder=tmp_path)
    fitted = INTERVENTIONS.build("caa", {"layer": 1}).fit(context)
    assert fitted.info["num_pairs"] == len(SHORT)
