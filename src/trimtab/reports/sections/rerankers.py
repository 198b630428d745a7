"""What a run's energy models were fitted on, how far they came, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from trimtab.core.counted import counted
from trimtab.core.plan import JudgePlan
from trimtab.reports.data.content import Content
from trimtab.reports.data.judges import judge_name
from trimtab.reports.data.run import RunData
from trimtab.reports.draw import style
from trimtab.reports.draw.figures import WIDTH, Figure
from trimtab.reports.draw.format import number
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Value
from trimtab.reports.sections.base import NoConfig, Section, View

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["Rerankers"]

_COLOURS = (*style.SERIES, style.PROMPT)


class Problems(Content):
    """What one split gave: problems with right and wrong candidates, and what was dropped."""

    candidates: int
    problems: int
    right: int
    overlapping: int
    dropped_all_right: int
    dropped_all_wrong: int
    pairs_cut: int = 0


class Look(Content):
    """The losses at one look during training."""

    update: int
    fit_loss: float | None
    select_loss: float | None
    select_pair_accuracy: float | None


class Mining(Content):
    """A second round on hard candidates, and whether it was kept."""

    updates: int
    best_update: int
    ended_by: str
    untrained_pair_accuracy: float | None
    select_pair_accuracy: float | None
    history: tuple[Look, ...]
    kept: bool


class Reranker(Content):
    """One fit.

    Attributes:
        ranking: What its ranking is called.
        key: Key of the artifact.
        kind: Kind of model.
        parameters: How many it has.
        fit: What it learned from.
        select: What chose the update.
        updates: Updates that were made.
        best_update: The update that was kept.
        ended_by: What ended the training.
        layer: Block whose activations it reads, if it reads some.
        layers: Pair accuracy of each block that was tried.
        untrained_pair_accuracy: Of the untrained model on the select split.
        select_pair_accuracy: Of the fitted one.
        fit_pair_accuracy: Of the fitted one on what it learned from.
        samples_pair_accuracy: On sampled candidates, where it learned from synthetic ones.
        mining: What a second round on hard candidates brought, if there was one.
        history: The looks.
    """

    ranking: str
    key: str
    kind: str
    parameters: int
    fit: Problems
    select: Problems
    updates: int
    best_update: int
    ended_by: str
    layer: int | None = None
    layers: dict[str, float | None] | None = None
    untrained_pair_accuracy: float | None
    select_pair_accuracy: float | None
    fit_pair_accuracy: float | None
    samples_pair_accuracy: float | None
    mining: Mining | None = None
    history: tuple[Look, ...]


class RerankersContent(Content):
    """Every fit that is there."""

    rerankers: tuple[Reranker, ...]


class Rerankers(Section[NoConfig, RerankersContent]):
    """Counts, pair accuracies and training curves of the judges that learned from candidates."""

    Config = NoConfig
    part = "methods"
    order = 120

    def read(self, run: RunData) -> RerankersContent | None:
        """Return one entry per fit; None for a run whose judges learned nothing."""
        fitted = [judge for judge in run.source.judges() if judge.artifacts]
        keys = dict.fromkeys(key for judge in fitted for key in judge.artifacts.values())
        rerankers = []
        for key in keys:
            info = run.source.artifact_info(key)
            # a judge may have learned something else than to rank candidates
            if info is not None and "fit_pair_accuracy" in info:
                judge = next(judge for judge in fitted if key in judge.artifacts.values())
                name = _name(judge, fitted)
                rerankers.append(Reranker.pick(info, ranking=name, key=key))
        return RerankersContent(rerankers=tuple(rerankers)) if rerankers else None

    def tables(self, view: View[RerankersContent]) -> Sequence[Table]:
        """Return what each reranker was fitted on and how well it orders pairs."""
        return [_table(view.content)]

    def figures(self, view: View[RerankersContent]) -> Sequence[Figure]:
        """Return the losses and pair accuracies during training."""
        caption = (
            "Training of the rerankers: loss on the fit and select splits, and the share of a "
            "problem's pairs that are ordered right on the select split; the dot is what was kept."
        )
        columns = ("ranking", "update", "fit loss", "select loss", "select pairs ordered right")
        rows = tuple(
            (
                *(fit.ranking, look.update),
                *(look.fit_loss, look.select_loss, look.select_pair_accuracy),
            )
            for fit in view.content.rerankers
            for look in fit.history
        )
        plot = partial(_plot, view.content.rerankers)
        return [Figure("training", caption, columns, rows, (WIDTH, 3.6), plot)]


def _name(judge: JudgePlan, fitted: Sequence[JudgePlan]) -> str:
    """Return the name that the judge's ranking has in the other tables."""
    metric = judge.metrics[0].name
    return judge_name(metric, judge, [j for j in fitted if j.metrics[0].name == metric])


def _table(content: RerankersContent) -> Table:
    rows = tuple(
        (
            *(fit.ranking, fit.parameters, fit.fit.problems),
            f"{fit.fit.dropped_all_right} + {fit.fit.dropped_all_wrong}",
            f"{fit.best_update} of {fit.updates}",
            Value(fit.untrained_pair_accuracy),
            Value(fit.fit_pair_accuracy),
            Value(fit.select_pair_accuracy),
            Value(fit.samples_pair_accuracy),
            _notes(fit),
        )
        for fit in content.rerankers
    )
    columns = ("reranker", "parameters", "fit problems", "dropped", "best update", "untrained")
    more = ("fit pairs", "select pairs", "select samples", "notes")
    note = (
        "Pairs: share of (right, wrong) candidates of one problem that are ordered right; 0.5 is "
        "chance. Training stopped by the select pairs, so these flatter it. Dropped: problems "
        "whose candidates are all right, and all wrong. Select samples: for a reranker trained on "
        "synthetic candidates, its pairs on sampled ones."
    )
    return Table("rerankers", "Rerankers", columns + more, rows, note)


def _notes(fit: Reranker) -> str:
    notes = []
    if fit.layers is not None:
        tried = ", ".join(f"{n}: {number(v, percent=False)}" for n, v in fit.layers.items())
        notes.append(f"block {fit.layer} of {{{tried}}}")
    if fit.fit.overlapping:
        notes.append(f"{counted(fit.fit.overlapping, 'overlapping problem')} dropped")
    if fit.fit.pairs_cut:
        notes.append(f"{counted(fit.fit.pairs_cut, 'pair')} cut")
    if fit.mining is not None:
        notes.append(f"mined round {'kept' if fit.mining.kept else 'not kept'}")
    return "; ".join(notes)


def _plot(rerankers: Sequence[Reranker], canvas: Canvas) -> None:
    losses, accuracies = canvas.subplots(1, 2)
    for index, fit in enumerate(rerankers):
        colour, marker = _COLOURS[index % len(_COLOURS)], style.MARKERS[0]
        x = [look.update for look in fit.history]
        fit_losses = [
            (look.update, look.fit_loss) for look in fit.history if look.fit_loss is not None
        ]
        losses.plot(
            [u for u, _ in fit_losses], [y for _, y in fit_losses], color=colour, lw=1.0, ls="--"
        )
        losses.plot(x, [_or_gap(look.select_loss) for look in fit.history], color=colour, lw=1.5)
        accuracies.plot(
            x, [100 * _or_gap(look.select_pair_accuracy) for look in fit.history], color=colour,
            lw=1.5, label=fit.ranking,
        )  # fmt: skip
        kept = 100 * _or_gap(fit.select_pair_accuracy)
        accuracies.plot([fit.best_update], [kept], color=colour, marker=marker, ms=6, ls="none")
    losses.set_ylabel("loss (fit dashed, select solid)")
    accuracies.set_ylabel("select pairs ordered right (%)")
    for axes in (losses, accuracies):
        axes.set_xlabel("updates")
        axes.xaxis.get_major_locator().set_params(integer=True)
    canvas.legend(loc="outside lower center", ncols=3)


def _or_gap(value: float | None) -> float:
    """Return NaN, which a line leaves out, for a number that is missing."""
    return float("nan") if value is None else value
