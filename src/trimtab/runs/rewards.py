"""What answers are worth to a model that learns from them, by the rule of a judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, Spec
from trimtab.core.types import Completion, Sample
from trimtab.judges.base import JUDGES, Item, Judge
from trimtab.steering.fitted import Scores


def scores_by(component: Component) -> Scores:
    """Return the rule of a judge: from 0 to 1 for each answer, None where it can't say.

    Raises:
        ConfigError: There is no such judge, or it can't reward.
    """
    judge, metric = _rewarding(component)

    def scores(answers: Sequence[tuple[Sample, str]]) -> list[float | None]:
        items = [Item(sample, _completion(sample, text)) for sample, text in answers]
        return [verdict.values[metric] for verdict in judge.verdicts(items, None)]

    return scores


def require_reward(component: Component, samples: Sequence[Sample]) -> None:
    """Raise ConfigError if a judge can't reward answers to ``samples``."""
    judge, metric = _rewarding(component)
    told = [sample for sample in samples if sample.target is not None]
    items = [Item(sample, _completion(sample, sample.target or "")) for sample in told[:1]]
    verdicts = judge.verdicts(items, None)
    if not verdicts or verdicts[0].values[metric] is None:
        why = verdicts[0].error if verdicts else "no sample has a target"
        raise ConfigError(
            f"The judge {component.name!r} can't reward answers to this task: {why}.",
            hint="Use a task whose first judge gives a right answer 1.",
        )


def reward_identity(component: Component) -> dict[str, Any]:
    """Return what a judge's rule depends on beside its name and settings, for keys."""
    judge, _ = _rewarding(component)
    version = {} if judge.VERSION == judge.FIRST_REWARD else {"version": judge.VERSION}
    return {**version, **judge.fingerprint}


def _rewarding(component: Component) -> tuple[Judge[Spec], str]:
    judge: Judge[Spec] = JUDGES.build(component.name, component.config)
    if judge.reward is None:
        raise ConfigError(
            f"The judge {component.name!r} can't reward a model that learns: a reward is a metric "
            "of texts from 0 to 1, more is better, that needs no model.",
            hint="Rules of right answers are such judges, and docs/add-a-judge.md says how "
            "to add one.",
        )
    return judge, judge.reward.name


def _completion(sample: Sample, text: str) -> Completion:
    return Completion(
        cell="",
        sample_id=sample.id,
        protocol="reward",
        num_prompt_tokens=0,
        text=text,
        finish_reason="unknown",
    )
