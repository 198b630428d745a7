"""The five flaws of a published search for steering configurations: each fails here if put back.

It fits, tunes and tests on the same questions; optimises settings that have no effect; never
prunes; books crashes as accuracy 0; keeps activations without the name of what they were read from.
"""

from itertools import combinations
from pathlib import Path
from typing import Any

import optuna
import pytest
from driven_search import driven, recipe
from other_pairs import of_spec

from trimtab.core.plan import Cell
from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message, Sample, SamplingParams
from trimtab.engine import version
from trimtab.engine.engine import Engine
from trimtab.engine.request import Activations, Request, Text, TextResult
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import CHAT_TEMPLATE, save_tiny
from trimtab.recipes._problems import question
from trimtab.recipes._space import read_space
from trimtab.reports.data.run import RunData
from trimtab.reports.sections.search.reading import read_search
from trimtab.reports.sections.search.tables import trials_file, trials_table
from trimtab.search.sampling import frozen
from trimtab.search.study import read_study
from trimtab.search.table import tried_space
from trimtab.search.trials import CONFIRM, read_trials
from trimtab.steering.captures.store import Store
from trimtab.steering.fitted import FitContext, Fitted
from trimtab.text.leaks import HeldOut

PAIRS = [
    ContrastPair(
        id=f"p{i}",
        question_id=f"q{i}",
        messages=(Message(role="user", content=f"Is number {i} true?"),),
        positive=f"Yes it is {i} " * (1 + i % 3),
        negative=f"No, never {i * 3}",
    )
    for i in range(8)
]


def trial_of(cell: Cell) -> int:
    return int(cell.coordinates.get("trial", -1))


# ------------------------------------------------------------------ fit, tune, test on the same


@pytest.mark.parametrize("leak", [False, True], ids=["honest", "as published"])
def test_no_question_is_both_fitted_on_and_tuned_on_or_confirmed_or_tested(
    leak: bool, tmp_path: Path
) -> None:
    def answer(cell: Cell, _: Sample) -> float:
        """Trial 2 is the best by far of those that are tried, and worthless on other questions."""
        return float((trial_of(cell) == 2) != (cell.measure == CONFIRM))

    search = {"trials": 5, "pruner": "none", "leak": leak, "sampler": "random"}
    made = recipe(tmp_path, search=search, prompt=None)
    run = driven(made, answer)
    cells, text = run.plan.cells, {}
    for cell in cells:
        text |= {key: question(sample) for key, sample in run.samples(cell.samples).items()}
    fit = made.planner(made._fit_on).task(made._fit_on).samples("fit")
    text |= {sample.id: question(sample) for sample in fit}
    used = {
        "fitted on": {pair.question_id for pairs in run.pairs.values() for pair in pairs},
        "tuned on": {s for c in cells if "rung" in c.coordinates for s in run.samples(c.samples)},
        "confirmed on": {s for c in cells if c.measure == CONFIRM for s in run.samples(c.samples)},
        "tested on": {s for c in cells if c.split == "test" for s in run.samples(c.samples)},
    }
    assert all(used.values())
    shared = [
        (one, other)
        for one, other in combinations(used, 2)
        if any(map(HeldOut(text[s] for s in used[one]).overlaps, (text[s] for s in used[other])))
    ]
    assert shared == ([("fitted on", "tuned on")] if leak else [])
    tried = {trial.number: trial for trial in read_trials(run, made.config.search)}
    (winner,) = (cell for cell in cells if cell.condition == "winner")
    assert (winner.intervention == tried[2].component) == leak
    opened = [f.number for f in run.plan.fragments if any(c.split == "test" for c in f.cells)]
    assert opened == [len(run.plan.fragments) - 1], "the winner alone opens it, at the end"


# ------------------------------------------------------------------ settings without effect


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    path = tmp_path_factory.mktemp("flaws") / "llama"
    save_tiny(path, "llama")
    return Engine(load_model(resolve(ModelSpec(id=str(path), device="cpu"))))


METHODS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "dac": (
        {"layer": 1, "steps": 4, "num_prompts": 4, "shots": 1, "per_token": False, "most": 0.5},
        {
            "preset": "wisent", "layer": 2, "site": "residual", "per_step": False,
            "source": "answers", "num_prompts": 6, "shots": 2, "steps": 3, "probe": 1.0,
            "most": 0.1, "top_p": 0.9, "inclusive": False, "per_token": True, "reverse": True,
        },
    ),
    "caa": (
        {"layer": 1, "strength": 0.5},
        {
            "layer": 2, "strength": -0.5, "unit": "raw", "positions": "all", "read": "last",
            "estimator": "pca",
        },
    ),
    "iti": (
        {"heads": 4, "strength": 8.0},
        {"heads": 2, "strength": -8.0, "positions": "all", "draw": 1},
    ),
}  # fmt: skip
"""Of each method the settings that are held, and another value of each that may be searched."""

NOT_SEARCHED = {"layers", "drop_nonfinite", "gate", "held_out"}
"""What a fit reads beside, or what another task decides."""


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_that_may_be_searched_changes_what_the_model_writes(
    method: str, engine: Engine
) -> None:
    held, others = METHODS[method]
    assert set(others) == set(INTERVENTIONS.load(method).Config.model_fields) - NOT_SEARCHED
    context = FitContext.of_pairs(engine, PAIRS, "chat", 0)
    prompts = [tuple(engine.renderer.prompt(pair.messages, "chat")) for pair in PAIRS[:2]]
    fits: dict[str, Fitted] = {}
    requests = []
    for setting in (None, *others):
        chosen = {} if setting is None else {setting: {"choices": [others[setting]]}}
        space = read_space({method: {**held, **chosen}})
        (params,) = space.grid()
        component = space.method(params).component(params)
        acting = INTERVENTIONS.build(component.name, component.config)
        (need,) = acting.needs().values()
        key = need.component.model_dump_json()
        if key not in fits:
            fits[key] = INTERVENTIONS.build(method, need.component.config).fit(context)
        acts = acting.treat({"vector": fits[key]})
        want = Text(SamplingParams(max_tokens=5), dynamic=acts.dynamic)
        requests += [Request((setting, i), p, want, acts.edits) for i, p in enumerate(prompts)]
    written: dict[str | None, set[Any]] = {}
    for result in engine.run(requests):
        assert isinstance(result, TextResult) and isinstance(result.key, tuple)
        setting, row = result.key
        # coarser than what rounding does to rows of one batch
        strengths = tuple(round(x, 5) for some in result.strengths for x in some)
        written.setdefault(setting, set()).add((row, tuple(result.tokens), strengths))
    without_effect = [setting for setting in others if written[setting] == written[None]]
    assert not without_effect


# ------------------------------------------------------------------ never pruned


@pytest.mark.parametrize("pruner", ["wilcoxon", "median", "halving"])
def test_what_is_clearly_worse_is_pruned_and_answers_no_further_question(
    pruner: str, tmp_path: Path
) -> None:
    search = {"trials": 6, "parallel": 4, "rungs": [4, 5], "sampler": "random", "pruner": pruner}
    made = recipe(tmp_path, search=search, prompt=None)
    run = driven(made, lambda cell, _: float(trial_of(cell) not in (3, 5)))
    states = {trial.number: trial.state for trial in read_trials(run, made.config.search)}
    assert states == {0: "complete", 2: "complete", 3: "pruned", 4: "complete", 5: "pruned"}
    second = {trial_of(c) for c in run.plan.cells if c.coordinates.get("rung") == 1}
    assert second == {0, 2, 4}
    told = {n: why for fragment in run.plan.fragments for n, why in fragment.without.items()}
    assert set(told) == {"3", "5"} and all("rung 1: 0 " in why for why in told.values())
    answers = [c for c in run.plan.cells if "rung" in c.coordinates and trial_of(c) > 1]
    assert sum(len(run.completions(cell.key)) for cell in answers) == 4 * 4 + 2 * 5


# ------------------------------------------------------------------ crashes as accuracy 0


def test_a_trial_that_crashes_is_told_as_failed_and_is_nowhere_a_zero(tmp_path: Path) -> None:
    """Whether all of its rows failed, one in the second rung, or one of the confirm problems."""

    def answer(cell: Cell, _: Sample) -> float | None:
        answered.append(cell.key)
        is_first = answered.count(cell.key) == 1
        late = {4: cell.coordinates.get("rung") == 1, 5: cell.measure == CONFIRM}
        if trial_of(cell) == 3 or (is_first and late.get(trial_of(cell), False)):
            return None
        return float(not (is_first and cell.measure == CONFIRM))

    answered: list[str] = []
    search = {"trials": 7, "parallel": 5, "rungs": [3, 3], "sampler": "random", "pruner": "none"}
    made = recipe(tmp_path, search=search, prompt=None)
    run = driven(made, answer)
    settings = made.config.search
    trials = {trial.number: trial for trial in read_trials(run, settings)}
    space = tried_space(run.config["space"], (t.params for t in trials.values()))
    content = read_search(RunData(run))
    file = {row[0]: dict(zip(trials_file(content).columns, row, strict=True))
            for row in trials_file(content).rows}  # fmt: skip
    shown = {row[0]: row[5] for row in trials_table(content).rows}
    study = read_study(run).trials
    for number in (3, 4):
        trial = trials[number]
        assert (trial.state, trial.error) == ("failed", "Non-finite values in block 1")
        assert trial.value is None and not trial.values
        told = frozen(trial, space, settings)
        assert told.state == study[number].state == optuna.trial.TrialState.FAIL
        assert told.values is None and study[number].values is None
        assert not told.intermediate_values and not study[number].intermediate_values
        assert (file[f"{number}"]["state"], file[f"{number}"]["value"]) == ("failed", "")
        assert shown[f"{number}"].mean is None
    assert file["2"]["value"] == "1.0" and shown["2"].mean == 1
    confirmed = {c.number: c.confirm.mean for c in content.confirmed}
    assert {3, 4}.isdisjoint(confirmed) and confirmed[5] is None and confirmed[2] < 1
    (winner,) = (cell for cell in run.plan.cells if cell.condition == "winner")
    assert content.winner == 2 and winner.intervention == trials[2].component


# ------------------------------------------------------------------ activations without a name


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Engine]:
    """Return engines of other weights, of another template, and of another number format."""
    root: Path = tmp_path_factory.mktemp("others")
    named = {name: save_tiny(root / name, "llama") for name in ("dtype", "template")}
    named["model"] = save_tiny(root / "model", "llama", seed=1)
    (path,) = (named["template"]).glob("chat_template.jinja")
    path.write_text(CHAT_TEMPLATE.replace("<|end|>", "<|end|> "))
    specs = {name: ModelSpec(id=str(path), device="cpu") for name, path in named.items()}
    specs["dtype"] = specs["dtype"].model_copy(update={"dtype": "bfloat16"})
    return {name: Engine(load_model(resolve(spec))) for name, spec in specs.items()}


@pytest.mark.parametrize(
    "change",
    ["model", "revision", "dtype", "template", "data", "positions", "layers", "engine version"],
)
def test_activations_are_kept_under_all_that_they_were_read_from(
    change: str,
    engine: Engine,
    others: dict[str, Engine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRIMTAB_CACHE_GB", "1")
    passes = []
    run = Engine.run

    def counted(engine: Engine, requests: Any) -> Any:
        passes.extend(r for r in requests if isinstance(r.want, Activations))
        return run(engine, requests)

    monkeypatch.setattr(Engine, "run", counted)

    def fit(on: Engine, pairs: list[ContrastPair], **config: Any) -> int:
        """Return how many rows were read anew."""
        before = len(passes)
        caa = INTERVENTIONS.build("caa", {"layer": 1, "layers": [0, 1], **config})
        caa.fit(FitContext.of_pairs(on, pairs, "chat", 0))
        return len(passes) - before

    everything = 2 * len(PAIRS)
    assert fit(engine, PAIRS) == everything and fit(engine, PAIRS) == 0
    model, pairs, config = others.get(change, engine), PAIRS, {}
    if change == "revision":
        model = of_spec(engine, revision="0123abc")
    elif change == "data":
        pairs = [*PAIRS[:-1], PAIRS[-1].model_copy(update={"negative": "Never ever"})]
    elif change == "positions":
        config = {"read": "last"}
    elif change == "layers":
        config = {"layers": [1, 3]}
    elif change == "engine version":
        monkeypatch.setattr(version, "ENGINE_VERSION", 99)
    assert fit(model, pairs, **config) == everything, f"another {change} is not noticed"
    assert fit(model, pairs, **config) == 0 and len(Store.here().kept()) == 2
