"""What adapters were trained on, source by source, and how their trainings went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.core.plan import FitPlan
from trimtab.reports.data.content import Content
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.format import DASH
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Count, Value
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Trainings"]


class Share(Content):
    """The rows of one source.

    Attributes:
        source: Which.
        rows: Conversations.
        labels: Tokens that are learned.
    """

    source: str
    rows: int
    labels: int


class Training(Content):
    """One training.

    Attributes:
        name: The conditions that use it, in a word or several.
        data: Hash of its conversations, which names their file in ``conversations/``.
        sources: What they are made of.
        triggers: Hashes of the triggers that they stand behind.
        distillers: Models that wrote answers among them, as far as rows say so.
        foreign: Those of them that are not the model that is trained.
        truncated: Conversations that were cut.
        updates: Updates that were made.
        skipped: Those that were skipped because they were not finite.
        first_loss: Loss of the first update, in nats per label.
        last_loss: Mean loss of the last tenth of them.
        steered: Where a vector acted while it learned, and how long it was, in words.
    """

    name: str
    data: str
    sources: tuple[Share, ...]
    triggers: tuple[str, ...]
    distillers: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    truncated: int
    updates: int
    skipped: int
    first_loss: float | None
    last_loss: float | None
    steered: tuple[str, ...] = ()


class TrainingsContent(Content):
    """The trainings in plan order."""

    trainings: tuple[Training, ...]


class Trainings(Section[NoConfig, TrainingsContent]):
    """The data card of each training on conversations, and its loss."""

    Config = NoConfig
    part = "methods"
    order = 85

    def read(self, run: RunData) -> TrainingsContent | None:
        """Return the trainings that were made; None without any."""
        found = []
        for fit in run.plan.fits:
            key = next(iter(fit.artifacts.values()))
            info = run.source.artifact_info(key) or {}
            training = info.get("training")
            if isinstance(training, Mapping) and "by_source" in training.get("rows", {}):
                found.append(_training(_name(run, fit), fit, info, training))
        return TrainingsContent(trainings=tuple(found)) if found else None

    def tables(self, view: View[TrainingsContent]) -> Sequence[Table]:
        """Return the data of each training, and how it went."""
        return [_data_table(view.content), _course_table(view.content)]


def _name(run: RunData, fit: FitPlan) -> str:
    """Return what a fit's conditions have in common: their treatment, or the first one's label."""
    keys = set(fit.artifacts.values())
    users = [cell for cell in run.plan.cells if keys & set(cell.artifacts.values())]
    treatments = {str(cell.coordinates.get("treatment", "")) for cell in users} - {""}
    seeds = {cell.coordinates.get("seed", 0) for cell in users} - {0}
    replica = "".join(f" #{float(seed) + 1:g}" for seed in seeds)
    if len(treatments) == 1:
        return treatments.pop() + replica
    return users[0].condition if users else fit.component.name


def _training(
    name: str, fit: FitPlan, info: Mapping[str, Any], training: Mapping[str, Any]
) -> Training:
    rows = training["rows"]
    losses = [loss for _, loss, *_ in training["losses"] if loss is not None]
    last = losses[-max(1, len(losses) // 10) :]
    distillers = tuple(info.get("distillers", ()))
    own = None if fit.model is None else fit.model.id
    data = next((ref.key for ref in fit.data.values() if ref.kind == "conversations"), "")
    return Training(
        name=name,
        data=data,
        sources=tuple(
            Share(source=source, rows=counts["rows"], labels=counts["labels"])
            for source, counts in rows["by_source"].items()
        ),
        triggers=tuple(info.get("triggers", ())),
        distillers=distillers,
        foreign=tuple(name for name in distillers if name != own),
        truncated=rows["truncated"],
        updates=training["updates"],
        skipped=training["skipped"],
        first_loss=losses[0] if losses else None,
        last_loss=sum(last) / len(last) if last else None,
        steered=tuple(
            f"block {edit['layer']}, length {edit['length']:.3g}, {edit['positions']}"
            for edit in info.get("steered_while_training", ())
        ),
    )


def _data_table(content: TrainingsContent) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for training in content.trainings:
        total = sum(share.rows for share in training.sources)
        labels = sum(share.labels for share in training.sources)
        for share in training.sources:
            rows.append(
                (
                    training.name,
                    share.source,
                    Count(share.rows, total),
                    Value(share.rows / total, form="rate"),
                    share.labels,
                    Value(share.labels / labels, form="rate"),
                    ", ".join(training.triggers),
                    ", ".join(training.distillers),
                    training.data,
                )
            )
    columns = (
        "training",
        "source",
        "rows",
        "rows %",
        "labels",
        "labels %",
        "trigger",
        "distiller",
        "data",
    )
    note = (
        "Labels are the tokens that are learned; trigger: hash of the one that facts stand behind; "
        "distiller: who wrote answers; data: its file in conversations/, which `trimtab data card` "
        "reads."
    )
    for training in content.trainings:
        if training.foreign:
            note += (
                f" {training.name} learned answers of {', '.join(training.foreign)}, another model "
                "than the one that is trained: its style is learned, too, and is confounded with "
                "what else the training does."
            )
    return Table("training_data", "Training data", columns, tuple(rows), note)


def _course_table(content: TrainingsContent) -> Table:
    steered = any(training.steered for training in content.trainings)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            training.name,
            training.updates,
            training.skipped,
            training.truncated,
            Value(training.first_loss),
            Value(training.last_loss),
            *(["; ".join(training.steered) or DASH] if steered else []),
        )
        for training in content.trainings
    )
    columns: tuple[str, ...] = (
        *("training", "updates", "skipped", "rows cut", "first loss", "last loss"),
    )
    note = "Loss in nats per label, on what is learned; the last one is a mean over a tenth."
    if steered:
        columns = (*columns, "steered while training")
        note += " Steered: a vector that acted while the adapter learned, and acts no more."
    return Table("trainings", "Trainings", columns, rows, note)
