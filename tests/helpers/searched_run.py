"""A search in memory: a plan and records with a trial in every state, numbers made up."""

from types import SimpleNamespace

from trimtab.core.plan import Cell, Fragment, JudgePlan, Plan
from trimtab.core.spec import Component, Metric, ModelSpec
from trimtab.core.types import Completion, Message, Sample, Score

MODEL = ModelSpec(id="tiny", dtype="float32", device="cpu")
ARITHMETIC = Component(name="arithmetic", config={"count": 60})
SPACE = {
    "caa": {
        "layer": {"low": 0, "high": 9},
        "strength": {"low": 0.1, "high": 2, "log": True, "signed": True},
        "positions": {"choices": ["generated", "all"]},
    },
    "pca": {"name": "caa", "layer": {"choices": [2, 4]}, "strength": 0.5},
}
PARAMS = {
    2: {"method": "caa", "caa.layer": 3.0, "caa.strength": 0.7, "caa.strength.sign": "-",
        "caa.positions": '"all"'},
    3: {"method": "pca", "pca.layer": "4"},
    4: {"method": "caa", "caa.layer": 9.0, "caa.strength": 2.0, "caa.strength.sign": "+",
        "caa.positions": '"all"'},
    5: {"method": "caa", "caa.layer": 1.0, "caa.strength": 0.1, "caa.strength.sign": "+",
        "caa.positions": '"generated"'},
}  # fmt: skip
RIGHT = {0: (1, 2), 1: (2, 2), 2: (3, 4), 3: (0, 0), 4: (0, 0), 5: (2, 3)}
"""Of four problems of each rung, how many each trial solves."""

CORRECT = JudgePlan(
    key="number-1",
    component=Component(name="number"),
    output="text",
    metrics=(Metric(name="correct", kind="binary", role="effect", higher_is_better=True),),
)


def search(number_of_rungs=2, running=(), **settings):
    """Return a run as its reader sees it.

    Trial 3 was pruned after the first rung and trial 4 failed in it; those in ``running`` have
    passed the first rung alone.
    """
    cells, completions, scores = [], {}, {}
    samples = {f"rung{r}": [f"r{r}q{i}" for i in range(4)] for r in range(number_of_rungs)}
    for number, right in RIGHT.items():
        for rung in range(1 if number in (3, 4) else number_of_rungs):
            cell = _cell(number, rung)
            cells.append(cell)
            if rung and number in running:
                continue
            for i, sample in enumerate(samples[cell.samples]):
                error = "Non-finite values in block 1" if number == 4 else None
                key = (cell.key, sample, 0)
                text = None if error else "4"
                completions.setdefault(cell.key, {})[key] = Completion(
                    cell=cell.key, sample_id=sample, text=text, error=error,
                    protocol="arithmetic/raw", num_prompt_tokens=9,
                    finish_reason="stop", time=1000.0 + number,
                )  # fmt: skip
                if error is None:
                    scores.setdefault(cell.key, {})[key] = Score(
                        cell=cell.key, sample_id=sample, judge=CORRECT.key,
                        values={"correct": float(i < right[rung])}, time=1010.0 + number,
                    )  # fmt: skip
    plan = Plan(
        recipe="gsm8k_search",
        name="made up",
        seed=3,
        fragments=(
            Fragment(cells=tuple(cells), judges=(CORRECT,)),
            Fragment(number=1, without={"3": "rung 1: 0 on 4 problems, and no better"}),
        ),
    )
    rungs = [4] * number_of_rungs
    return SimpleNamespace(
        plan=plan,
        config={"space": SPACE, "search": {"rungs": rungs, **settings}},
        judges=lambda: (CORRECT,),
        samples=lambda key: {
            name: Sample(id=name, messages=(Message(role="user", content=name),))
            for name in samples[key]
        },
        completions=lambda cell: completions.get(cell, {}),
        scores=lambda judge, cell: scores.get(cell, {}),
    )


def _cell(number, rung):
    place = {"trial": number, "batch": int(number > 1), "rung": rung, **PARAMS.get(number, {})}
    own = {0: Component(name="none"), 1: Component(name="prompt", config={"system": "Check."})}
    return Cell(
        key=f"c{number}r{rung}",
        condition=f"trial {number}",
        role="treatment",
        coordinates=place,
        measure=f"select {rung + 1}",
        purpose="tuning",
        model=MODEL,
        model_identity="m",
        task=ARITHMETIC,
        split="select",
        samples=f"rung{rung}",
        output="text",
        intervention=own.get(number, Component(name="caa", config={"layer": 1, "strength": 0.1})),
    )
