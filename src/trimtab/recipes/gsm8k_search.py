"""Find a steering configuration for problems with a checked answer, and find out if it is one.

Trials are asked for in batches and answer the same problems of the select split, rung by rung;
what is worse ends early. The best few are compared again on problems that no trial saw, and the
winner of that alone opens the test split, beside baseline, strength 0, prompt, random directions of
its length and the best of every other method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from trimtab.core.errors import ConfigError
from trimtab.core.lazy import lazy
from trimtab.core.spec import Component
from trimtab.recipes._conditions import add_conditions, baseline
from trimtab.recipes._controls import prompted
from trimtab.recipes._fit_pairs import FitPairs, OwnSolutions
from trimtab.recipes._problems import cut
from trimtab.recipes._space import check_space, read_space
from trimtab.recipes._splits import Limits
from trimtab.recipes._trials import Searching
from trimtab.recipes._winner import Sensitivity, around, beside
from trimtab.recipes.base import Recipe, RecipeConfig
from trimtab.runs.plan.planner import PlannedFragment, PlannedRun, Planner
from trimtab.runs.store.run import Run
from trimtab.search.outcome import ranked
from trimtab.search.sampling import grid, require_optuna
from trimtab.search.settings import SearchSettings
from trimtab.search.trials import PROMPT, Trial, read_trials

if TYPE_CHECKING:
    from trimtab.search import mirror as mirrored
else:
    mirrored = lazy("trimtab.search.mirror")

__all__ = ["Gsm8kSearch"]


class _Config(RecipeConfig):
    """The experiment file.

    Attributes:
        task: Problems whose answer is checked: ``arithmetic``, ``gsm8k``, one of your own.
        limits: Most problems of each split.
        fit_on: Task whose contrast pairs are fitted on; null is the task itself.
        own_solutions: Fit on right against wrong solutions that the model writes to its problems.
        space: Methods and what of each may vary, see ``search.space``.
        search: Who asks, what is pruned, and for what a configuration is valued.
        confirm: Share of the select split, by hash, that no trial sees.
        prompt: System prompt of trial 1, the control that a configuration must beat.
        heldout: Held-out passages on which every trial's perplexity is measured; null is none.
        random_draws: Random directions of the winner's length on the test split.
        sensitivity: Strengths around the winner's; null leaves them out.
        judges: What scores answers, beside the task's own judge.
    """

    task: Component = Component(name="arithmetic")
    limits: Limits = Limits()
    fit_on: Component | None = None
    own_solutions: OwnSolutions | None = None
    space: dict[str, dict[str, Any]] = Field(min_length=1)
    search: SearchSettings = SearchSettings()
    confirm: float = Field(default=0.4, gt=0, lt=1)
    prompt: str | None = "Work step by step, check every step, and give the right number."
    heldout: dict[str, Any] | None = Field(default_factory=lambda: {"limit": 6})
    random_draws: int = Field(default=4, ge=0)
    sensitivity: Sensitivity | None = Sensitivity()
    judges: tuple[Component, ...] = (Component(name="text_health"),)


class Gsm8kSearch(Recipe[_Config]):
    """Trials on select, the best on confirm, the winner on test."""

    Config = _Config
    title = "Search for a steering configuration (Optuna), and prove that the winner is one"
    starter: ClassVar = {
        "headline": "correct",
        "task": {"name": "arithmetic", "steps": 1, "forms": ["sum"]},
        "space": {
            "caa": {
                "layer": {"low": 8, "high": 20},
                "strength": {"low": 0.05, "high": 0.6, "log": True, "signed": True},
            }
        },
    }

    def declare(self, planner: Planner) -> None:
        """Add the baseline and the prompt on every rung; trials follow as the plan grows."""
        if len(self.config.subjects) > 1:
            raise ConfigError("A search has one model.", hint="Make a run for each model.")
        require_optuna(self.config.search.sampler)
        searching = self._searching(planner)
        planner.fit_on = self._fit_on
        pairs = self._pairs(searching)
        pairs.give(planner)
        check_space(searching.space, planner, searching.task)
        if self.config.search.sampler == "grid":
            grid(searching.space)
        searching.begin(planner, self.config.judges)
        pairs.begin(planner)

    def foreseen(self) -> PlannedRun:
        """Return the plan with the test of a winner: the first configuration stands in for it."""
        planner = self.planner()
        self.declare(planner)
        searching = self._searching(planner)
        component = next(iter(searching.space.methods.values())).first()
        if self.config.own_solutions is not None:
            # what a method would be fitted on is not written yet
            component = Component(name="prompt", config={"system": "stand-in"})
        winner = Trial(PROMPT + 1, 1, component, {}, (), 0, "complete")
        self._add_test(planner, searching, winner, [winner])
        return planner.finish(self.baseline)

    def outlook(self) -> str:
        """Return the trials and answers that a search takes at most, and what follows."""
        return self.config.search.outlook

    def later_tokens(self, planned: PlannedRun) -> int:
        """Return the most tokens of all trials' answers, as if no trial were given up."""
        answers = self.config.search.trials * sum(self.config.search.rungs)
        longest = max(c.sampling.max_tokens for c in planned.plan.cells if c.sampling is not None)
        return answers * longest

    def grow(self, run: Run) -> PlannedFragment | None:
        """Return the next rung, batch, confirm step or test; None when the test is there."""
        if any(cell.purpose == "result" for cell in run.plan.cells):
            return None
        planner = self.planner(self._fit_on)
        searching = self._searching(planner)
        self._pairs(searching).give(planner, run)
        planned = searching.next(run, planner)
        return self._test(run, searching, planner) if planned is None else planned

    def mirror(self, run: Run) -> Sequence[str]:
        """Show the search in the database that the file names, if it names one."""
        storage = self.config.search.storage
        return () if storage is None else mirrored.mirror(run, storage)

    @property
    def _fit_on(self) -> Component:
        return self.config.fit_on or self.config.limits.of(self.config.task, "fit")

    def _pairs(self, searching: Searching) -> FitPairs:
        answered, leak = searching.problems.answered, searching.settings.leak
        return FitPairs(self._fit_on, searching.task, answered, self.config.own_solutions, leak)

    def _searching(self, planner: Planner) -> Searching:
        config = self.config
        task = config.limits.of(config.task, "select")
        heldout = config.heldout
        return Searching(
            task=task,
            space=read_space(config.space),
            settings=config.search,
            problems=cut(planner.task(task).samples("select"), config.search.rungs, config.confirm),
            prompt=config.prompt,
            heldout=None if heldout is None else Component(name="heldout", config=heldout),
            seed=config.seed,
        )

    def _test(self, run: Run, searching: Searching, planner: Planner) -> PlannedFragment:
        """Return the winner on the test split with its controls, and its strengths on confirm."""
        config = self.config
        winner, order = searching.winner(run), read_trials(run, config.search)
        if winner is not None:
            order = ranked(order, config.search, searching.is_high(run))
            for condition in around(winner, searching.space, config.sensitivity):
                searching.measure_again(planner, condition, condition.place)
        self._add_test(planner, searching, winner, order)
        opened = "no configuration" if winner is None else f"trial {winner.number}"
        return planner.fragment(run.plan, f"{opened} opens the test split")

    def _add_test(
        self,
        planner: Planner,
        searching: Searching,
        winner: Trial | None,
        order: Sequence[Trial],
    ) -> None:
        """Add the test split for the winner, if there is one, and for what stands beside it."""
        config = self.config
        conditions = [baseline(), *prompted(config.prompt)]
        if winner is not None:
            conditions += beside(winner, order, searching.space, config.random_draws)
        add_conditions(planner, config.limits.of(config.task, "test"), conditions)
        if searching.heldout is not None:
            add_conditions(planner, searching.heldout, conditions)
