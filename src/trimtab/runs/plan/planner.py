"""Turn a recipe's choices into cells with keys. Loads data, never a model: no torch here.

Keys hash what determines an output: the model's content and number format, the samples' content,
the protocol, the intervention with the artifacts it needs, sampling, seed, and the VERSION of every
file that takes part. Labels, paths, limits, devices and batch sizes stay out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.needs import Made, Need
from trimtab.core.plan import Cell, FitPlan, Fragment, JudgePlan, Plan
from trimtab.core.spec import Component, ModelSpec, Purpose, Role, Spec, Split
from trimtab.core.trigger import Trigger
from trimtab.core.types import ContrastPair, Conversation, Sample, SamplingParams
from trimtab.engine.version import ENGINE_VERSION
from trimtab.interventions.base import INTERVENTIONS, Intervention, NamesBlocks
from trimtab.models.load import ResolvedModel, resolve
from trimtab.runs.plan.data import PlanData
from trimtab.runs.plan.doubles import refuse_doubles, refuse_second_model, refuse_second_names
from trimtab.runs.plan.fits import artifact_of, plan_fit
from trimtab.runs.plan.judges import LearnsFrom, plan_judges
from trimtab.runs.plan.triggers import require_trigger, trigger_of
from trimtab.tasks.base import TASKS, Task


@dataclass(frozen=True)
class PlannedFragment:
    """A fragment and the data it was made from, ready to be written to a run directory."""

    fragment: Fragment
    data: PlanData


@dataclass(frozen=True)
class PlannedRun:
    """A plan of one fragment and the data it was made from, ready to be written.

    ``notes`` say what of the data is left out, a line each.
    """

    plan: Plan
    data: PlanData
    models: tuple[ResolvedModel, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Planner:
    """Collects cells, fits and judges; ``finish`` makes the plan.

    Attributes:
        recipe: The recipe's name.
        name: The experiment's name.
        model: The subject model; resolved at once, so that a wrong name fails early.
        fit_on: Task whose pairs of the fit split artifacts are made from.
        seed: Base seed of fits, random streams and statistics.
        window: Rows generated together, see ``Plan.window``.
        headline: Metric that the finding is told in.
    """

    recipe: str
    name: str
    model: ModelSpec
    fit_on: Component | None = None
    seed: int = 0
    window: int = 512
    headline: str | None = None
    data: PlanData = field(default_factory=PlanData)
    _models: list[ResolvedModel] = field(default_factory=list)
    _cells: list[Cell] = field(default_factory=list)
    _fits: dict[str, FitPlan] = field(default_factory=dict)
    _needs: dict[str, FitPlan] = field(default_factory=dict)
    _judges: list[JudgePlan] = field(default_factory=list)
    _sections: tuple[Component, ...] | None = None
    _tasks: dict[str, Task[Spec]] = field(default_factory=dict)
    _notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Resolve the model."""
        self.use(self.model)

    def use(self, model: ModelSpec) -> None:
        """Plan for ``model`` from now on; what was planned for others stays."""
        self.resolved = resolve(model)
        refuse_second_model(self.resolved, self._models)
        self._models.append(self.resolved)

    def task(self, component: Component) -> Task[Spec]:
        """Return the task of ``component``, built once."""
        key = content_key(component)
        if key not in self._tasks:
            self._tasks[key] = TASKS.build(component.name, component.config)
        return self._tasks[key]

    def answerable(self, tasks: Mapping[str, Component]) -> dict[str, Component]:
        """Return the tasks that their data have answers to; the others are left out with a note.

        Where none is left, all are returned, so that reading them says what is wrong.
        """
        missing = {name: self.task(task).missing() for name, task in tasks.items()}
        kept = {name: task for name, task in tasks.items() if missing[name] is None}
        if not kept:
            return dict(tasks)
        self._notes += [f"{name!r} is left out: {why}" for name, why in missing.items() if why]
        return kept

    def choice_sets(self, task: Component, split: Split) -> set[str]:
        """Return the option sets that the samples of ``split`` have."""
        samples = self.task(task).samples(split)
        return {name for s in samples for choice in s.choices for name in choice.sets}

    def give_pairs(self, task: Component, split: Split, rows: Sequence[ContrastPair]) -> None:
        """Let ``rows`` stand in the place of the contrast pairs that ``task`` has for ``split``.

        Fits on that task, whatever their method, take these rows: those of a recipe that makes
        pairs from a run's own completions (``datasets.solutions``). They are part of the fits' keys
        by their content. Give them before the cells that need them.

        Raises:
            ConfigError: Others were used already.
        """
        self.data.give("pairs", self.task(task), split, list(rows))

    def give_conversations(
        self, task: Component, split: Split, rows: Sequence[Conversation]
    ) -> None:
        """Let ``rows`` stand in the place of the conversations of ``task``; as ``give_pairs``."""
        self.data.give("conversations", self.task(task), split, list(rows))

    def add_cell(
        self,
        *,
        condition: str,
        role: Role,
        task: Component,
        split: Split,
        intervention: Component,
        control: str | None = None,
        coordinates: dict[str, float | str] | None = None,
        sampling: SamplingParams | None = None,
        num_samples: int = 1,
        measure: str | None = None,
        fit_on: Component | None = None,
        samples: Sequence[Sample] | None = None,
        purpose: Purpose = "result",
        artifacts: Mapping[str, str] | None = None,
    ) -> Cell:
        """Add one cell of the model in use; arguments are the fields of ``Cell``.

        If they are None ``sampling``, ``measure`` and ``samples`` (all of the split) are those of
        the task, ``artifacts`` are planned, and ``fit_on``, whose pairs make them, the planner's.

        Raises:
            ConfigError: The intervention can't act on what is asked, or names a block too many.
            DataError: A fit can't use its data.
        """
        built = self.task(task)
        asked_of = self._samples(built, split, samples)
        acting = self._acting(intervention, built, condition)
        trigger = trigger_of(condition, built, acting)
        artifacts = artifacts or self._artifacts(acting, fit_on or self.fit_on, trigger)
        drawn = (sampling or built.sampling()) if built.output == "text" else None
        asked = {"task": [task.name, built.VERSION, built.protocol], "samples": asked_of}
        done = {"intervention": (intervention.name, acting.VERSION, acting.config)}
        cell = Cell(
            key=self._cell_key({**asked, **done, **_as_hashed(artifacts), "sampling": drawn}),
            condition=condition,
            role=role,
            control=control,
            coordinates=coordinates or {},
            measure=measure or built.measure,
            purpose=purpose,
            model=self.resolved.spec,
            model_identity=self.resolved.identity,
            task=task,
            split=split,
            samples=asked_of,
            output=built.output,
            rendering=built.rendering,
            protocol=built.protocol,
            intervention=intervention,
            artifacts=dict(artifacts),
            trigger=trigger,
            sampling=drawn,
            num_samples=num_samples,
            seed=self.seed,
        )
        self._cells.append(cell)
        return cell

    def _samples(self, task: Task[Spec], split: Split, samples: Sequence[Sample] | None) -> str:
        """Return the key of the samples of a cell: all of the split unless some are given."""
        if samples is None:
            return self.data.ask("prompts", task, split)
        return self.data.add_samples(list(samples))

    def _acting(self, component: Component, task: Task[Spec], condition: str) -> Intervention[Spec]:
        """Build an intervention; raise ConfigError if it can't act on what the task asks for."""
        acting = self.intervention(component)
        if task.output not in acting.OUTPUTS:
            raise ConfigError(
                f"intervention {component.name!r} acts on {' and '.join(acting.OUTPUTS)} only, "
                f"and condition {condition!r} measures {task.measure!r}, which is {task.output}."
            )
        return acting

    def check(self, intervention: Component, task: Component, condition: str) -> None:
        """Raise what adding a cell would, and add nothing: for what may be added later.

        Raises:
            ConfigError: As ``add_cell``.
            DataError: A fit can't use its data.
        """
        fits, needs = dict(self._fits), dict(self._needs)
        acting = self._acting(intervention, self.task(task), condition)
        self._artifacts(acting, self.fit_on, trigger_of(condition, self.task(task), acting))
        self._fits, self._needs = fits, needs

    @property
    def judges(self) -> tuple[JudgePlan, ...]:
        """The judges that were added so far."""
        return tuple(self._judges)

    def _cell_key(self, determines: Mapping[str, Any]) -> str:
        """Return the hash of everything that determines a cell's output."""
        return content_key(
            {
                "engine": ENGINE_VERSION,
                "model": self.resolved.identity,
                "dtype": self.resolved.spec.dtype,
                "seed": self.seed,
                **determines,
            }
        )

    def add_judge(
        self,
        component: Component,
        measures: tuple[str, ...] | None = None,
        learns_from: LearnsFrom | None = None,
    ) -> JudgePlan:
        """Add a judge for all cells of its output kind, or only those with ``measures``.

        A judge that was added before, for another model of the run, is not added again.

        Args:
            component: The judge; members of a panel are added before it.
            measures: The cells it scores.
            learns_from: What it is fitted on, for a judge that learns; its labelling judge is
                added before it.
        """
        subject = (self._models[0].spec, self._models[0].identity)
        *members, judge = plan_judges(
            *(component, subject, measures, learns_from, self.seed),
            fits=self._fits,
            artifact_of=self._artifact_for_judge,
        )
        known = {planned.key for planned in self._judges}
        if len(self._models) > 1 and judge.key in known:
            return judge
        self._judges += [member for member in members if member.key not in known]
        self._judges.append(judge)
        return judge

    def _artifact_for_judge(self, need: Need) -> str:
        if len(self._models) > 1:
            raise ConfigError(
                "A judge uses a fit on one model, and this experiment has several.",
                hint="Make a run for each model.",
            )
        return self._artifact(need, self.fit_on, None)

    def report(self, *sections: Component | str) -> None:
        """Say what the report is made of, in order; by default all that has something to say."""
        self._sections = tuple(Component.model_validate(section) for section in sections)

    def finish(self, baseline: str = "baseline") -> PlannedRun:
        """Return the plan and its data; raise ConfigError if it is empty or holds doubles."""
        if not self._cells:
            raise ConfigError(f"The experiment {self.name!r} measures nothing.")
        plan = Plan(
            recipe=self.recipe,
            name=self.name,
            baseline=baseline,
            headline=self.headline,
            window=self.window,
            seed=self.seed,
        )
        fragment = self._fragment(plan, "the experiment as configured")
        plan = plan.model_copy(update={"fragments": (fragment,)})
        said = [*self._notes, *(note for task in self._tasks.values() for note in task.notes())]
        return PlannedRun(plan, self.data, tuple(self._models), tuple(dict.fromkeys(said)))

    def fragment(
        self, plan: Plan, reason: str, without: Mapping[str, str] = MappingProxyType({})
    ) -> PlannedFragment:
        """Return what was added as the next fragment of ``plan``, with its data.

        Cells, fits and judges that ``plan`` has already are left out; ``without`` as in
        ``Fragment``.

        Raises:
            ConfigError: What was added holds doubles, or a condition that means another cell in
                ``plan``: reports know cells by their conditions.
        """
        made = self._fragment(plan, reason)
        return PlannedFragment(made.model_copy(update={"without": dict(without)}), self.data)

    def _fragment(self, plan: Plan, reason: str) -> Fragment:
        added = {cell.key for cell in self._cells}
        cells = [*(cell for cell in plan.cells if cell.key not in added), *self._cells]
        several = len({cell.model.id for cell in cells}) > 1
        refuse_doubles(
            "condition",
            [
                f"{c.condition!r} of {c.measure}" + (f" ({c.model.id})" if several else "")
                for c in cells
            ],
        )
        refuse_doubles("judge", [repr(j.key) for j in self._judges])
        refuse_second_names(self._cells)
        known = {item.key for some in (plan.cells, plan.fits, plan.judges) for item in some}
        return Fragment(
            number=len(plan.fragments),
            reason=reason,
            cells=tuple(cell for cell in self._cells if cell.key not in known),
            fits=tuple(fit for fit in self._fits.values() if fit.key not in known),
            judges=tuple(judge for judge in self._judges if judge.key not in known),
            sections=self._sections,
        )

    def intervention(self, component: Component) -> Intervention[Spec]:
        """Build an intervention; raise ConfigError or DataError if the model can't have it."""
        built = INTERVENTIONS.build(component.name, component.config)
        self._check_blocks(component.name, built.config)
        built.check_model(self.resolved.card)
        return built

    def _check_blocks(self, name: str, config: Spec) -> None:
        blocks = config.blocks() if isinstance(config, NamesBlocks) else ()
        count = self.resolved.card.num_layers
        wrong = [block for block in blocks if block >= count]
        if wrong:
            raise ConfigError(
                f"intervention {name!r}: layer = {wrong[0]}, and {self.resolved.spec.id!r} has "
                f"{count} layers.",
                hint=f"Layers count from 0, so the last is {count - 1}.",
            )

    def _artifacts(
        self, acting: Intervention[Spec], fit_on: Component | None, trigger: Trigger | None
    ) -> dict[str, str]:
        """Plan the fits that an intervention needs; return the key of each artifact by name.

        Raises:
            DataError: One is trained behind another trigger than ``trigger``.
        """
        return {
            name: self._artifact(need, fit_on, trigger) for name, need in acting.needs().items()
        }

    def _artifact(self, need: Need, fit_on: Component | None, trigger: Trigger | None) -> str:
        """Plan what makes one artifact; return its key."""
        fit = self._fit(need, fit_on, trigger)
        if trigger is not None:
            for ref in fit.data.values():
                require_trigger(self.data.conversations.get(ref.key, ()), trigger)
        return artifact_of(need, fit)

    def _fit(self, need: Need, fit_on: Component | None, trigger: Trigger | None) -> FitPlan:
        """Return the plan of a fit, after what it waits for; equal needs share one."""
        made = {
            name: self._artifact(wanted.need, fit_on, trigger)
            for name, wanted in need.inputs.items()
            if isinstance(wanted, Made)
        }
        given = {"component": need.component, "fit_on": fit_on, "model": self.resolved.spec}
        asked = content_key({**given, "inputs": repr(need.inputs)})
        if asked not in self._needs:
            fitting = self.intervention(need.component)
            fit = plan_fit(
                need, fitting, self.resolved, self.seed, self.data, self.task, fit_on, made
            )
            self._needs[asked] = self._fits.setdefault(fit.key, fit)
        return self._needs[asked]


def _as_hashed(artifacts: Mapping[str, str]) -> dict[str, Any]:
    """Return the artifacts as cell keys hold them: what is added to the model is ``artifact``."""
    others = {name: key for name, key in artifacts.items() if name != "vector"}
    return {"artifact": artifacts.get("vector"), **others}
