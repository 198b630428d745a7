"""What choosing among N candidates gains: every selector against random and against majority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trimtab.core.plan import Plan
from trimtab.reports.data.metrics import metrics_of
from trimtab.reports.data.run import RunData
from trimtab.reports.data.statistics import seed_for
from trimtab.reports.draw.figures import Figure
from trimtab.reports.draw.tables import Table
from trimtab.reports.sections.base import Card, Finding, NoConfig, Section, View
from trimtab.reports.sections.selection.accuracy import curves, difficulty, selector_rows
from trimtab.reports.sections.selection.candidates import CandidateSet
from trimtab.reports.sections.selection.content import SelectionContent, SetNumbers
from trimtab.reports.sections.selection.figures import accuracy_figures
from trimtab.reports.sections.selection.finding import selection_cards, selection_finding
from trimtab.reports.sections.selection.ranking_tables import (
    ablation_table,
    health_table,
    ranking_table,
)
from trimtab.reports.sections.selection.rankings import ablations, rankings
from trimtab.reports.sections.selection.reading import read_candidates
from trimtab.reports.sections.selection.score_figures import score_figures
from trimtab.reports.sections.selection.selectors import (
    best_by,
    selector_values,
    temperature,
    tests_among,
)
from trimtab.reports.sections.selection.tables import selector_table
from trimtab.text.answers import AMBIGUOUS, NO_ANSWER

__all__ = ["Selection"]


class Selection(Section[NoConfig, SelectionContent]):
    """Selectors, rankings, ablations and the health of each set of candidates."""

    Config = NoConfig
    order = 20

    def read(self, run: RunData) -> SelectionContent | None:
        """Return the numbers of each set; None for a run without several candidates."""
        sets = summarise_sets(read_candidates(run.source, run.blocks), run.plan.seed)
        return SelectionContent(sets=sets) if sets else None

    def families(self, plan: Plan) -> Mapping[str, int]:
        """Return how many selectors are compared with majority, by measure of candidates."""
        greedy = {cell.measure for cell in plan.cells if cell.condition == "greedy"}
        tests = {}
        for cell in plan.cells:
            metrics = [ref.metric for ref in metrics_of(cell, plan.judges)]
            labelled = any(metric.name == "correct" for metric in metrics)
            if cell.num_samples > 1 and cell.split == "test" and labelled:
                rankings = sum(metric.role == "ranking" for metric in metrics)
                tests[cell.measure] = tests_among(rankings, greedy=cell.measure in greedy)
        return tests

    def tables(self, view: View[SelectionContent]) -> Sequence[Table]:
        """Return the tables of each set, test first."""
        return [
            table
            for candidates in sorted(view.content.sets, key=lambda s: s.split != "test")
            if candidates.problems
            for table in (
                selector_table(candidates),
                ranking_table(candidates),
                *([ablation_table(candidates)] if candidates.ablations else []),
                health_table(candidates),
            )
        ]

    def figures(self, view: View[SelectionContent]) -> Sequence[Figure]:
        """Return the figures of the first test set."""
        if view.content.leading is None:
            return []
        return [*accuracy_figures(view.content.leading), *score_figures(view.content.leading)]

    def cards(self, view: View[SelectionContent]) -> Sequence[Card]:
        """Return what bounds rankings, and each ranking."""
        return [] if view.content.leading is None else selection_cards(view.content.leading)

    def finding(self, view: View[SelectionContent]) -> Finding | None:
        """Return how each ranking does against majority."""
        text = selection_finding(view.content)
        return None if text is None else Finding(20, text)

    def headline(self, view: View[SelectionContent]) -> Sequence[Table]:
        """Return selectors and rankings of whole conditions of the shown splits."""
        conditions = view.run.shown.labels()
        return [
            table
            for candidates in view.content.sets
            if candidates.problems and candidates.split in view.run.shown_splits
            if candidates.condition in conditions
            for table in (
                selector_table(candidates, compact=True),
                ranking_table(candidates, compact=True),
            )
        ]


def summarise_sets(sets: Sequence[CandidateSet], seed: int) -> tuple[SetNumbers, ...]:
    """Return the numbers of each set; the weighted votes of a test set are tuned on its select set.

    Args:
        sets: The candidates.
        seed: Seed of the statistics.
    """
    tuning = next((s for s in sets if s.split == "select" and s.problems), None)
    return tuple(_summarise(s, tuning if s.split == "test" else None, seed) for s in sets)


def _summarise(candidates: CandidateSet, tuning: CandidateSet | None, seed: int) -> SetNumbers:
    heats = {ranking.name: temperature(ranking, tuning) for ranking in candidates.rankings}
    values = selector_values(candidates, heats)
    drawn = seed_for(seed, "selection", candidates.measure, candidates.condition)
    problems = candidates.problems.values()
    return SetNumbers(
        measure=candidates.measure,
        condition=candidates.condition,
        split=candidates.split,
        candidates=candidates.num_candidates,
        problems=len(candidates.problems),
        incomplete=candidates.num_planned - len(candidates.problems),
        completions=candidates.num_completions,
        truncated=candidates.truncated,
        no_answer=candidates.rules.get(NO_ANSWER, 0) + candidates.rules.get(AMBIGUOUS, 0),
        rules=dict(sorted(candidates.rules.items())),
        labeller=candidates.labeller,
        disagreeing=candidates.disagreeing,
        mixed=sum(0 < sum(p.correct) < len(p.correct) for p in problems),
        contradictory=sum(problem.is_contradictory for problem in problems),
        temperatures=heats,
        selectors=selector_rows(candidates, values, drawn),
        curves=curves(candidates, heats, drawn),
        rankings=rankings(candidates, drawn),
        ablations=ablations(candidates, drawn),
        selectors_by_ranking=tuple(best_by(ranking) for ranking in candidates.rankings),
        difficulty=difficulty(values),
    )
