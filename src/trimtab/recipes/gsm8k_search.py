"""Find a steering configuration for problems with a checked answer, and find out if it is one.

Trials are asked for in batches and answer the same problems of the select split, rung by rung;
what is worse ends early. The best few are compared again on problems that no trial saw, and the
winner of that alone opens the test split, beside baseline, strength 0, prompt, random directions of
its length and the best of every other method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from trimtab.core.errors import ConfigError
from trimtab.core.spec import Component, Spec
from trimtab.interventions.base import INTERVENTIONS
from trimtab.recipes._conditions import Condition, add_conditions, baseline, named, sweep
from trimtab.recipes._controls import prompted, with_controls
from trimtab.recipes._problems import cut
from trimtab.recipes._space import check_space, read_space
from trimtab.recipes._splits import Limits
from trimtab.recipes._steering import Controls
from trimtab.recipes._sweeps import at_strength, random_directions
from trimtab.recipes._trials import Searching
from trimtab.recipes.base import Recipe, RecipeConfig
from trimtab.runs.plan.planner import PlannedFragment, Planner
from trimtab.runs.store.run import Run
from trimtab.search.outcome import best_of_method, ranked
from trimtab.search.sampling import grid, require_optuna
from trimtab.search.settings import SearchSettings
from trimtab.search.trials import CONFIRM, HELDOUT, Trial, read_trials

__all__ = ["Gsm8kSearch"]


class _Sensitivity(Spec):
    """The winner's method and layer at other strengths, on the confirm problems.

    Attributes:
        multiples: Strengths, as multiples of the size of the winner's; both signs are measured.
        random_draws: Random directions at each size.
    """

    multiples: tuple[float, ...] = (0.25, 0.5, 0.75, 1, 1.5, 2)
    random_draws: int = Field(default=2, ge=0)


class _Config(RecipeConfig):
    """The experiment file.

    Attributes:
        task: Problems whose answer is checked: ``arithmetic``, ``gsm8k``, one of your own.
        limits: Most problems of each split.
        fit_on: Task whose contrast pairs are fitted on; null is the task itself.
        space: Methods and what of each may vary, see ``search.space``.
        search: Who asks, what is pruned, and for what a configuration is valued.
        confirm: Share of the select split, by hash, that no trial sees.
        prompt: System prompt of trial 1, the control that a configuration must beat.
        heldout: Held-out passages on which every trial's perplexity is measured; null is none.
        controls_random: Random directions of the winner's length on the test split.
        sensitivity: Strengths around the winner's; null leaves them out.
        judges: What scores answers, beside the task's own judge.
    """

    task: Component = Component(name="arithmetic")
    limits: Limits = Limits()
    fit_on: Component | None = None
    space: dict[str, dict[str, Any]] = Field(min_length=1)
    search: SearchSettings = SearchSettings()
    confirm: float = Field(default=0.4, gt=0, lt=1)
    prompt: str | None = "Work step by step, check every step, and give the right number."
    heldout: dict[str, Any] | None = Field(default_factory=lambda: {"limit": 6})
    controls_random: int = Field(default=4, ge=0)
    sensitivity: _Sensitivity | None = _Sensitivity()
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
        require_optuna()
        searching = self._searching(planner)
        check_space(searching.space, planner)
        if self.config.search.sampler == "grid":
            grid(searching.space)
        planner.fit_on = self.config.fit_on or self.config.task
        searching.begin(planner)
        for judge in (*planner.task(self.config.task).judges(), *self.config.judges):
            planner.add_judge(judge)
        if searching.heldout is not None:
            measures = (HELDOUT, planner.task(searching.heldout).measure)
            planner.add_judge(Component(name="perplexity"), measures)

    def grow(self, run: Run) -> PlannedFragment | None:
        """Return the next rung, batch, confirm step or test; None when the test is there."""
        if any(cell.purpose == "result" for cell in run.plan.cells):
            return None
        searching = self._searching(self._planner())
        planned = searching.next(run, self._planner)
        return self._test(run, searching) if planned is None else planned

    def _planner(self) -> Planner:
        return self.planner(self.config.fit_on or self.config.task)

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

    def _test(self, run: Run, searching: Searching) -> PlannedFragment:
        """Return the winner on the test split with its controls, and its strengths on confirm."""
        planner = self._planner()
        winner = searching.winner(run)
        conditions = [baseline(), *prompted(self.config.prompt)]
        if winner is not None:
            conditions += self._beside(run, searching, winner)
            for condition in self._strengths(winner.component):
                confirm = searching.problems.confirm
                searching.measure(planner, condition, CONFIRM, confirm, condition.place)
                searching.measure_heldout(planner, condition, condition.place)
        test = self.config.limits.of(self.config.task, "test")
        add_conditions(planner, test, conditions)
        if searching.heldout is not None:
            add_conditions(planner, searching.heldout, conditions)
        opened = "no configuration" if winner is None else f"trial {winner.number}"
        return planner.fragment(run.plan, f"{opened} opens the test split")

    def _beside(self, run: Run, searching: Searching, winner: Trial) -> list[Condition]:
        """Return the winner with strength 0, random directions, and the best of other methods."""
        component = winner.component
        chosen = named("winner", component, _unit(component))
        controls = [chosen, *self._zero(component), *self._randoms(component, "random")]
        controls += with_controls([], [chosen], self.config.controls_random)[1:]
        space, settings = searching.space, self.config.search
        order = ranked(read_trials(run, settings), settings, searching.is_high(run))
        label = {trial.number: space.method(trial.params).label for trial in order}
        for method, trial in best_of_method(order, label, label[winner.number]).items():
            name = f"best {method}"
            controls.append(Condition(name, "control", trial.component, "method", {"series": name}))
        return list({condition.label: condition for condition in controls}.values())

    def _zero(self, component: Component) -> list[Condition]:
        if not _has_strength(component):
            return []
        return sweep("winner", lambda s: at_strength(component, s), [], _place(component))

    def _randoms(self, component: Component, label: str) -> list[Condition]:
        size = component.config.get("strength")
        if not isinstance(size, int | float) or not self.config.controls_random:
            return []
        controls = Controls(random_draws=self.config.controls_random, prompt=None)
        return random_directions(label, component, [float(size)], controls)

    def _strengths(self, component: Component) -> list[Condition]:
        """Return the winner's method at other strengths of both signs, with random directions."""
        around = self.config.sensitivity
        if around is None or not _has_strength(component):
            return []
        size = abs(float(component.config["strength"]))
        sizes = [size if m == 1 else float(f"{m * size:.3g}") for m in around.multiples]
        strengths = [sign * size for size in sizes for sign in (1, -1)]
        others = [s for s in strengths if s != component.config["strength"]]
        series = component.name
        drawn = Controls(random_draws=around.random_draws, prompt=None)
        return [
            *sweep(series, lambda s: at_strength(component, s), others, _place(component)),
            *random_directions("random", component, strengths, drawn),
        ]


def _has_strength(component: Component) -> bool:
    return isinstance(component.config.get("strength"), int | float)


def _unit(component: Component) -> str | None:
    built = INTERVENTIONS.build(component.name, component.config).config
    return getattr(built, "unit", None)


def _place(component: Component) -> Mapping[str, float | str]:
    built = INTERVENTIONS.build(component.name, component.config).config
    place = {name: getattr(built, name, None) for name in ("unit", "layer")}
    return {name: value for name, value in place.items() if value is not None}
