"""Projections read off the records of a run."""

from __future__ import annotations

from trimtab.core.plan import JudgePlan
from trimtab.reports.data.blocks import Block
from trimtab.reports.data.directions import about_direction
from trimtab.reports.data.metrics import MetricRef
from trimtab.reports.data.run import RunData
from trimtab.reports.sections.contrasts.config import ContrastsConfig
from trimtab.reports.sections.contrasts.content import Rate
from trimtab.reports.sections.contrasts.design import axes_of, design_of
from trimtab.reports.sections.contrasts.reading import rates_of
from trimtab.reports.sections.projection.content import ProjectedOn, ProjectionContent


def read_projections(run: RunData) -> ProjectionContent | None:
    """Return the projections; None where none are measured or cells have no coordinates."""
    judges = {j.key: j for j in run.source.judges() if j.component.name == "projection"}
    axes = axes_of(run.plan, ContrastsConfig())
    if not judges or axes is None:
        return None
    vectors: list[ProjectedOn] = []
    rates: list[Rate] = []
    for block in run.blocks:
        found = [(ref, judges[ref.judge]) for ref in block.metrics if ref.judge in judges]
        vectors += [_vector(run, block, ref, judge) for ref, judge in found]
        rates += rates_of(block, design_of(block, axes), [ref for ref, _ in found], run.plan.seed)
    if not rates:
        return None
    return ProjectionContent(
        base=axes.base, untriggered=axes.untriggered, vectors=tuple(vectors), rates=tuple(rates)
    )


def _vector(run: RunData, block: Block, ref: MetricRef, judge: JudgePlan) -> ProjectedOn:
    layer = int(judge.component.config["layer"])
    key = next(iter(judge.artifacts.values()), None)
    info = None if key is None else run.source.artifact_info(key)
    return ProjectedOn(measure=block.name, metric=ref.id, **about_direction(info, layer))
