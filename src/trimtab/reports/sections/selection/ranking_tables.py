"""Tables of rankings and ablations, and of what an accuracy must not be read without."""

from __future__ import annotations

from trimtab.reports.draw.format import DASH, RHO, number
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, changed, measured
from trimtab.reports.sections.selection.content import (
    RankingNumbers,
    RankingQuality,
    SetNumbers,
)
from trimtab.reports.sections.selection.tables import percent, stem_of, title_of


def ranking_table(candidates: SetNumbers, *, compact: bool = False) -> Table:
    """Return how well each number ranks candidates: over all of them, and within a problem.

    ``compact`` leaves out the counts of scored candidates where all are, for a terminal.
    """
    counted = not compact or any(row.unscored for row in candidates.rankings)
    rows: list[tuple[Cell, ...]] = []
    for row in candidates.rankings:
        rows.append(
            (
                row.ranking,
                *((row.scored, row.unscored) if counted else ()),
                measured(row.pooled_auc, row.pooled_interval, "number", clusters=row.clusters),
                measured(row.within_auc, row.within_interval, "number", clusters=row.problems),
                f"{row.pairs} in {row.problems}",
                _with_length(row),
                _calibrated(row),
            )
        )
    columns = ("ranking", *(("scored", "unscored") if counted else ()), "pooled AUC")
    more = ("within-problem AUC", "pairs", f"{RHO} with length", "calibration error")
    note = (
        "AUC: the chance that a right candidate is ranked above a wrong one; 0.5 is chance. The "
        "pooled one can be earned by telling easy problems from hard ones, the one within problems "
        f"can't. Pairs: of a right and a wrong candidate, in problems that have both. {RHO}: "
        "Spearman's, of the score (lower is better) with characters. Calibration error: of "
        "sigmoid(-energy) as a probability, ten bins of equal size. Intervals draw whole problems."
    )
    stem, title = stem_of(candidates, "rankings"), title_of(candidates, "Rankings")
    return Table(stem, title, columns + more, tuple(rows), note)


def _with_length(row: RankingQuality) -> Cell:
    return measured(
        row.length_correlation, row.length_interval, "number", signed=True, clusters=row.clusters
    )


def _calibrated(row: RankingNumbers) -> Cell:
    if row.calibration is None:
        return None
    found = row.calibration
    return measured(found.ece, found.interval, "number", clusters=row.clusters)


def ablation_table(candidates: SetNumbers) -> Table:
    """Return what each model is worth when it is shown less than the pair."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            row.ranking,
            row.whole or "",
            measured(row.mean, row.interval, "rate", clusters=candidates.problems),
            changed(row.vs_random, "rate"),
            changed(row.vs_whole, "rate"),
            measured(row.pooled_auc, row.pooled_interval, "number", clusters=row.clusters),
            measured(row.within_auc, row.within_interval, "number", clusters=row.problems),
            _with_length(row),
        )
        for row in candidates.ablations
    )
    columns = ("shown less", "of", "lowest is right %", "Δ random", "Δ shown everything")
    more = ("pooled AUC", "within-problem AUC", f"{RHO} with length")
    note = (
        "The same fitted model, scored on changed pairs: a ranking that stays as good does not "
        "read what was taken away. Length only and format only are fitted on the same candidates. "
        "* p < 0.05 after Holm's correction over this table."
    )
    stem, title = stem_of(candidates, "ablations"), title_of(candidates, "Ablations")
    return Table(stem, title, columns + more, rows, note)


def health_table(candidates: SetNumbers) -> Table:
    """Return what an accuracy must not be read without: no answers, cut texts, rules, labels."""
    total, truncated = candidates.completions, candidates.truncated
    labelled = sum(candidates.rules.values())
    shares = ", ".join(
        f"{rule} {number(100 * count / labelled)} %" for rule, count in candidates.rules.items()
    )
    disagreeing, labeller = candidates.disagreeing, candidates.labeller
    recorded = labeller == "recorded"
    silent = percent(candidates.no_answer, labelled)
    rows: tuple[tuple[Cell, ...], ...] = (
        ("labels and answers", "from the file" if recorded else f"by the judge {labeller}"),
        ("problems", candidates.problems),
        ("problems left out: a candidate or its label is missing", candidates.incomplete),
        ("problems with right and wrong candidates", candidates.mixed),
        *_contradictions(candidates),
        ("candidates", total),
        ("no answer in the file" if recorded else "no answer", silent),
        ("cut at the token limit", DASH if truncated is None else percent(truncated, total)),
        ("rules that found the answer", shares or DASH),
        (
            "labels that the extractor would set otherwise",
            DASH if disagreeing is None else f"{disagreeing[0]} of {disagreeing[1]}",
        ),
    )
    title = title_of(candidates, "Candidates")
    return Table(stem_of(candidates, "candidates"), title, ("what", "found"), rows)


def _contradictions(candidates: SetNumbers) -> list[tuple[Cell, ...]]:
    count = candidates.contradictory
    return [("problems in which equal answers have different labels", count)] if count else []
