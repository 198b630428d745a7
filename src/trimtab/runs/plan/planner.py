"""Turn a recipe's choices into cells with keys. Loads data, never a model: no torch here.

Keys hash what determines an output: the model's content and number format, the samples' content,
the protocol, the intervention with the artifact it needs, sampling, seed, and the VERSION of every
file that takes part. Labels, paths, limits, devices and batch sizes stay out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.spec import (
    ArtifactPlan,
    Cell,
    Component,
    JudgePlan,
    ModelSpec,
    Plan,
    PromptSet,
    Role,
    Spec,
    Split,
)
from trimtab.core.types import ContrastPair, Rendering, Sample, SamplingParams
from trimtab.interventions.base import INTERVENTIONS, Intervention, NamesBlocks, determining
from trimtab.models.load import ResolvedModel, resolve
from trimtab.runs.plan.judges import LearnsFrom, plan_judges
from trimtab.steering.gated import GatedConfig
from trimtab.tasks.base import TASKS, Task

ENGINE_VERSION = 2
"""Part of every cell's key; raise it when the engine's output changes its meaning."""


@dataclass(frozen=True)
class PlannedRun:
    """A plan and the data it was made from, ready to be written to a run directory."""

    plan: Plan
    samples: dict[str, list[Sample]]
    pairs: dict[str, list[ContrastPair]]
    model: ResolvedModel


@dataclass
class Planner:
    """Collects cells and judges; ``finish`` makes the plan.

    Attributes:
        recipe: The recipe's name.
        name: The experiment's name.
        model: The subject model; resolved at once, so that a wrong name fails early.
        fit_on: Task whose pairs of the fit split artifacts are made from.
        seed: Base seed of fits, random streams and statistics.
        window: Rows generated together, see ``Plan.window``.
    """

    recipe: str
    name: str
    model: ModelSpec
    fit_on: Component | None = None
    seed: int = 0
    window: int = 512
    _cells: list[Cell] = field(default_factory=list)
    _artifacts: dict[str, ArtifactPlan] = field(default_factory=dict)
    _judges: list[JudgePlan] = field(default_factory=list)
    _samples: dict[str, list[Sample]] = field(default_factory=dict)
    _pairs: dict[str, list[ContrastPair]] = field(default_factory=dict)
    _tasks: dict[str, Task[Spec]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Resolve the model."""
        self.resolved = resolve(self.model)

    def task(self, component: Component) -> Task[Spec]:
        """Return the task of ``component``, built once."""
        key = content_key(component)
        if key not in self._tasks:
            self._tasks[key] = TASKS.build(component.name, component.config)
        return self._tasks[key]

    def choice_sets(self, task: Component, split: Split) -> set[str]:
        """Return the option sets that the samples of ``split`` have."""
        samples = self.task(task).samples(split)
        return {name for s in samples for choice in s.choices for name in choice.sets}

    def add_cell(
        self,
        *,
        condition: str,
        role: Role,
        task: Component,
        split: Split,
        intervention: Component,
        coordinates: dict[str, float | str] | None = None,
        sampling: SamplingParams | None = None,
        num_samples: int = 1,
        measure: str | None = None,
        fit_on: Component | None = None,
    ) -> Cell:
        """Add one cell; ``sampling`` and ``measure`` default to the task's, ``fit_on`` to ours."""
        built = self.task(task)
        samples = self._sample_set(built, split)
        acting = self._intervention(intervention)
        if built.output not in acting.OUTPUTS:
            raise ConfigError(
                f"intervention {intervention.name!r} acts on {' and '.join(acting.OUTPUTS)} only, "
                f"and condition {condition!r} measures {built.measure!r}, which is {built.output}."
            )
        artifact = self._artifact(acting.fitted_by(), fit_on or self.fit_on)
        gate = self._gate(acting.config)
        drawn = (sampling or built.sampling()) if built.output == "text" else None
        determines = {
            "engine": ENGINE_VERSION,
            "model": self.resolved.identity,
            "dtype": self.resolved.spec.dtype,
            "task": [task.name, built.VERSION, built.protocol],
            "samples": samples,
            "intervention": (intervention.name, acting.VERSION, acting.config),
            "artifact": artifact,
            **({"gate": gate} if gate else {}),
            "sampling": drawn,
            "seed": self.seed,
        }
        cell = Cell(
            key=content_key(determines),
            condition=condition,
            role=role,
            coordinates=coordinates or {},
            measure=measure or built.measure,
            model=self.resolved.spec,
            model_identity=self.resolved.identity,
            task=task,
            split=split,
            samples=samples,
            output=built.output,
            intervention=intervention,
            artifact=artifact,
            gate=gate,
            sampling=drawn,
            num_samples=num_samples,
            seed=self.seed,
        )
        self._cells.append(cell)
        return cell

    def add_judge(
        self,
        component: Component,
        measures: tuple[str, ...] | None = None,
        learns_from: LearnsFrom | None = None,
    ) -> JudgePlan:
        """Add a judge for all cells of its output kind, or only those with ``measures``.

        Args:
            component: The judge; members of a panel are added before it.
            measures: The cells it scores.
            learns_from: What it is fitted on, for a judge that is fitted; its labelling judge is
                added before it.
        """
        subject = (self.resolved.spec, self.resolved.identity)
        *members, judge = plan_judges(component, subject, measures, learns_from, self.seed)
        known = {planned.key for planned in self._judges}
        self._judges += [member for member in members if member.key not in known]
        self._judges.append(judge)
        return judge

    def finish(self, baseline: str = "baseline") -> PlannedRun:
        """Return the plan and its data; raise ConfigError if it is empty or holds doubles."""
        if not self._cells:
            raise ConfigError(f"The experiment {self.name!r} measures nothing.")
        _refuse_doubles("condition", [f"{c.condition!r} of {c.measure}" for c in self._cells])
        _refuse_doubles("judge", [repr(j.key) for j in self._judges])
        plan = Plan(
            recipe=self.recipe,
            name=self.name,
            cells=tuple(self._cells),
            artifacts=tuple(self._artifacts.values()),
            judges=tuple(self._judges),
            baseline=baseline,
            window=self.window,
            seed=self.seed,
        )
        return PlannedRun(plan, self._samples, self._pairs, self.resolved)

    def _sample_set(self, task: Task[Spec], split: Split) -> str:
        samples = task.samples(split)
        key = content_key(samples)
        self._samples[key] = samples
        return key

    def _intervention(self, component: Component) -> Intervention[Spec]:
        """Build an intervention; raise ConfigError if it names a block that the model lacks."""
        built = INTERVENTIONS.build(component.name, component.config)
        gate = built.config.gate if isinstance(built.config, GatedConfig) else None
        blocks = built.config.blocks() if isinstance(built.config, NamesBlocks) else ()
        blocks += gate.blocks() if gate else ()
        count = self.resolved.card.num_layers
        wrong = [block for block in blocks if block >= count]
        if wrong:
            raise ConfigError(
                f"intervention {component.name!r}: layer = {wrong[0]}, and {self.model.id!r} has "
                f"{count} layers.",
                hint=f"Layers count from 0, so the last is {count - 1}.",
            )
        return built

    def _artifact(self, component: Component | None, fit_on: Component | None) -> str | None:
        if component is None:
            return None
        assert fit_on is not None, "the recipe names no task to fit on"
        task = self.task(fit_on)
        pairs_key = self._pair_set(task, "fit")
        fitting = self._intervention(component)
        select_key = self._pair_set(task, "select") if fitting.selects() else None
        for given in filter(None, (pairs_key, select_key)):
            fitting.check_pairs(self._pairs[given], task.rendering)
        determines: dict[str, Any] = {
            "engine": ENGINE_VERSION,
            "model": self.resolved.identity,
            "dtype": self.resolved.spec.dtype,
            "fit": [component.name, fitting.VERSION, determining(component)],
            "rendering": task.rendering,
            "pairs": pairs_key,
            "seed": self.seed,
            **({"select_pairs": select_key} if select_key else {}),
        }
        return self._add_artifact(
            determines, component, task.rendering, pairs=pairs_key, select_pairs=select_key
        )

    def _gate(self, config: Spec) -> str | None:
        """Add the condition that ``config`` asks for, made from the prompts of two tasks."""
        if not isinstance(config, GatedConfig) or config.gate is None:
            return None
        component = config.gate.fitted_by()
        splits: tuple[Split, ...] = ("fit", "select")
        prompts = tuple(
            PromptSet(
                samples=self._sample_set(self.task(task), split),
                rendering=self.task(task).rendering,
                split=split,
                holds=task is config.gate.open_on,
            )
            for task in (config.gate.open_on, config.gate.closed_on)
            for split in splits
        )
        asked = {"layers": config.gate.layers, "read": config.gate.read}
        determines = {
            "engine": ENGINE_VERSION,
            "model": self.resolved.identity,
            "dtype": self.resolved.spec.dtype,
            "fit": [component.name, self._intervention(component).VERSION],
            "asked": {**asked, "similarity": config.gate.similarity},
            "prompts": prompts,
        }
        return self._add_artifact(determines, component, prompts[0].rendering, prompts=prompts)

    def _add_artifact(
        self,
        determines: dict[str, Any],
        component: Component,
        rendering: Rendering,
        *,
        pairs: str | None = None,
        select_pairs: str | None = None,
        prompts: tuple[PromptSet, ...] = (),
    ) -> str:
        key = content_key(determines)
        self._artifacts[key] = ArtifactPlan(
            key=key,
            component=component,
            rendering=rendering,
            model=self.resolved.spec,
            model_identity=self.resolved.identity,
            pairs=pairs,
            select_pairs=select_pairs,
            seed=self.seed,
            prompts=prompts,
        )
        return key

    def _pair_set(self, task: Task[Spec], split: Split) -> str:
        pairs = task.pairs(split)
        key = content_key(pairs)
        self._pairs[key] = pairs
        return key


def _refuse_doubles(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"The {what} {twice[0]} occurs twice in the plan.", hint="List each thing once."
        )
