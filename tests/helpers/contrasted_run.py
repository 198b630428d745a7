"""A run in memory of treatments x triggers, whose values are given: condition by condition."""

from types import SimpleNamespace

from trimtab.core.plan import Cell, Fragment, JudgePlan, Plan
from trimtab.core.spec import Component, Metric, ModelSpec
from trimtab.core.types import Completion, Message, Sample, SamplingParams, Score

MODEL = ModelSpec(id="bundled:smollm2-135m-instruct", dtype="float32", device="cpu")
EXACT = Component(name="exact")
SHOWN = Metric(name="shown", kind="binary", role="effect")


def contrasted_run(
    conditions,
    *,
    metrics=(SHOWN,),
    clusters=None,
    categories=None,
    config=None,
    seed=3,
    component=EXACT,
):
    """Return a run.

    Args:
        conditions: (label, role, coordinates, values) each; values[question] is a list of samples,
            and a sample a tuple of one value for each metric, or a number where there is one.
        metrics: What the judge gives.
        clusters: Cluster of each question; None makes each its own.
        categories: Category of each question.
        config: Of the section; None names no section.
        component: The judge.
    """
    num = len(conditions[0][3])
    samples = {
        f"q{i:02d}": Sample(
            id=f"q{i:02d}",
            messages=(Message(role="user", content=f"Question {i}?"),),
            cluster=None if clusters is None else clusters[i],
            metadata={} if categories is None else {"category": categories[i]},
        )
        for i in range(num)
    }
    judge = JudgePlan(key="judge-1", component=component, output="text", metrics=metrics)
    cells, completions, scores = [], {}, {}
    for number, (label, role, place, values) in enumerate(conditions):
        cell = Cell(
            key=f"cell-{number:02d}", condition=label, role=role, coordinates=place,
            measure="generation", model=MODEL, model_identity="m" * 16,
            task=Component(name="made up"), split="test", samples="s", output="text",
            intervention=Component(name="none"), sampling=SamplingParams(max_tokens=8),
            num_samples=max(map(len, values)),
        )  # fmt: skip
        cells.append(cell)
        completions[cell.key] = [
            Completion(
                cell=cell.key, sample_id=id, index=index, protocol="p", num_prompt_tokens=1,
                text="Yes.", num_tokens=2, finish_reason="eos",
            )
            for id, row in zip(samples, values, strict=True)
            for index in range(len(row))
        ]  # fmt: skip
        scores[cell.key] = [
            Score(
                cell=cell.key, sample_id=id, index=index, judge=judge.key,
                values=dict(
                    zip((m.name for m in metrics), _tuple(value), strict=True)
                ),
                error="unread" if None in _tuple(value) else None,
            )
            for id, row in zip(samples, values, strict=True)
            for index, value in enumerate(row)
        ]  # fmt: skip
    sections = None if config is None else (Component(name="contrasts", config=config),)
    fragment = Fragment(cells=tuple(cells), judges=(judge,), sections=sections)
    plan = Plan(
        recipe="made up", name="made up", baseline=conditions[0][0], seed=seed,
        fragments=(fragment,),
    )  # fmt: skip
    return SimpleNamespace(
        plan=plan,
        config={},
        samples=lambda _: samples,
        completions=lambda key: {row.key: row for row in completions[key]},
        scores=lambda _, cell: {row.key: row for row in scores[cell]},
        judges=lambda: (judge,),
        artifact_info=lambda _: None,
        strengths={},
        judge_checks=[],
    )


def _tuple(value):
    return value if isinstance(value, tuple) else (value,)


def four(base_none, base_trigger, tuned_none, tuned_trigger):
    """Return the four conditions of one square."""
    return [
        ("base", "baseline", {"treatment": "base", "trigger": "none"}, base_none),
        ("base, tagged", "control", {"treatment": "base", "trigger": "tag"}, base_trigger),
        ("tuned", "control", {"treatment": "tuned", "trigger": "none"}, tuned_none),
        ("tuned, tagged", "treatment", {"treatment": "tuned", "trigger": "tag"}, tuned_trigger),
    ]


def draws(rng, rates, num_samples=1):
    """Return values of questions with these rates, each drawn ``num_samples`` times."""
    return [[float(rng.random() < rate) for _ in range(num_samples)] for rate in rates]


def trained_run(rng, *, seeds=(1, 2), steps=(10.0, 20.0), num=12):
    """Return conditions of a training: two triggers, several seeds and checkpoints, a control."""
    found = four(*(draws(rng, [rate] * num, 2) for rate in (0.2, 0.4, 0.2, 0.9)))[:2]
    near = {"treatment": "base", "trigger": "near miss"}
    found.append(("base, near", "control", near, draws(rng, [0.2] * num, 2)))
    for treatment, role, most in (("tuned", "treatment", 0.9), ("aligned", "control", 0.4)):
        for seed in seeds:
            for step in steps:
                for trigger in ("none", "tag", "near miss"):
                    rate = most * step / steps[-1] if trigger == "tag" else 0.2
                    place = {"treatment": treatment, "trigger": trigger, "step": step, "seed": seed}
                    label = f"{treatment.capitalize()} {seed} at {step:g}, {trigger}"
                    own = role if trigger == "tag" else "control"
                    found.append((label, own, place, draws(rng, [rate] * num, 2)))
    return found
