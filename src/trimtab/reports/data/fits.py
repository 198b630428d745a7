"""The fits of a plan, artifact by artifact."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.core.plan import FitPlan, Plan


def fitted_artifacts(plan: Plan) -> Iterator[tuple[FitPlan, str]]:
    """Yield (fit, key) of every artifact that interventions have fitted, in plan order."""
    for fit in plan.fits:
        if fit.owner == "intervention":
            for key in fit.artifacts.values():
                yield fit, key


def artifact_names(plan: Plan) -> dict[str, str]:
    """Return what each artifact is called, by key: its intervention.

    Of several that one fit makes the artifact's name is added; where an intervention was fitted on
    several tasks, the series that uses the fit.
    """
    fitted = [fit.component.name for fit in plan.fits if fit.owner == "intervention"]
    names = {}
    for fit in plan.fits:
        component = fit.component.name
        for artifact, key in fit.artifacts.items():
            name = component if len(fit.artifacts) == 1 else f"{component} {artifact}"
            users = {
                str(cell.coordinates.get("series", ""))
                for cell in plan.cells
                if key in cell.artifacts.values() and cell.intervention.name == component
            }
            several = fitted.count(component) > 1 and len(users) == 1
            names[key] = f"{name}, {users.pop()}" if several else name
    return names
