"""Whose contrast pairs a search fits on: the task's, the model's own solutions, or (leaky) select.

The task's own pairs of the fit split are what is usual. A model's own solutions, right against
wrong, say what differs where *this* model goes wrong. The third way is the mistake that published
searches made: vectors fitted on the very problems that trials are then valued by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, Spec, Split
from trimtab.core.types import ContrastPair, Sample
from trimtab.recipes._conditions import baseline
from trimtab.runs.plan.planner import Planner
from trimtab.runs.solutions import own_pairs
from trimtab.search.trials import CORRECT, OWN, Records, find_metric

_FEWEST = 2


class OwnSolutions(Spec):
    """Contrast pairs of solutions that the model wrote itself.

    Attributes:
        samples: Solutions of each problem of the fit split; one pair is made of each problem with
            a right and a wrong one.
        temperature: They are drawn at.
    """

    samples: int = Field(default=4, ge=2)
    temperature: float = Field(default=0.8, gt=0, allow_inf_nan=False)


@dataclass(frozen=True)
class FitPairs:
    """What a search fits on.

    Attributes:
        task: The task whose fit split's pairs fits ask for.
        select: The task of the trials.
        problems: What trials answer.
        own: Solutions of the model's own; None is the task's pairs.
        leak: Whether fits see the problems of the trials.
    """

    task: Component
    select: Component
    problems: Sequence[Sample]
    own: OwnSolutions | None
    leak: bool

    def begin(self, planner: Planner) -> None:
        """Add the solutions that pairs are made of, and give pairs that need no run.

        Raises:
            ConfigError: The task asks for no text, or no judge says which solution is right.
        """
        if self.own is not None:
            find_metric(planner.judges, CORRECT)
            asked, split, samples = self._asked(planner)
            drawn = planner.task(asked).sampling()
            if drawn is None:
                raise ConfigError(
                    f"own_solutions: {asked.name!r} asks for no text, so there is none to compare.",
                    hint="Take a task whose answers are written, or `own_solutions: null`.",
                )
            unsteered = baseline()
            planner.add_cell(
                condition=unsteered.label,
                role=unsteered.role,
                task=asked,
                split=split,
                intervention=unsteered.intervention,
                measure=OWN,
                samples=samples,
                sampling=drawn.model_copy(update={"temperature": self.own.temperature}),
                num_samples=self.own.samples,
                purpose="tuning",
            )

    def give(self, planner: Planner, run: Records | None = None) -> None:
        """Let fits of ``planner`` read these pairs; before there is a ``run``, the task's own.

        Raises:
            ConfigError: Too few problems gave a pair of own solutions.
        """
        pairs: Sequence[ContrastPair]
        found = None if run is None else own_pairs(run)
        if found is not None:
            pairs, counts = found
            if len(pairs) < _FEWEST:
                raise ConfigError(
                    f"The model's own solutions make no contrast: {counts}.",
                    hint="Take more `own_solutions.samples`, easier problems, or `null`.",
                )
        elif self.leak:
            known = {sample.id for sample in self.problems}
            every = planner.task(self.select).pairs("select")
            pairs = [pair for pair in every if pair.question_id in known]
        else:
            return
        planner.give_pairs(self.task, "fit", pairs)

    def _asked(self, planner: Planner) -> tuple[Component, Split, Sequence[Sample]]:
        """Return whose problems the model solves: of the fit split, or (leaky) of the trials."""
        if self.leak:
            return self.select, "select", self.problems
        return self.task, "fit", planner.task(self.task).samples("fit")
