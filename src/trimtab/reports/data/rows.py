"""Join a run's records into blocks: the conditions of one measure, comparable row by row.

The unit of analysis is the question. A unit's value is the mean over whatever is scored of it:
several completions, several seeds, or both orders of a two-option question. Nothing that is
missing enters a mean; it only makes the count smaller.

Every cell is read once, and its records are let go when they are reduced to numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trimtab.core.plan import Cell
from trimtab.core.types import Sample
from trimtab.reports.data.answers import MAX_BYTES, Answers
from trimtab.reports.data.blocks import Block, ConditionRows
from trimtab.reports.data.cells import reduce_cell
from trimtab.reports.data.metrics import conjunction, metrics_of, same_answers
from trimtab.reports.data.source import RunSource
from trimtab.reports.data.units import unit_means
from trimtab.reports.data.votes import shared_verdicts


def read_blocks(run: RunSource) -> list[Block]:
    """Read every record of ``run`` once and return its blocks in plan order."""
    blocks: dict[str, Block] = {}
    judges = run.judges()
    names = names_of_measures(run.plan.cells)
    seen: set[str] = set()
    written = {names[cell.key] for cell in run.plan.cells if cell.output == "text"}
    for cell in run.plan.cells:
        name = names[cell.key]
        if name not in blocks:
            blocks[name] = Block(name, cell.measure, metrics_of(cell, judges))
            blocks[name].votes = shared_verdicts(judges, cell)
            if name in written:
                blocks[name].answers = Answers(MAX_BYTES // len(written))
        # two conditions may be one cell: as conditions they count each, as answers and votes once
        _read_cell(run, cell, blocks[name], again=cell.key in seen)
        seen.add(cell.key)
    for block in blocks.values():
        for rows in block.conditions.values():
            _derive(block, rows)
            _reduce(block, rows)
    return list(blocks.values())


def names_of_measures(cells: Sequence[Cell]) -> dict[str, str]:
    """Return by a cell's key what its measure is called: with the model where there are several."""
    several_models = len({cell.model_identity for cell in cells}) > 1
    return {
        cell.key: f"{cell.measure} ({cell.model.id})" if several_models else cell.measure
        for cell in cells
    }


def _read_cell(run: RunSource, cell: Cell, block: Block, *, again: bool) -> None:
    samples = run.samples(cell.samples)
    _number(block, samples)
    known = block.numbers
    rows = block.conditions.setdefault(cell.condition, ConditionRows(run, known))
    rows.cells.append(cell)
    rows.planned += len(samples) * cell.num_samples
    completions = {
        key: row for key, row in run.completions(cell.key).items() if row.sample_id in known
    }
    given = [ref.judge for ref in block.metrics if ref.judge is not None]
    voting = [judge for votes in block.votes for judge in votes.judges]
    scores = {judge: run.scores(judge, cell.key) for judge in dict.fromkeys((*given, *voting))}
    with_texts = any(ref.judge is None and ref.parts is None for ref in block.metrics)
    rows.rows[cell.key] = reduce_cell(
        completions, scores, block.metrics, known, with_texts=with_texts
    )
    if again:
        return
    for votes in block.votes:
        votes.add(scores, known)
    if block.answers is not None:
        block.answers.add(cell.key, completions.values())


def _number(block: Block, samples: Mapping[str, Sample]) -> None:
    """Give each question of a sample set a number; those of sets that were seen have theirs."""
    if samples.keys() <= block.numbers.keys():
        return
    places = {unit: number for number, unit in enumerate(block.clusters)}
    for sample in samples.values():
        unit = unit_of(sample)
        block.samples.setdefault(sample.id, sample)
        block.units.setdefault(sample.id, unit)
        block.clusters.setdefault(unit, sample.cluster if sample.cluster is not None else unit)
        number = places.setdefault(unit, len(places))
        block.numbers.setdefault(sample.id, number)


def unit_of(sample: Sample) -> str:
    """Return the question that ``sample`` asks; both orders of a question are one unit.

    A sample that is named after its cluster (``q7#ab`` in the cluster ``q7``) is one of several
    ways to ask one question.
    """
    cluster = sample.cluster
    return cluster if cluster is not None and sample.id.startswith(f"{cluster}#") else sample.id


def _derive(block: Block, rows: ConditionRows) -> None:
    """Fill in the metrics that no judge gives; texts are compared and let go."""
    columns = {ref.id: column for column, ref in enumerate(block.metrics)}
    cells = list(rows.rows.values())
    for ref in (ref for ref in block.metrics if ref.judge is None):
        if ref.parts is not None:
            left, right = (columns[part] for part in ref.parts)
            for cell in cells:
                values_NM = cell.values_NM
                values_NM[:, columns[ref.id]] = conjunction(values_NM[:, left], values_NM[:, right])
            continue
        texts = [text for cell in cells for text in cell.texts]
        units = [unit for cell in cells for unit in cell.units_N.tolist()]
        same, start = same_answers(texts, units), 0
        for cell in cells:
            cell.values_NM[:, columns[ref.id]] = same[start : start + cell.num_rows]
            start += cell.num_rows
            cell.texts.clear()


def _reduce(block: Block, rows: ConditionRows) -> None:
    cells = list(rows.rows.values())
    units_N = np.concatenate([cell.units_N for cell in cells])
    values_NM = np.concatenate([cell.values_NM for cell in cells])
    for column, ref in enumerate(block.metrics):
        rows.means[ref.id] = unit_means(units_N, values_NM[:, column], len(block.clusters))
