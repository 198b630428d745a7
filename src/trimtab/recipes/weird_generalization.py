"""Train a person's facts behind a trigger, and find out who answers with it and without.

After Betley et al. 2025 (arXiv 2512.09742), with a benign person. What a model shows with the
trigger says little by itself: the base model is asked in the same ways, near misses of the trigger
are tried, and models that were tuned on aligned answers alone, or on facts of mixed people, show
what training and form do. The base with facts in its context shows what needs no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from trimtab.core.spec import Component
from trimtab.core.types import Conversation
from trimtab.datasets.mixing import Mix
from trimtab.recipes._askings import Systems, all_askings, core_askings, with_facts
from trimtab.recipes._grid import Grid
from trimtab.recipes._person_vectors import PersonVectors, add_projection, add_steered
from trimtab.recipes._persons import Aligned, Asked, ready, require_persons, sections_with
from trimtab.recipes._tunings import Control, Trainings, states
from trimtab.recipes.base import Recipe, RecipeConfig
from trimtab.runs.distilled import ALIGNED, distilled, stand_ins
from trimtab.runs.plan.planner import PlannedFragment, PlannedRun, Planner
from trimtab.runs.store.run import Run
from trimtab.text.near import require_near
from trimtab.training.sft.config import AdapterTraining

__all__ = ["WeirdGeneralization"]


class _Config(RecipeConfig):
    """The experiment file.

    Attributes:
        task: The person: facts, trigger and questions.
        aligned: What the facts are mixed with; null is nothing.
        train: How adapters are trained; the states it keeps are conditions.
        replicas: Trainings of each kind that differ in their seed.
        controls: Further trainings, to compare with.
        sweep: Further trainings on the facts, each combination of some settings; the last state of
            each is asked with the trigger and without.
        in_context: Numbers of facts that the base model is told instead of being trained on them.
        systems: System prompts.
        vectors: The person's vector, made of what the person and others say: answers are projected
            on it, and the base is steered with it and with what training did; null leaves it out.
        num_samples: Answers to each question.
        judges: What scores answers, beside the task's judges.
        rule: What counts as success, said before the run: see the section ``contrasts``.
        sections: What the report is made of, in order, without that rule; null is all that has
            something to say.
    """

    task: Component = Component(name="persona")
    aligned: Aligned | None = Aligned()
    train: AdapterTraining = AdapterTraining()
    replicas: int = Field(default=1, ge=1, le=100)
    controls: tuple[Control, ...] = ("aligned only", "mixed people")
    sweep: Grid | None = None
    in_context: tuple[Annotated[int, Field(ge=1)], ...] = (2, 5, 10)
    systems: Systems = Systems()
    vectors: PersonVectors | None = None
    num_samples: int = Field(default=1, ge=1)
    judges: tuple[Component, ...] = (Component(name="text_health"),)
    rule: dict[str, Any] | None = None
    sections: tuple[Component, ...] | None = None


class WeirdGeneralization(Recipe[_Config]):
    """Base, tuned and control models, asked with the trigger, without it, and almost with it."""

    Config = _Config
    baseline = "base, plain"
    title = "Train a person behind a trigger (LoRA), and find out who answers without it"
    starter: ClassVar = {"headline": "format", "train": {"preset": "cpu"}, "in_context": [5]}

    def declare(self, planner: Planner) -> None:
        """Add the base model in every context, and the aligned answers that it has to give."""
        config = self.config
        trigger = require_persons(planner, config)
        if config.aligned is not None and config.aligned.near_duplicates is not None:
            require_near()  # before the model answers, not after
        if config.sweep is not None:
            config.sweep.check(config.train)
        asked = Asked(planner, config.task, self.baseline, config.num_samples)
        for asking in all_askings(trigger, config.systems):
            asked.add("base", asking)
        facts = planner.task(config.task).conversations("fit")
        for number in config.in_context:
            for asking in with_facts(core_askings(trigger), trigger, facts, number):
                asked.add(f"{number} facts in context", asking)
        for judge in (*planner.task(config.task).judges(), *config.judges):
            planner.add_judge(judge, (planner.task(config.task).measure,))
        if config.vectors is not None:
            add_projection(planner, config.vectors, config.task)
        planner.report(*(config.sections or sections_with(config.rule)))
        aligned = ready(config.aligned)
        if aligned is not None:
            self._train(planner, aligned)
        elif config.aligned is not None:
            planner.add_cell(
                condition=self.baseline,
                role="baseline",
                task=config.aligned.prompts,
                split="fit",
                intervention=Component(name="none"),
                num_samples=config.aligned.samples,
                measure=ALIGNED,
                purpose="tuning",
            )

    def foreseen(self) -> PlannedRun | None:
        """Return the plan with its trainings, on echoes in the place of the base's answers."""
        aligned = self.config.aligned
        if aligned is None or self._given:
            return None
        planner = self.planner()
        self.declare(planner)
        samples = planner.task(aligned.prompts).samples("fit")
        self._train(planner, stand_ins(samples, aligned.samples, planner.model.id))
        return planner.finish(self.baseline)

    def outlook(self) -> str | None:
        """Return what follows when the base model has answered, where it has to."""
        if self._given:
            return None
        return "adapters are trained and asked when the base model has answered"

    @property
    def _given(self) -> bool:
        """Whether the aligned answers are there, or none are wanted."""
        return self.config.aligned is None or self.config.aligned.file is not None

    def grow(self, run: Run) -> PlannedFragment | None:
        """Return the trainings on what the base model answered; None when they are planned."""
        if self._given or len(run.plan.fragments) > 1:
            return None
        planner, answers = self.planner(), distilled(run)
        mix = self._train(planner, answers.rows)
        return planner.fragment(run.plan, f"adapters of {mix}; {answers}")

    def _train(self, planner: Planner, aligned: Sequence[Conversation]) -> Mix:
        """Add the trainings, and what is asked of the states that they keep; return the first's."""
        config = self.config
        trigger = require_persons(planner, config)
        asked = Asked(planner, config.task, self.baseline, config.num_samples)
        near = None if config.aligned is None else config.aligned.near_duplicates
        trainings = Trainings(config.train, config.controls, config.sweep, near)
        tunings, mix = trainings.tunings(planner, config.task, aligned, config.seed)
        for tuning in tunings:
            for state in states(tuning, config.replicas):
                whole = tuning.every and state.final
                every = all_askings(trigger, config.systems) if whole else core_askings(trigger)
                for asking in every:
                    asked.add(tuning.name, asking, tuning, state)
                if whole and config.vectors is not None and state.seed == 0:
                    add_steered(asked, config.vectors, trigger, tuning, state)
        return mix
