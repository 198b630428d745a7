"""Names in a configuration that stand for what is measured, looked up before anything runs."""

from __future__ import annotations

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.plan import Plan
from trimtab.reports.data.metrics import MetricRef, metrics_of
from trimtab.reports.sections.base import SECTIONS


def _names(ref: MetricRef) -> set[str]:
    return {ref.id, ref.metric.name}


def require_names(plan: Plan) -> None:
    """Raise ConfigError if the headline or a section's settings name what the plan has not.

    A plan that grows may be asked for what a later fragment measures by the judges of its first.
    """
    refs = [ref for cell in plan.cells for ref in metrics_of(cell, plan.judges)]
    effects = {name for ref in refs if ref.metric.role == "effect" for name in _names(ref)}
    if plan.headline is not None and plan.headline not in effects:
        others = {name: ref.metric.role for ref in refs for name in _names(ref)}
        what = (
            "is no metric of this experiment"
            if plan.headline not in others
            else "is another reading of an effect's answers, which is not tested"
            if others[plan.headline] == "reading"
            else "is no metric of an effect"
        )
        raise ConfigError(
            f"headline = {plan.headline!r} {what}. {did_you_mean(plan.headline, effects)}"
        )
    for fragment in plan.fragments:
        for section in fragment.sections or ():
            if section.config:
                SECTIONS.build(section.name, section.config).require(
                    plan, {name for ref in refs for name in _names(ref)}
                )
