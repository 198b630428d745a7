"""Draw N answers to each problem, choose one, and find out whether the choice was worth it.

The N candidates of a problem are one cell; what ranks them are judges; every way of choosing is
reported beside random choice, majority vote and the oracle. The greedy answer is a cell of its own.
Candidates of the fit and select splits are drawn where something is fitted or tuned on them.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from trimtab.core.spec import Component, Spec, Split
from trimtab.core.types import SamplingParams
from trimtab.recipes.base import Recipe, RecipeConfig
from trimtab.runs.planning import PlannedRun, Planner
from trimtab.text.answers import ExtractorName

__all__ = ["BestOfN"]


class _Sampling(Spec):
    """How candidates are drawn; length and stop strings are the task's.

    Attributes:
        temperature: Above 0, or all candidates are one.
        top_p: Smallest set of tokens whose probability reaches this; 1 keeps all.
        top_k: This many most probable tokens; 0 keeps all.
    """

    temperature: float = Field(default=0.7, gt=0)
    top_p: float = Field(default=0.9, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)


class _Limits(Spec):
    """Most problems of each split; null leaves it to the task's own limit."""

    fit: int | None = Field(default=None, ge=1)
    select: int | None = Field(default=None, ge=1)
    test: int | None = Field(default=None, ge=1)


class _Config(RecipeConfig):
    """The experiment file.

    Attributes:
        task: The problems: ``arithmetic``, ``gsm8k``, or one of your own with numbers as targets.
        candidates: N; a larger one extends a smaller one, see ``--reuse``.
        sampling: How candidates are drawn.
        greedy: Also take one greedy answer per test problem.
        splits: Splits that candidates are drawn for: ``fit`` for rerankers that are trained on
            them, ``select`` to stop training and to tune the weighted vote, ``test`` always.
        limits: Problems per split.
        extractor: The rule by which an answer is found, for labels and votes alike.
        judges: What candidates are ranked by, or looked at for.
        ablations: Each is a set of keys that is laid over the configuration of every judge
            ``energy`` and makes one more judge of it.
    """

    task: Component = Component(name="arithmetic")
    candidates: int = Field(default=5, ge=2)
    sampling: _Sampling = _Sampling()
    greedy: bool = True
    splits: tuple[Split, ...] = ("test",)
    limits: _Limits = _Limits()
    extractor: ExtractorName = "chat"
    judges: tuple[Component, ...] = (Component(name="likelihood"),)
    ablations: tuple[dict[str, Any], ...] = ()

    @field_validator("splits")
    @classmethod
    def _with_test(cls, value: tuple[Split, ...]) -> tuple[Split, ...]:
        if "test" not in value or len(set(value)) < len(value):
            raise ValueError("must hold 'test', and each split once")
        return value


class BestOfN(Recipe[_Config]):
    """N candidates per problem, every selector, and the greedy answer."""

    Config = _Config
    title = "Choose among N sampled answers: rerankers against majority vote and chance"

    def plan(self) -> PlannedRun:
        """Return the candidates of each split, the greedy answers and the judges."""
        config = self.config
        planner = Planner(
            recipe=config.recipe, name=config.name, model=config.model, seed=config.seed
        )
        for split in config.splits:
            self._candidates(planner, split)
        if config.greedy:
            planner.add_cell(
                condition="greedy",
                role="control",
                task=self._task("test"),
                split="test",
                intervention=Component(name="none"),
            )
        planner.add_judge(Component(name="number", config={"extractor": config.extractor}))
        for judge in (*config.judges, *self._ablated()):
            planner.add_judge(judge)
        return planner.finish(baseline="candidates")

    def _task(self, split: Split) -> Component:
        limit = getattr(self.config.limits, split)
        if limit is None:
            return self.config.task
        given = {**self.config.task.config, "limit": limit}
        return Component(name=self.config.task.name, config=given)

    def _candidates(self, planner: Planner, split: Split) -> None:
        task = self._task(split)
        protocol = planner.task(task).sampling()
        drawn = (protocol or SamplingParams()).model_copy(update=self.config.sampling.model_dump())
        measure = planner.task(task).measure
        planner.add_cell(
            condition="candidates",
            role="baseline",
            task=task,
            split=split,
            intervention=Component(name="none"),
            sampling=drawn,
            num_samples=self.config.candidates,
            # splits are tables of their own
            measure=measure if split == "test" else f"{measure}, {split} split",
        )

    def _ablated(self) -> list[Component]:
        return [
            Component(name=judge.name, config={**judge.config, **changes})
            for changes in self.config.ablations
            for judge in self.config.judges
            if judge.name == "energy"
        ]
