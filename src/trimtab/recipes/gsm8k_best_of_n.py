"""Draw N answers to each problem, choose one, and find out whether the choice was worth it.

The N candidates of a problem are one cell; what ranks them are judges; every way of choosing is
reported beside random choice, majority vote and the oracle. The greedy answer is a cell of its own.
Rerankers are fitted on labelled candidates of the fit split, stopped by those of the select split,
which also tunes the weighted vote, and score the select and test splits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, field_validator

from trimtab.core.errors import ConfigError
from trimtab.core.plan import Cell, JudgePlan
from trimtab.core.spec import Component, Spec, Split
from trimtab.core.types import SamplingParams
from trimtab.judges.base import JUDGES
from trimtab.recipes._ablations import ALL_ABLATIONS, Ablation, ablated
from trimtab.recipes._splits import Limits
from trimtab.recipes.base import Recipe, RecipeConfig
from trimtab.runs.plan.judges import LearnsFrom
from trimtab.runs.plan.planner import Planner
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
        judges: What candidates are ranked by, or looked at for. A judge ``energy`` is fitted on
            the candidates of the fit split, which must be listed in ``splits``.
        ablations: What rerankers are shown less of, where there are any: the question is removed,
            or another one's; the answer's words are permuted; only length or format is fitted.
    """

    task: Component = Component(name="arithmetic")
    candidates: int = Field(default=5, ge=2)
    sampling: _Sampling = _Sampling()
    greedy: bool = True
    splits: tuple[Split, ...] = ("test",)
    limits: Limits = Limits()
    extractor: ExtractorName = "chat"
    judges: tuple[Component, ...] = (Component(name="likelihood"),)
    ablations: tuple[Ablation, ...] = ALL_ABLATIONS

    @field_validator("splits")
    @classmethod
    def _with_test(cls, value: tuple[Split, ...]) -> tuple[Split, ...]:
        if "test" not in value or len(set(value)) < len(value):
            raise ValueError("must hold 'test', and each split once")
        return value


class BestOfN(Recipe[_Config]):
    """N candidates per problem, every selector, and the greedy answer."""

    Config = _Config
    baseline = "candidates"
    title = "Choose among N sampled answers: rerankers against majority vote and chance"
    starter: ClassVar = {"headline": "correct", "task": {"name": "arithmetic", "limit": 40}}

    def declare(self, planner: Planner) -> None:
        """Return the candidates of each split, the greedy answers and the judges."""
        config = self.config
        cells = {split: self._candidates(planner, split) for split in config.splits}
        if config.greedy:
            planner.add_cell(
                condition="greedy",
                role="control",
                task=config.limits.of(config.task, "test"),
                split="test",
                intervention=Component(name="none"),
            )
        number = Component(name="number", config={"extractor": config.extractor})
        labels = planner.add_judge(number)
        less = ablated(config.judges, config.ablations, "fit" in config.splits)
        for judge in (*config.judges, *less):
            self._judge(planner, judge, cells, labels)

    def _judge(
        self, planner: Planner, judge: Component, cells: Mapping[Split, Cell], labels: JudgePlan
    ) -> None:
        """Add a judge; one that is fitted learns from fit and select. None ranks the fit split."""
        built = JUDGES.build(judge.name, judge.config)
        if built.resource != "fitted":
            planner.add_judge(judge)
            return
        measures = tuple(cell.measure for split, cell in cells.items() if split != "fit")
        missing = sorted({"fit", "select"} - cells.keys())
        if not built.needs():
            planner.add_judge(judge, measures)
        elif missing:
            lacks = f"and `splits` lacks {' and '.join(missing)}."
            raise ConfigError(
                f"judge {judge.name!r} is fitted on candidates, {lacks}",
                hint="Give `splits: [fit, select, test]`.",
            )
        else:
            learns = LearnsFrom([cells["fit"]], [cells["select"]], labels)
            planner.add_judge(judge, measures, learns)

    def _candidates(self, planner: Planner, split: Split) -> Cell:
        task = self.config.limits.of(self.config.task, split)
        protocol = planner.task(task).sampling()
        drawn = (protocol or SamplingParams()).model_copy(update=self.config.sampling.model_dump())
        measure = planner.task(task).measure
        return planner.add_cell(
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
