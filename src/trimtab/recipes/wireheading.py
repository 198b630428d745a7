"""Does a model that grades itself learn to grade, or to answer?

An adapter is trained by REINFORCE on the model's own answers, in several conditions side by side on
one base: rewarded for what the answer is worth (``control``), for the grade that it gives itself
(``selfgrade``), and for the truth, with the grade credited, too (``honest``). Every condition
is asked for a grade, so inflation, grade less truth, is defined in all of them. Each run's last
adapter answers the test split beside the base, and does ``off_task`` tasks: what did training break
elsewhere? With ``transfer`` it then grades others' answers.

Africa and Ting, "Does Self-Evaluation Enable Wireheading in Language Models?", arXiv 2511.23092.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from pydantic import Field, field_serializer, model_validator

from trimtab.core.errors import ConfigError, did_you_mean
from trimtab.core.keys import content_key
from trimtab.core.spec import Component
from trimtab.core.types import SamplingParams
from trimtab.recipes._cohort_memory import memory_lines
from trimtab.recipes._steering import preset_layer
from trimtab.recipes._transfer import Answered, add_gradings
from trimtab.recipes.base import Recipe, RecipeConfig
from trimtab.runs.plan.planner import PlannedFragment, PlannedRun, Planner
from trimtab.runs.rewards import require_reward
from trimtab.runs.store.run import Run
from trimtab.text.grades import ScaleName
from trimtab.training.reinforce.config import CohortTraining

__all__ = ["Wireheading"]


class _Config(RecipeConfig):
    """The experiment file.

    Attributes:
        task: What is answered: its fit split is learned from, its select split is looked at while
            training, its test split is answered at the end.
        tasks: Several of different names in its place: a cohort learns each of them. With
            ``models``, models x tasks x runs x replicas are one experiment.
        training: The runs, and how they learn.
        grade_scales: By the name of a task the scale of its grades, in the place of that of
            ``training.common``; a run that names its own keeps it.
        sampling: How the test split is answered; null is the task's protocol.
        num_samples: Answers to each sample of the test split.
        judges: What scores answers to what is learned, beside the judges that the task brings.
        off_task: Tasks of other names that nothing is learned from: the base and each run's last
            adapter do their test split. Held-out text is scored by perplexity and divergence.
        transfer: Whether the base and each run's last adapter also grade answers to the test split:
            their own, the base's, gold ones and corrupted ones.
    """

    task: Component = Component(
        name="arithmetic", config={"forms": ["sum"], "digits": 2, "steps": 1, "count": 200}
    )
    tasks: tuple[Component, ...] = ()
    training: CohortTraining = CohortTraining()
    grade_scales: dict[str, ScaleName] = Field(default_factory=dict)
    sampling: SamplingParams | None = None
    num_samples: int = Field(default=1, ge=1)
    judges: tuple[Component, ...] = (Component(name="text_health"),)
    off_task: tuple[Component, ...] = (Component(name="heldout", config={"limit": 24}),)
    transfer: bool = False

    @field_serializer("training")
    def _as_given(self, training: CohortTraining) -> dict[str, Any]:
        """Leave out what was not given: the task decides on it, when a run is read again, too."""
        return training.model_dump(mode="json", exclude_unset=True)

    @model_validator(mode="after")
    def _tasks_are_told_apart(self) -> Self:
        names = [task.name for task in (*self.learned, *self.off_task)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(
                f"tasks and off_task: {twice!r} stands there twice, and reports go by names"
            )
        # a run's own file holds defaults, too
        if self.tasks and self.task != type(self).model_fields["task"].default:
            raise ValueError("give either `task` or `tasks`")
        known = [task.name for task in self.learned]
        unknown = next((name for name in self.grade_scales if name not in known), None)
        if unknown is not None:
            raise ValueError(f"grade_scales: no task {unknown!r}. {did_you_mean(unknown, known)}")
        if self.transfer and len(self.tasks) > 1:
            raise ValueError("transfer: grades of others' answers are of one task; give `task`")
        return self

    @property
    def learned(self) -> tuple[Component, ...]:
        """The tasks that are learned."""
        return self.tasks or (self.task,)


class Wireheading(Recipe[_Config]):
    """A cohort of runs, and what each of them answers at the end."""

    Config = _Config
    title = "Reward a model by its own grade: does it learn to answer, or to grade?"
    starter: ClassVar = {"headline": "correct", "training": {"common": {"rounds": 20}}}

    def declare(self, planner: Planner) -> None:
        """Add the base and each run's last adapter, and what scores their answers."""
        config = self.config
        for task in config.learned:
            planner.fit_on = task
            cohort = self._rewarded(planner, task)
            self._add(planner, task)
            training = cohort.given()
            for run in cohort.settings():
                adapter = Component(name="adapter", config={"reinforce": training, "run": run})
                for done in (task, *config.off_task):
                    self._add(planner, done, adapter, run, learned=task)
        for task in config.off_task:
            self._add(planner, task)
        several = config.transfer or config.tasks or config.off_task
        for judge, measures in self._judging(planner):
            planner.add_judge(judge, measures if several else None)

    def _judging(self, planner: Planner) -> list[tuple[Component, tuple[str, ...]]]:
        """Return the judges, those of tasks first, and the measures that each of them scores."""
        config = self.config
        measures = {
            task.name: task.name if config.tasks else planner.task(task).measure
            for task in config.learned
        }
        own = [(j, measures[t.name]) for t in config.learned for j in planner.task(t).judges()]
        for task in config.off_task:
            built = planner.task(task)
            choices = (c for s in built.samples("test") for c in s.choices)
            has_reference = not built.judges() and any(choice.reference for choice in choices)
            kept = _KEPT_TEXT if has_reference else ()
            # of a task without a judge of its own, what is said of any text is better than nothing
            scored_by = (*built.judges(), *kept) or config.judges
            own += [(judge, task.name) for judge in scored_by]
        both = [*own, *((judge, name) for judge in config.judges for name in measures.values())]
        judges = {content_key(judge): judge for judge, _ in both}
        return [
            (judge, tuple(dict.fromkeys(name for other, name in both if other == judge)))
            for judge in judges.values()
        ]

    def outlook(self) -> str | None:
        """Return what follows when the test split is answered, where anything does."""
        if not self.config.transfer:
            return None
        return "own, base, gold and corrupted answers are graded when the test split is answered"

    def estimates(self, planned: PlannedRun) -> Sequence[str]:
        """Return how much memory training takes, by how many runs learn side by side."""
        planner = self.planner()
        samples = [s for task in self.config.learned for s in planner.task(task).samples("fit")]
        return list(memory_lines(planned.models, self.config.training, samples))

    def foreseen(self) -> PlannedRun | None:
        """Return the plan with the gradings, of gold answers in the place of what will be said."""
        if not self.config.transfer:
            return None
        begun, planner = Answered.foreseen(self.plan()), self.planner()
        for number, model in enumerate(self.config.subjects):
            if number:
                planner.use(model)
            self.declare(planner)
            self._grade(planner, begun)
        return planner.finish(self.baseline)

    def grow(self, run: Run) -> PlannedFragment | None:
        """Return the gradings of the answers; None when they are planned, or unwanted."""
        if not self.config.transfer or len(run.plan.fragments) > 1:
            return None
        answered, planner = Answered.in_run(run), self.planner(*self.config.learned)
        for number, model in enumerate(self.config.subjects):
            if number:
                planner.use(model)
            self._grade(planner, answered)
        return planner.fragment(run.plan, "grades of own and of others' answers")

    def _grade(self, planner: Planner, answered: Answered) -> None:
        """Add the gradings of what was answered, of the planner's model."""
        (task,) = self.config.learned
        add_gradings(planner, answered, task, self._rewarded(planner, task))

    def _rewarded(self, planner: Planner, component: Component) -> CohortTraining:
        """Return the training, rewarded by the task's own judge, with answers that end as its do.

        Raises:
            ConfigError: There is no such rule, or ``training.score`` is another.
        """
        training, name = self.config.training, component.name
        task = planner.task(component)
        gold = next(iter(task.judges()), None)
        if gold is None:
            raise ConfigError(
                f"The task {name!r} can't be learned from rewards: it has no judge.",
                hint="A task whose first judge gives a right answer 1 can, such as arithmetic.",
            )
        if "score" in training.model_fields_set and training.score != gold:
            raise ConfigError(
                f"`training.score` is {training.score.name!r}, and answers of the task {name!r} "
                f"are judged by {gold.name!r}.",
                hint="Leave out `training.score`.",
            )
        require_reward(gold, task.samples("fit"))
        common, protocol = training.common, task.sampling()
        if "stop" not in common.model_fields_set and protocol is not None and protocol.stop:
            common = common.model_copy(update={"stop": protocol.stop})
        scale = self.config.grade_scales.get(name)
        if scale is not None:
            common = common.model_copy(update={"grade_scale": scale})
        direction = training.direction
        if direction is not None and direction.layer is None:
            direction = direction.model_copy(update={"layer": preset_layer(planner.resolved)})
        changed = {"score": gold, "common": common, "direction": direction}
        return training.model_copy(update=changed)

    def _add(
        self,
        planner: Planner,
        task: Component,
        adapter: Component | None = None,
        run: str = "baseline",
        learned: Component | None = None,
    ) -> None:
        """Add what the base, or a run that learned ``learned``, does of a task.

        Where several tasks are learned a run's name holds its own.
        """
        config, place = self.config, dict[str, float | str]()
        if adapter is not None:
            name, _, number = run.rpartition("-")
            place = {"run": name, "replica": float(number)}
        if learned is not None and len(config.tasks) > 1:
            place["learned"] = learned.name
            run = f"{run} ({learned.name})"
        is_learned = task in config.learned
        planner.add_cell(
            condition=run,
            role="baseline" if adapter is None else "treatment",
            task=task,
            measure=task.name if config.tasks or not is_learned else None,
            split="test",
            intervention=adapter or Component(name="none"),
            sampling=config.sampling if is_learned else None,
            num_samples=config.num_samples if is_learned else 1,
            coordinates=place,
        )


_KEPT_TEXT = (Component(name="perplexity"), Component(name="divergence"))
"""What is measured of a text that stands as the one reference choice: held-out text."""
