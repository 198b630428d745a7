"""Turn a judge's configuration into its plan: which model it wants, and what it is fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.spec import Cell, Component, JudgeFit, JudgePlan, ModelSpec, Spec
from trimtab.judges.base import JUDGES, Judge
from trimtab.models.load import resolve

IMPORTED = "imported:"
"""Begins the model id of answers that trimtab did not generate."""


@dataclass(frozen=True)
class LearnsFrom:
    """What a judge is fitted on: completions of some cells and a judge's labels of them.

    Attributes:
        fit: Cells of the fit split.
        select: Cells of the select split.
        labels: The judge that says which completions are right.
        metric: Its binary metric.
    """

    fit: Sequence[Cell]
    select: Sequence[Cell]
    labels: JudgePlan
    metric: str = "correct"


def plan_judges(
    component: Component,
    subject: tuple[ModelSpec, str],
    measures: tuple[str, ...] | None = None,
    learns_from: LearnsFrom | None = None,
    seed: int = 0,
) -> list[JudgePlan]:
    """Return the plan of a judge, after those of its members if it is a panel.

    Args:
        component: The judge and its configuration.
        subject: Model and identity that a judge gets which names no model of its own.
        measures: Only cells with these measures; None is all.
        learns_from: What it is fitted on, for a judge that is fitted.
        seed: Seed of that fit.

    Raises:
        ConfigError: The judge wants the subject, and its answers came from elsewhere; or it is
            fitted, and ``learns_from`` can't serve.
        ModelError: Its model can't be found.
    """
    judge: Judge[Spec] = JUDGES.build(component.name, component.config)
    members = [plan for each in judge.members for plan in plan_judges(each, subject, measures)]
    model = _judge_model(component, judge, subject)
    hashed = None if model is None else [model[1], model[0].dtype]
    fit = None
    if judge.fit_config is not None:
        fit = _plan_fit(component, judge, hashed, learns_from, seed)
    determines = {
        "judge": [component.name, judge.VERSION],
        "config": judge.config if hashed is None else _without_model(judge.config),
        "fingerprint": judge.fingerprint,
        "model": hashed,
        "measures": measures,
        **({} if fit is None else {"fit": fit.key}),
    }
    if members:
        determines["members"] = [plan.key for plan in members]
    plan = JudgePlan(
        key=f"{component.name}-{content_key(determines, 8)}",
        component=component,
        output=judge.output,
        metrics=judge.metrics,
        model=None if model is None else model[0],
        model_identity=None if model is None else model[1],
        measures=measures,
        fit=fit,
        members=tuple(plan.key for plan in members),
    )
    return [*members, plan]


def _without_model(config: Spec) -> Spec:
    """Return ``config`` as if it named no model: what the name stands for is hashed in its place.

    So a judge has one key whether its model is named or is the subject, and a check of it against
    people counts for both.
    """
    field = type(config).model_fields.get("model")
    if field is None:
        return config
    return config.model_copy(update={"model": field.get_default(call_default_factory=True)})


def _judge_model(
    component: Component, judge: Judge[Spec], subject: tuple[ModelSpec, str]
) -> tuple[ModelSpec, str] | None:
    """Return the model of ours that a judge runs on and its identity; None if it needs none."""
    if not judge.on_model:
        return None
    if judge.model is not None:
        resolved = resolve(judge.model)
        return resolved.spec, resolved.identity
    if subject[0].id.startswith(IMPORTED):
        raise ConfigError(
            f"The judge {component.name!r} names no model, and the model that gave these "
            "answers is not known here.",
            hint="Give it one: '{name: rubric, rubric: truth, model: bundled:...}'.",
        )
    return subject


def _plan_fit(
    component: Component,
    judge: Judge[Spec],
    model: list[str] | None,
    learns_from: LearnsFrom | None,
    seed: int,
) -> JudgeFit:
    """Return what a judge is fitted on; raise ConfigError if ``learns_from`` can't serve."""
    if learns_from is None:
        raise ConfigError(
            f"judge {component.name!r} is fitted on labelled completions, and none are named here.",
            hint="Use a recipe that samples a fit split (gsm8k_best_of_n), or give `trained`, the "
            "folder of one that was fitted before.",
        )
    for name, cells in (("fit", learns_from.fit), ("select", learns_from.select)):
        wrong = [cell.condition for cell in cells if cell.split != name]
        if wrong or not cells:
            raise ConfigError(
                f"judge {component.name!r} learns from cells of the {name} split; "
                f"{wrong[0] if wrong else 'none'!r} is given."
            )
    if learns_from.metric not in {m.name for m in learns_from.labels.metrics if m.kind == "binary"}:
        raise ConfigError(
            f"judge {component.name!r} learns from {learns_from.metric!r}, which is no binary "
            f"metric of {learns_from.labels.key}."
        )
    determines = {
        "judge": [component.name, judge.VERSION],
        "config": judge.fit_config,
        "model": model,
        # A cell's key does not say how many candidates it has, and a fit depends on it.
        "fit": [[cell.key, cell.num_samples] for cell in learns_from.fit],
        "select": [[cell.key, cell.num_samples] for cell in learns_from.select],
        "labels": [learns_from.labels.key, learns_from.metric],
        "seed": seed,
    }
    return JudgeFit(
        key=f"{component.name}-{content_key(determines)}",
        fit=tuple(cell.key for cell in learns_from.fit),
        select=tuple(cell.key for cell in learns_from.select),
        labels=learns_from.labels.key,
        metric=learns_from.metric,
        seed=seed,
    )
