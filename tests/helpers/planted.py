"""Runs in memory whose truth is known: what a report says of them can be counted right or wrong."""

import zlib
from types import SimpleNamespace

import numpy as np
from reported_run import MODEL

from trimtab.core.plan import Cell, JudgePlan, Plan
from trimtab.core.spec import Component, Metric
from trimtab.core.types import Choice, Completion, Message, Sample, Score

METRICS = (
    Metric(name="mc1", kind="binary", role="effect", higher_is_better=True),
    Metric(name="mc2", kind="fraction", role="effect", higher_is_better=True),
)
JUDGE = JudgePlan(
    key="choice-1", component=Component(name="choice"), output="options", metrics=METRICS,
    measures=("options",),
)  # fmt: skip
STRENGTHS = (-0.3, 0.3)


def planted_run(
    seed,
    *,
    questions=120,
    clusters=40,
    treatment=0.0,
    rate=0.0,
    random_spread=0.0,
    draws=8,
    noise=0.1,
):
    """Return a run with two strengths of a vector and random vectors of that length.

    Args:
        seed: Of everything drawn.
        questions: How many are asked.
        clusters: How many clusters they form.
        treatment: What strength +0.3 adds to each ``mc2``; -0.3 takes it away.
        rate: Share of ``mc1`` that strength +0.3 turns from wrong to right, and nothing back.
        random_spread: Standard deviation of what a random direction adds to each ``mc2``. None
            for a treatment makes it one of these: ``treatment=None``.
        draws: Random directions.
        noise: Standard deviation of a question's change under any vector.
    """
    rng = np.random.default_rng(seed)
    base = rng.uniform(0.3, 0.7, questions)
    own = rng.normal(0, random_spread) if treatment is None else treatment
    shifts = {f"caa {s:+g}": (s, np.sign(s) * own, rate if s > 0 else 0.0) for s in STRENGTHS}
    shifts |= {
        f"random +0.3 #{k + 1}": (0.3, rng.normal(0, random_spread), 0.0) for k in range(draws)
    }
    samples = _samples(questions, clusters)
    cells, completions, scores = [_cell("baseline", None)], {}, {}
    values = {"baseline": (np.zeros(questions), base)}
    for label, (strength, shift, turned) in shifts.items():
        cells.append(_cell(label, strength))
        right = (rng.random(questions) < turned).astype(float)
        values[label] = right, base + shift + rng.normal(0, noise, questions)
    for cell in cells:
        mc1, mc2 = values[cell.condition]
        completions[cell.key] = [
            Completion(
                cell=cell.key, sample_id=sample.id, protocol="p", num_prompt_tokens=9, num_tokens=9,
                finish_reason="options",
            )
            for sample in samples
        ]  # fmt: skip
        scores[cell.key] = [
            Score(
                cell=cell.key, sample_id=sample.id, judge=JUDGE.key,
                values={"mc1": float(mc1[i]), "mc2": float(mc2[i])},
            )
            for i, sample in enumerate(samples)
        ]  # fmt: skip
    plan = Plan.single(
        recipe="r", name="planted", cells=cells, judges=(JUDGE,), seed=seed, headline="mc2"
    )
    return SimpleNamespace(
        plan=plan,
        config={},
        samples=lambda key: {row.id: row for row in samples},
        completions=lambda key: {row.key: row for row in completions[key]},
        scores=lambda judge, cell: {row.key: row for row in scores[cell]},
        judges=lambda: (JUDGE,),
        artifact_info=lambda key: None,
        strengths={},
        judge_checks=[],
        sample_sets={"options": samples},
    )


def _samples(questions, clusters):
    return [
        Sample(
            id=f"q{i:04d}", messages=(Message(role="user", content="?"),),
            choices=(Choice(text="a", correct=True),),
            cluster=None if clusters == questions else f"c{i % clusters:03d}",
        )
        for i in range(questions)
    ]  # fmt: skip


def _cell(label, strength):
    role = "baseline" if strength is None else "control" if "random" in label else "treatment"
    place = {} if strength is None else {"strength": strength, "unit": "relative", "layer": 15}
    if role == "control":
        place |= {"series": "random", "draw": int(label.rpartition("#")[2])}
    elif strength is not None:
        place["series"] = "caa"
    config = {} if strength is None else {"layer": 15, "strength": strength}
    return Cell(
        key=f"cell-{zlib.crc32(label.encode()):08x}", condition=label, role=role,
        control="random" if role == "control" else None, coordinates=place, measure="options",
        model=MODEL, model_identity="m", task=Component(name="t"), split="test", samples="options",
        output="options",
        intervention=Component(name="caa" if config else "none", config=config),
    )  # fmt: skip


def claims(finding):
    """Return whether a finding calls anything an effect."""
    return " raised " in finding or " lowered " in finding or "changed significantly" in finding
