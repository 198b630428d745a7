"""What a search found, typed."""

from __future__ import annotations

from typing import Any

from trimtab.reports.data.content import Content
from trimtab.reports.data.numbers import Comparison, Estimate


class TrialNumbers(Content):
    """One trial.

    Attributes:
        number: From 0; 0 is the baseline, 1 the prompt.
        batch: Trials of one batch were asked for and evaluated together.
        method: Its method's label; the baseline's and the prompt's are their own names.
        state: complete, pruned, failed or running.
        why: Why it was pruned, failed, or could not win.
        rungs: Rungs it passed.
        select: Mean objective on the select problems it answered.
        change: Its difference to the baseline on these, uncorrected; None of the baseline.
        params: What was chosen of its settings.
        means: Means of the metrics that constraints and the second objective name.
        unchanged: Whether every answer is the baseline's, word for word.
        feasible: Whether it is known to keep to every constraint.
    """

    number: int
    batch: int
    method: str
    state: str
    why: str | None
    rungs: int
    select: Estimate
    change: Comparison | None
    params: dict[str, float | int | str]
    means: dict[str, float]
    unchanged: bool
    feasible: bool


class Confirmed(Content):
    """One configuration that was compared again.

    Attributes:
        number: Its trial.
        condition: Its label.
        select: Mean on the select problems, by which it was chosen.
        confirm: Mean on problems that no trial saw.
        change: Its difference to the baseline there, after Holm's correction over the confirmed.
        test: Mean on the test split; None of all but the winner, the baseline and the prompt.
        test_change: Its difference to the baseline there.
    """

    number: int
    condition: str
    select: Estimate
    confirm: Estimate
    change: Comparison | None
    test: Estimate | None
    test_change: Comparison | None


class SearchContent(Content):
    """The search.

    Attributes:
        objective: Metric that configurations were valued by.
        kind: Its kind.
        high: Whether it is to be high.
        second: The second objective, if there is one.
        second_high: Whether that is to be high.
        front: Trials on the Pareto front of both, the best by the first objective first.
        sampler: Who asked.
        pruner: What ended trials early.
        trials: All trials, in order.
        confirmed: Those that were compared again, best on select first.
        winner: Number of the winner's trial; None if there is none (yet).
        configuration: The winner's intervention.
        tests: Comparisons on the confirm problems, which Holm's correction counts.
        test_tests: Comparisons on the test problems, which it counts there.
        leak: Whether vectors were fitted on the problems that trials were valued by.
        own_solutions: How many problems gave a pair of the model's own solutions; None where pairs
            were the task's.
        optimism: How much better than it is the best on select looks, by bootstrap of the choice.
        importance: Share of the objective's variance that each setting is behind, by PED-ANOVA.
        rows: Answers that trials took on select.
        rows_unpruned: Those that they would have taken without pruning.
    """

    objective: str
    kind: str
    high: bool
    second: str | None
    second_high: bool
    front: tuple[int, ...]
    sampler: str
    pruner: str
    trials: tuple[TrialNumbers, ...]
    confirmed: tuple[Confirmed, ...]
    winner: int | None
    configuration: dict[str, Any] | None
    tests: int
    test_tests: int
    leak: bool
    own_solutions: str | None
    optimism: float | None
    importance: dict[str, float]
    rows: int
    rows_unpruned: int
