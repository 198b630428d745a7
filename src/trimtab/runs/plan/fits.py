"""From what has to be fitted to the plan of its fit, with a key. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.keys import content_key
from trimtab.core.needs import Conversations, Labelled, Made, Need, Pairs, Prompts
from trimtab.core.plan import ArtifactRef, DataRef, FitPlan
from trimtab.core.spec import Component, Spec
from trimtab.datasets.conversations import read_conversations
from trimtab.engine.version import ENGINE_VERSION
from trimtab.interventions.base import Intervention
from trimtab.models.load import ResolvedModel
from trimtab.runs.plan.data import Kind, PlanData
from trimtab.runs.rewards import reward_identity
from trimtab.steering.fitted import FitData
from trimtab.tasks.base import Task

_HOLDS = {"holds": True, "fails": False}
_KINDS: dict[type, Kind] = {Pairs: "pairs", Prompts: "prompts", Conversations: "conversations"}


def plan_fit(
    need: Need,
    fitting: Intervention[Spec],
    model: ResolvedModel,
    seed: int,
    data: PlanData,
    task_of: Callable[[Component], Task[Spec]],
    fit_on: Component | None,
    made: Mapping[str, str] = MappingProxyType({}),
) -> FitPlan:
    """Return the plan of a fit; what it reads is added to ``data``.

    Args:
        need: What has to be fitted, and on what.
        fitting: The intervention of ``need.component``.
        model: The model it is fitted on.
        seed: The experiment's seed.
        data: Takes the sets of rows.
        task_of: Returns the task of a component.
        fit_on: Task whose data is read where an input names none.
        made: Key of each artifact that other fits make for this one, by name.

    Raises:
        ConfigError: An input names no task, and there is none to fit on.
        DataError: The fit can't use its data.
    """
    inputs = {
        name: _reference(name, wanted, need, data, task_of, fit_on)
        for name, wanted in need.inputs.items()
        if not isinstance(wanted, Made)
    }
    given = {
        name: FitData(data.rows(ref), ref.split, ref.rendering, ref.label)
        for name, ref in inputs.items()
    }
    for part in given.values():
        fitting.check_input(part)
    determines = {
        "engine": ENGINE_VERSION,
        "model": model.identity,
        "dtype": model.spec.dtype,
        **fitting.determines(need.component),
        **_as_hashed(inputs),
        **made,
        **({"seed": seed} if fitting.seeded else {}),
    }
    rewarded = reward_identity(need.reward) if need.reward is not None else {}
    if rewarded:
        determines["reward"] = rewarded
    key = content_key(determines)
    return FitPlan(
        key=key,
        component=need.component,
        owner="intervention",
        model=model.spec,
        model_identity=model.identity,
        inputs={**inputs, **{name: ArtifactRef(artifact=key) for name, key in made.items()}},
        artifacts=artifact_keys(key, fitting.makes(given)),
        seed=seed,
    )


def artifact_of(need: Need, fit: FitPlan) -> str:
    """Return the key of the artifact that ``need`` names; raise ConfigError if there is none."""
    artifact = need.artifact or next(iter(fit.artifacts))
    if artifact not in fit.artifacts:
        raise ConfigError(
            f"intervention {need.component.name!r}: its fit makes no {artifact!r}. "
            f"{did_you_mean(artifact, fit.artifacts)}"
        )
    return fit.artifacts[artifact]


def artifact_keys(key: str, names: tuple[str, ...]) -> dict[str, str]:
    """Return the key of each artifact: that of the fit, with the name where there are several."""
    return {name: key if len(names) == 1 else f"{key}-{name}" for name in names}


def _reference(
    name: str,
    wanted: Any,
    need: Need,
    data: PlanData,
    task_of: Callable[[Component], Task[Spec]],
    fit_on: Component | None,
) -> DataRef:
    if isinstance(wanted, Labelled):
        raise ConfigError(
            f"intervention {need.component.name!r} asks for completions as its input {name!r}, "
            "which judges alone can be fitted on.",
            hint="Ask for pairs, prompts or conversations.",
        )
    if isinstance(wanted, Conversations) and wanted.file is not None:
        rows = read_conversations(Path(wanted.file).expanduser(), wanted.given_as, answered=True)
        key = data.add_conversations(rows)
        return DataRef(kind="conversations", key=key, split=wanted.split)
    component = wanted.task or fit_on
    if component is None:
        raise ConfigError(
            f"intervention {need.component.name!r} is fitted on data of a task, and the recipe "
            "names none to fit on.",
            hint="Give the planner `fit_on`, or the key `fit_on` of the recipe `steer`.",
        )
    task = task_of(component)
    kind = _KINDS[type(wanted)]
    return DataRef(
        kind=kind,
        key=data.ask(kind, task, wanted.split),
        split=wanted.split,
        rendering=task.rendering,
        label=wanted.label if isinstance(wanted, Prompts) else None,
    )


def _as_hashed(inputs: dict[str, DataRef]) -> dict[str, Any]:
    """Return the inputs as keys of fits hold them.

    Prompts stand in one list, with ``holds`` in the place of the two labels of a condition; all
    else stands under its own name, with one rendering for all, or one for each where they differ.
    """
    prompts = [
        {
            "samples": ref.key,
            "rendering": ref.rendering,
            "split": ref.split,
            **({"holds": _HOLDS[ref.label]} if ref.label in _HOLDS else {"label": ref.label}),
        }
        for ref in inputs.values()
        if ref.kind == "prompts"
    ]
    others = {name: ref for name, ref in inputs.items() if ref.kind != "prompts"}
    hashed: dict[str, Any] = {name: ref.key for name, ref in others.items()}
    renderings = {name: ref.rendering for name, ref in others.items()}
    if len(set(renderings.values())) == 1 and any(renderings.values()):
        hashed["rendering"] = next(iter(renderings.values()))
    elif any(renderings.values()):
        hashed["rendering"] = renderings
    return {**hashed, **({"prompts": prompts} if prompts else {})}
