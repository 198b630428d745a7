"""How the numbers were made, read off the plan: what a methods section has to say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from trimtab.core.counted import counted
from trimtab.core.plan import Cell, JudgePlan
from trimtab.core.spec import Split
from trimtab.reports.data.content import Content
from trimtab.reports.data.numbers import Condition
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell as TableCell
from trimtab.reports.draw.values import Value
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Methods"]


class ConditionMethod(Content):
    """What was done to the model in one condition.

    Attributes:
        condition: Label.
        group: What it is there for.
        strengths: Its strength as ``raw``, ``unit`` and ``relative``.
        intervention: What was done, with its configuration; of a pool its members.
    """

    condition: str
    group: str
    strengths: dict[str, float]
    intervention: str


class Protocol(Content):
    """What one measure asked, of how many questions, and how answers were drawn."""

    measure: str
    protocols: tuple[str, ...]
    split: Split
    questions: int
    clusters: int
    samples_each: int
    drawn: str
    seeds: tuple[int, ...]


class Model(Content):
    """A model whose answers these are."""

    id: str
    revision: str
    dtype: str
    identity: str


class JudgeMethod(Content):
    """A judge and the model that it uses: a verdict is only as good as its judge."""

    key: str
    metrics: tuple[str, ...]
    model: str | None
    identity: str
    config: str


class MethodsContent(Content):
    """Conditions, protocols, models and judges."""

    conditions: tuple[ConditionMethod, ...]
    protocols: tuple[Protocol, ...]
    models: tuple[Model, ...]
    judges: tuple[JudgeMethod, ...]


class Methods(Section[NoConfig, MethodsContent]):
    """The plan in four tables; it is no number, so it stays out of ``summary.json``."""

    Config = NoConfig
    part = "methods"
    order = 105
    kept = False

    def read(self, run: RunData) -> MethodsContent | None:
        """Return what the plan says; None for a plan without cells."""
        if not run.plan.cells:
            return None
        return MethodsContent(
            conditions=_conditions(run),
            protocols=_protocols(run),
            models=_models(run.plan.cells),
            judges=tuple(_judge(judge) for judge in run.source.judges()),
        )

    def tables(self, view: View[MethodsContent]) -> Sequence[Table]:
        """Return the conditions, the protocols, the models and the judges."""
        return [
            _condition_table(view.content),
            _protocol_table(view.content),
            _model_table(view.content),
            _judge_table(view.content),
        ]


def _conditions(run: RunData) -> tuple[ConditionMethod, ...]:
    first = {cell.condition: cell for cell in reversed(run.plan.cells)}
    return tuple(
        ConditionMethod(
            condition=condition.condition,
            group=condition.group,
            strengths=_strengths(run, first.get(condition.condition)),
            intervention=_intervention(condition, first.get(condition.condition)),
        )
        for condition in run.numbers.conditions
    )


def _strengths(run: RunData, cell: Cell | None) -> dict[str, float]:
    known: Mapping[str, float] = {} if cell is None else run.source.strengths.get(cell.key, {})
    return dict(known)


def _intervention(condition: Condition, cell: Cell | None) -> str:
    if cell is None:
        return "mean over " + ", ".join(condition.members)
    config = json.dumps(cell.intervention.config, sort_keys=True, ensure_ascii=False)
    return cell.intervention.name + (f" {config}" if config != "{}" else "")


def _protocols(run: RunData) -> tuple[Protocol, ...]:
    protocols = []
    for name, measure in run.numbers.measures.items():
        cells = [cell for cell in run.plan.cells if cell.measure == measure.measure]
        protocols.append(
            Protocol(
                measure=name,
                protocols=measure.protocols,
                split=measure.split,
                questions=measure.units,
                clusters=measure.clusters,
                samples_each=max(cell.num_samples for cell in cells),
                drawn=_drawn(cells[0]),
                seeds=tuple(sorted({cell.seed for cell in cells})),
            )
        )
    return tuple(protocols)


def _drawn(cell: Cell) -> str:
    if cell.sampling is not None:
        sampling = cell.sampling
        most = counted(sampling.max_tokens, "token")
        return f"temperature {sampling.temperature:g}, at most {most}"
    if cell.output == "options":
        return "options scored, nothing drawn"
    return "elsewhere, it is not known how"


def _models(cells: Sequence[Cell]) -> tuple[Model, ...]:
    models = {
        (cell.model.id, cell.model.revision or "", cell.model.dtype, cell.model_identity)
        for cell in cells
    }
    return tuple(
        Model(id=name, revision=revision, dtype=dtype, identity=identity)
        for name, revision, dtype, identity in sorted(models)
    )


def _judge(judge: JudgePlan) -> JudgeMethod:
    config = json.dumps(judge.component.config, sort_keys=True, ensure_ascii=False)
    return JudgeMethod(
        key=judge.key,
        metrics=tuple(metric.name for metric in judge.metrics),
        model=judge.model.id if judge.model else None,
        identity=judge.model_identity or "",
        config=config if config != "{}" else "",
    )


_UNITS = ("raw", "unit", "relative")


def _condition_table(content: MethodsContent) -> Table:
    units = _UNITS if any(condition.strengths for condition in content.conditions) else ()
    rows = tuple(
        (
            condition.condition,
            condition.group,
            *(_strength(condition.strengths.get(unit)) for unit in units),
            condition.intervention,
        )
        for condition in content.conditions
    )
    note = (
        "raw: multiple of the vector; unit: length of what is added; relative: that length over "
        "the mean residual norm at the layer."
    )
    columns = ("condition", "what it is there for", *units, "intervention")
    return Table("conditions", "Conditions", columns, rows, note if units else "")


def _strength(value: float | None) -> TableCell:
    return None if value is None else Value(value, form=".4g")


def _protocol_table(content: MethodsContent) -> Table:
    rows = tuple(
        (
            protocol.measure,
            ", ".join(protocol.protocols) or "no completion",
            protocol.split,
            *(protocol.questions, protocol.clusters, protocol.samples_each),
            protocol.drawn,
            ", ".join(map(str, protocol.seeds)),
        )
        for protocol in content.protocols
    )
    columns = ("measure", "protocol", "split", "questions", "clusters", "samples each", "drawn")
    return Table("protocol", "Protocol", (*columns, "seed"), rows)


def _model_table(content: MethodsContent) -> Table:
    rows = tuple((m.id, m.revision, m.dtype, m.identity) for m in content.models)
    return Table("models", "Models", ("model", "revision", "number format", "identity"), rows)


def _judge_table(content: MethodsContent) -> Table:
    rows = tuple(
        (
            *(judge.key, ", ".join(judge.metrics), judge.model or "none of its own"),
            *(judge.identity, judge.config),
        )
        for judge in content.judges
    )
    columns = ("judge", "metrics", "model", "identity", "configuration")
    return Table("judges", "Judges", columns, rows)
