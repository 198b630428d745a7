"""Stages of a run that one job array works on, one after the other, and what their workers need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trimtab.compute.resources import Resources
from trimtab.compute.slurm.profile import Profile
from trimtab.core.spec import ModelSpec
from trimtab.runs.store.run import Run
from trimtab.runs.work.state import State, lacks_rows
from trimtab.runs.work.units import KINDS, FitUnit, Kind, ScoreUnit, Unit, units

FINISH = "finish"
"""Name of the job that writes checks and report."""


@dataclass(frozen=True)
class Group:
    """Kinds of units that the same workers do.

    Attributes:
        kinds: Which kinds, in their order.
        workers: How many workers.
        resources: What each needs.
        models: The models that they load, by identity.
        num_units: How many units are owed.
    """

    kinds: tuple[Kind, ...]
    workers: int
    resources: Resources
    models: dict[str, ModelSpec]
    num_units: int

    @property
    def name(self) -> str:
        """What job and script are called."""
        return "-".join(self.kinds)


def group_names() -> list[str]:
    """Return every name that a job of a run can have, that of the last one included."""
    spans = [KINDS[i:j] for i in range(len(KINDS)) for j in range(i + 1, len(KINDS) + 1)]
    return ["-".join(span) for span in spans] + [FINISH]


def groups(run: Run, profile: Profile, *, grows: bool) -> list[Group]:
    """Return the stages that owe something, in their order.

    Kinds that follow one another and need the same are one stage. So are all kinds of a plan that
    grows, or in which fits of completions come before further answers: nobody could say when a
    stage of it is over.

    Args:
        run: The run.
        profile: What the cluster wants.
        grows: Whether the run's recipe may add to its plan.

    Raises:
        ConfigError: A model needs more than the profile's limits.
    """
    owed = owed_units(run)
    if grows or _turns_back(run):
        return [_group(run, KINDS, owed, profile, growing=grows)]
    found: list[Group] = []
    for kind in KINDS:
        some = [unit for unit in owed if unit.kind == kind]
        if not some:
            continue
        group = _group(run, (kind,), some, profile)
        if found and _same(found[-1], group):
            both = [unit for unit in owed if unit.kind in (*found[-1].kinds, kind)]
            found[-1] = _group(run, (*found[-1].kinds, kind), both, profile)
        else:
            found.append(group)
    return found


def owed_units(run: Run) -> list[Unit]:
    """Return every unit of which something is missing, whether it can be done yet or not."""
    state = State(run)
    return [unit for unit in units(run) if lacks_rows(state, unit)]


def _same(one: Group, other: Group) -> bool:
    """Return whether workers of one stage can go on with the next, each with something to do."""
    requests = (one.resources, one.workers) == (other.resources, other.workers)
    return requests and one.models.keys() == other.models.keys()


def _turns_back(run: Run) -> bool:
    """Return whether answers are planned that wait for a fit of other answers."""
    late = {key for fit in run.plan.fits if fit.completions for key in fit.artifacts.values()}
    return any(late & set(cell.artifacts.values()) for cell in run.plan.cells)


def _group(
    run: Run,
    kinds: Sequence[Kind],
    owed: Sequence[Unit],
    profile: Profile,
    *,
    growing: bool = False,
) -> Group:
    models = _models(run, owed) if owed else _models(run, units(run))
    most = profile.workers if growing else max(1, min(profile.workers, len(owed)))
    return Group(
        tuple(kinds),
        min(most, profile.limits.workers or most),
        profile.of_models(models.values()),
        models,
        len(owed),
    )


def _models(run: Run, some: Iterable[Unit]) -> dict[str, ModelSpec]:
    """Return the models that units load, by identity."""
    cells = {cell.model_identity: cell.model for cell in run.plan.cells}
    found: dict[str, ModelSpec] = {}
    for unit in some:
        if unit.model_identity is None or unit.model_identity in found:
            continue
        spec: ModelSpec | None
        if isinstance(unit, FitUnit):
            spec = unit.plan.model
        elif isinstance(unit, ScoreUnit):
            spec = unit.judge.model
        else:
            spec = cells[unit.model_identity]
        if spec is not None:
            found[unit.model_identity] = spec
    return found
