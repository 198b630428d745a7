"""Turn a judge's configuration into its plan: which model it wants, and what it is fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.needs import Input, Labelled, Need
from trimtab.core.plan import Cell, CellsRef, FitPlan, JudgePlan
from trimtab.core.spec import Component, ModelSpec, Spec
from trimtab.judges.base import JUDGES, Judge
from trimtab.models.load import resolve
from trimtab.runs.plan.fits import artifact_keys

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
    fits: dict[str, FitPlan] | None = None,
    artifact_of: Callable[[Need], str] | None = None,
) -> list[JudgePlan]:
    """Return the plan of a judge, after those of its members if it is a panel.

    Args:
        component: The judge and its configuration.
        subject: Model and identity that a judge gets which names no model of its own.
        measures: Only cells with these measures; None is all.
        learns_from: What it is fitted on, for a judge that learns.
        seed: Seed of that fit.
        fits: Takes the plans of the fits that it needs, by key; None where none can be added.
        artifact_of: Plans what an intervention fits, and returns its key; None where none can be
            added.

    Raises:
        ConfigError: The judge wants the subject, and its answers came from elsewhere; or it is
            fitted, and ``learns_from`` can't serve.
        ModelError: Its model can't be found.
    """
    judge: Judge[Spec] = JUDGES.build(component.name, component.config)
    members = [plan for each in judge.members for plan in plan_judges(each, subject, measures)]
    model = _judge_model(component, judge, subject)
    artifacts = {}
    for name, need in judge.needs().items():
        if need.component.name != component.name:
            artifacts[name] = _of_intervention(component, need, artifact_of)
            continue
        fit = _plan_fit(need, judge, model, learns_from, seed)
        if fits is not None:
            fits.setdefault(fit.key, fit)
        artifacts[name] = fit.artifacts[need.artifact or judge.MAKES[0]]
    plan = JudgePlan(
        key="",
        component=component,
        output=judge.output,
        metrics=judge.metrics,
        model=None if model is None else model[0],
        model_identity=None if model is None else model[1],
        measures=measures,
        artifacts=artifacts,
        members=tuple(plan.key for plan in members),
    )
    return [*members, plan.model_copy(update={"key": key_of(plan, judge)})]


def key_of(plan: JudgePlan, judge: Judge[Spec]) -> str:
    """Return the key of a planned judge, as what it reads is now."""
    hashed = None if plan.model is None else [plan.model_identity, plan.model.dtype]
    determines = {
        "judge": [plan.component.name, judge.VERSION],
        "config": judge.determining if hashed is None else _without_model(judge.determining),
        "fingerprint": judge.fingerprint,
        "model": hashed,
        "measures": plan.measures,
        **_as_hashed(plan.artifacts),
    }
    if plan.members:
        determines["members"] = list(plan.members)
    return f"{plan.component.name}-{content_key(determines, 8)}"


def require_unchanged(plan: JudgePlan, judge: Judge[Spec]) -> None:
    """Raise ConfigError if a file that a judge names is not what it was when it was planned."""
    if judge.determining != judge.config and key_of(plan, judge) != plan.key:
        raise ConfigError(
            f"{plan.key}: a file that it names is not what this run was planned with.",
            hint="Restore it, or add the judge as it is now: trimtab score RUN --judge '{name: "
            f"{plan.component.name}, ...}}'.",
        )


def _as_hashed(artifacts: Mapping[str, str]) -> dict[str, Any]:
    """Return the artifacts as judges' keys hold them: a single one is ``fit``."""
    if len(artifacts) == 1:
        return {"fit": next(iter(artifacts.values()))}
    return {"fits": dict(artifacts)} if artifacts else {}


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


def _of_intervention(
    component: Component, need: Need, artifact_of: Callable[[Need], str] | None
) -> str:
    if artifact_of is None:
        raise ConfigError(
            f"judge {component.name!r} needs what {need.component.name!r} fits, and no fit can be "
            "added here.",
            hint="Name the judge in the experiment file, or give it a `file`.",
        )
    return artifact_of(need)


def _plan_fit(
    need: Need,
    judge: Judge[Spec],
    model: tuple[ModelSpec, str] | None,
    learns_from: LearnsFrom | None,
    seed: int,
) -> FitPlan:
    """Return what a judge is fitted on; raise ConfigError if ``learns_from`` can't serve."""
    component = need.component
    if learns_from is None:
        raise ConfigError(
            f"judge {component.name!r} is fitted on labelled completions, and none are named here.",
            hint="Use a recipe that samples a fit split (gsm8k_best_of_n), or give `trained`, the "
            "folder of one that was fitted before.",
        )
    cells = {
        name: _cells_of(component, name, wanted, learns_from)
        for name, wanted in need.inputs.items()
    }
    if learns_from.metric not in {m.name for m in learns_from.labels.metrics if m.kind == "binary"}:
        raise ConfigError(
            f"judge {component.name!r} learns from {learns_from.metric!r}, which is no binary "
            f"metric of {learns_from.labels.key}."
        )
    determines = {
        "judge": [component.name, judge.VERSION],
        "config": component.config,
        "model": None if model is None else [model[1], model[0].dtype],
        # A cell's key does not say how many candidates it has, and a fit depends on it.
        **{name: [[cell.key, cell.num_samples] for cell in some] for name, some in cells.items()},
        "labels": [learns_from.labels.key, learns_from.metric],
        "seed": seed,
    }
    key = f"{component.name}-{content_key(determines)}"
    judges = (learns_from.labels.key,)
    return FitPlan(
        key=key,
        component=component,
        owner="judge",
        model=None if model is None else model[0],
        model_identity=None if model is None else model[1],
        inputs={
            name: CellsRef(cells=tuple(cell.key for cell in some), judges=judges)
            for name, some in cells.items()
        },
        reward=learns_from.labels.key,
        metric=learns_from.metric,
        artifacts=artifact_keys(key, judge.MAKES),
        seed=seed,
    )


def _cells_of(
    component: Component, name: str, wanted: Input, learns_from: LearnsFrom
) -> Sequence[Cell]:
    """Return the cells of one input; raise ConfigError for cells of another split, or none."""
    if not isinstance(wanted, Labelled):
        raise ConfigError(
            f"judge {component.name!r} asks for data as its input {name!r}; judges are fitted on "
            "labelled completions."
        )
    cells = learns_from.fit if wanted.split == "fit" else learns_from.select
    wrong = [cell.condition for cell in cells if cell.split != wanted.split]
    if wrong or not cells:
        raise ConfigError(
            f"judge {component.name!r} learns from cells of the {wanted.split} split; "
            f"{wrong[0] if wrong else 'none'!r} is given."
        )
    return cells
