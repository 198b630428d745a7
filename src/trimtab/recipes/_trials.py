"""The cells of a search's trials, and which fragment of the plan comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key, derive_seed
from trimtab.core.plan import JudgePlan, Plan
from trimtab.core.spec import Component, Role, Split
from trimtab.core.types import Sample
from trimtab.interventions.base import INTERVENTIONS
from trimtab.recipes._conditions import Condition, baseline
from trimtab.recipes._controls import prompted
from trimtab.recipes._problems import Problems
from trimtab.runs.plan.planner import PlannedFragment, Planner
from trimtab.search.outcome import best_confirmed, failures_in_a_row, ranked, to_confirm
from trimtab.search.pruning import pruned
from trimtab.search.sampling import ask
from trimtab.search.settings import PERPLEXITY_RATIO, SearchSettings
from trimtab.search.space import Params, Space
from trimtab.search.trials import (
    BASELINE,
    CONFIRM,
    HELDOUT,
    PROMPT,
    Records,
    Trial,
    are_high,
    find_metric,
    read_confirmed,
    read_trials,
    rung_measure,
)

_MOST_REDRAWS = 50


@dataclass(frozen=True)
class Searching:
    """What a search is made of.

    Attributes:
        task: The problems' task.
        space: What may be chosen.
        settings: How it is searched.
        problems: The select split, cut.
        prompt: System prompt of trial 1; None leaves it out.
        heldout: The task of held-out text that every trial is measured on; None is none.
        seed: The experiment's seed.
    """

    task: Component
    space: Space
    settings: SearchSettings
    problems: Problems
    prompt: str | None
    heldout: Component | None
    seed: int

    def begin(self, planner: Planner, judges: Sequence[Component]) -> None:
        """Add the trials that nobody asks for, on every rung, and what scores all trials.

        Args:
            planner: Takes the cells of the baseline and the prompt.
            judges: Judges beside the task's own.

        Raises:
            ConfigError: A metric that the search looks at is measured by nothing.
        """
        for number, condition in enumerate([baseline(), *prompted(self.prompt)]):
            for rung in range(len(self.problems.rungs)):
                self._add(planner, condition, rung, {"trial": number, "batch": 0})
        for judge in (*planner.task(self.task).judges(), *judges):
            planner.add_judge(judge)
        if self.heldout is not None:
            measures = (HELDOUT, planner.task(self.heldout).measure)
            planner.add_judge(Component(name="perplexity"), measures)
        self._check_metrics(planner.judges)

    def _check_metrics(self, judges: Sequence[JudgePlan]) -> None:
        """Raise ConfigError for a metric that nothing measures."""
        find_metric(judges, self.settings.objective)
        for name in self.settings.metrics:
            if name != PERPLEXITY_RATIO:
                find_metric(judges, name)
            elif self.heldout is None:
                raise ConfigError(
                    f"search: {name} is measured on held-out text, and `heldout` is null.",
                    hint="Give `heldout: {limit: 6}`, or leave the metric out.",
                )
            else:
                self._check_heldout(name)

    def _check_heldout(self, metric: str) -> None:
        """Raise ConfigError for a method that can't act on held-out text: it could never win."""
        for label, method in self.space.methods.items():
            acting = INTERVENTIONS.build(method.name, method.first().config)
            if "options" not in acting.OUTPUTS:
                raise ConfigError(
                    f"search: {metric} is measured on held-out text, where {label!r} can't act.",
                    hint="Take another constraint, such as `repetition: 0.2`, or leave it out.",
                )

    def next(self, run: Records, filled: Planner) -> PlannedFragment | None:
        """Return the next rung, batch or confirm step; None when all of them are there.

        Args:
            run: What is there so far.
            filled: Takes the cells; nothing is added where the result is None.

        Raises:
            ConfigError: Too many trials failed one after the other.
        """
        trials = read_trials(run, self.settings)
        high = self._high(run)
        trials, ended = self._prune(trials, high)
        running = [trial for trial in trials if trial.state == "running"]
        if running:
            rung = running[0].planned
            for trial in running:
                self._add(filled, _condition(trial), rung, _place(trial))
            numbers = _numbers([trial.number for trial in running])
            return filled.fragment(run.plan, f"rung {rung + 1} of {numbers}", ended)
        if not any(cell.measure == CONFIRM for cell in run.plan.cells):
            if batch := self._batch(trials, high):
                for trial in batch:
                    self._add(filled, _condition(trial), 0, _place(trial))
                numbers = _numbers([trial.number for trial in batch])
                reason = f"{numbers} asked of {self.settings.sampler}"
                return filled.fragment(run.plan, reason, ended)
            return self._confirm(run.plan, trials, high, filled, ended)
        return None

    def winner(self, run: Records) -> Trial | None:
        """Return the best configuration on the confirm problems; None if none was confirmed."""
        high = self.is_high(run)
        order = ranked(read_trials(run, self.settings), self.settings, high)
        confirmed = read_confirmed(run, self.settings)
        return best_confirmed(confirmed, order, high, self.settings.leak)

    def is_high(self, run: Records) -> bool:
        """Return whether the objective is to be high."""
        return self._high(run)[0]

    def _high(self, run: Records) -> tuple[bool, ...]:
        return are_high(run.judges(), self.settings)

    def _prune(
        self, trials: list[Trial], high: tuple[bool, ...]
    ) -> tuple[list[Trial], Mapping[str, str]]:
        """Return the trials with those marked that end at their rung, and why, by number."""
        batch = [trial for trial in trials if trial.state == "running"]
        if not batch:
            return trials, {}
        ended = pruned(self.settings, high[0], trials, batch, batch[0].planned - 1)
        marked = [replace(t, state="pruned") if t.number in ended else t for t in trials]
        return marked, {f"{number}": why for number, why in ended.items()}

    def _batch(self, trials: Sequence[Trial], high: tuple[bool, ...]) -> list[Trial]:
        """Return the trials that are asked for next; none if all are there."""
        settings = self.settings
        failed = failures_in_a_row(trials)
        if failed > settings.max_failures:
            last = trials[-1]
            raise ConfigError(
                f"The search ends: {failed} trials failed one after the other, the last one, trial "
                f"{last.number} ({last.component.name}), with: {last.error}",
                hint="Nothing is lost; narrow the space, and start a new run with `--reuse`.",
            )
        first = max(PROMPT, *(trial.number for trial in trials)) + 1
        count = min(settings.parallel, settings.trials - first)
        if count <= 0:
            return []
        asked = ask(self.space, settings, self.seed, high, trials, count)
        batch = max(trial.batch for trial in trials) + 1
        known = {content_key(trial.component) for trial in trials}
        found: list[Trial] = []
        for number, params in enumerate(asked, start=first):
            fresh = self._unlike(known, params, number)
            if fresh is None:
                break  # the space holds nothing that was not tried
            component = self.space.method(fresh).component(fresh)
            known.add(content_key(component))
            found.append(Trial(number, batch, component, fresh, (), 0, "running"))
        return found

    def _unlike(self, known: set[str], params: Params, number: int) -> Params | None:
        """Return parameters of a configuration that was not tried, drawn at random if need be."""
        random = self.settings.model_copy(update={"sampler": "random"})
        for redraw in range(_MOST_REDRAWS):
            if content_key(self.space.method(params).component(params)) not in known:
                return params
            if self.settings.sampler == "grid":
                return None
            seed = derive_seed(self.seed, "redraw", number, redraw)
            (params,) = ask(self.space, random, seed, (True,), [], 1)
        return None

    def _confirm(
        self,
        plan: Plan,
        trials: Sequence[Trial],
        high: tuple[bool, ...],
        planner: Planner,
        ended: Mapping[str, str],
    ) -> PlannedFragment:
        """Return the best configurations on problems that no trial saw, beside the baseline."""
        best = to_confirm(trials, self.settings, high)
        own = [trial for trial in trials if trial.number <= PROMPT]
        for trial in (*own, *best):
            self.measure(planner, _condition(trial), CONFIRM, self.problems.confirm, _place(trial))
        numbers = _numbers([trial.number for trial in best]) if best else "no trial"
        return planner.fragment(plan, f"confirm {numbers} on unseen problems", ended)

    def _add(
        self, planner: Planner, condition: Condition, rung: int, place: Mapping[str, float | str]
    ) -> None:
        samples = self.problems.rungs[rung]
        self.measure(planner, condition, rung_measure(rung), samples, {**place, "rung": rung})
        if rung == 0:
            self.measure_heldout(planner, condition, place)

    def measure_again(
        self, planner: Planner, condition: Condition, place: Mapping[str, float | str]
    ) -> None:
        """Add a condition's cells on the confirm problems and on held-out text."""
        self.measure(planner, condition, CONFIRM, self.problems.confirm, place)
        self.measure_heldout(planner, condition, place)

    def measure_heldout(
        self,
        planner: Planner,
        condition: Condition,
        place: Mapping[str, float | str],
        split: Split = "select",
    ) -> None:
        """Add a condition's cell on held-out text, if it can act there."""
        if self.heldout is not None and condition.acts_on("options"):
            planner.add_cell(
                **_named(condition),
                task=self.heldout,
                split=split,
                coordinates=dict(place),
                measure=HELDOUT if split == "select" else None,
                purpose="tuning" if split == "select" else "result",
            )

    def measure(
        self,
        planner: Planner,
        condition: Condition,
        measure: str,
        samples: Sequence[Sample],
        place: Mapping[str, float | str],
    ) -> None:
        """Add a condition's cell on some problems of the select split."""
        planner.add_cell(
            **_named(condition),
            task=self.task,
            split="select",
            coordinates=dict(place),
            measure=measure,
            samples=samples,
            purpose="tuning",
        )


def _named(condition: Condition) -> dict[str, Any]:
    return {
        "condition": condition.label,
        "role": condition.role,
        "control": condition.control,
        "intervention": condition.intervention,
    }


def _condition(trial: Trial) -> Condition:
    """Return a trial as a condition; the first two are what all others are compared with."""
    if trial.number == BASELINE:
        return baseline()
    prompt = trial.number == PROMPT
    role: Role = "control" if prompt else "treatment"
    label = "prompt" if prompt else f"trial {trial.number}"
    return Condition(label, role, trial.component, "prompt" if prompt else None)


def _place(trial: Trial) -> dict[str, float | str]:
    return {"trial": trial.number, "batch": trial.batch, **trial.params}


def _numbers(numbers: Sequence[int]) -> str:
    named = ", ".join(map(str, numbers))
    return f"trial{'s' * (len(numbers) > 1)} {named}"
