"""What choosing among N candidates gains: every selector against random and against majority."""

from __future__ import annotations

from collections.abc import Sequence

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
from trimtab.reports.sections.selection.selectors import best_by, selector_values, temperature
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
