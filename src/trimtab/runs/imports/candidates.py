"""A run made of candidates that somebody else generated: scored and reported like any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from trimtab.core.keys import content_key, file_sha256
from trimtab.core.plan import Cell, JudgePlan, Plan
from trimtab.core.spec import Component, ModelSpec
from trimtab.core.types import Completion, Message, Sample
from trimtab.datasets.candidates import DumpRow
from trimtab.datasets.dumps import question_id, read_dump
from trimtab.runs.plan.judges import IMPORTED, plan_judges
from trimtab.runs.store.run import Run
from trimtab.runs.work import checks
from trimtab.text.tolerance import Tolerance

_MEASURE = "generation"


def import_candidates(
    path: Path,
    out: Path,
    judges: Callable[[str | None], Sequence[Component]],
    tolerance: Tolerance | None = None,
) -> Run:
    """Make a run of the candidates in ``path``; nothing of it needs a model.

    Each configuration of the file becomes a condition. What was found wrong with the file is kept
    as checks, which reports show first.

    Args:
        path: The file.
        out: Folder of the run.
        judges: Returns the judges that score it, given what the file calls its score.
        tolerance: How far answers may be off; part of the protocol's name.

    Raises:
        DataError: The file can't be read, or has none of the known forms.
        StoreError: ``out`` is not empty.
    """
    dump = read_dump(path, tolerance)
    within = "" if tolerance is None else f"/within-{tolerance.name}"
    identity = content_key([file_sha256(path)[:16], within]) if within else file_sha256(path)[:16]
    cells: list[Cell] = []
    samples: dict[str, list[Sample]] = {}
    rows: dict[str, list[Completion]] = {}
    for label, some in dump.configurations.items():
        cell = _cell(path.name, identity, label, len(cells), some)
        samples[cell.samples] = [_sample(row, tolerance) for row in _ordered(some)]
        rows[cell.key] = [
            c for row in _ordered(some) for c in _completions(cell, path.stem + within, row)
        ]
        cells.append(cell)
    plan = Plan.single(
        recipe="import",
        name=path.stem,
        cells=cells,
        judges=_judges(judges(dump.score_name), cells[0]),
        baseline=cells[0].condition,
    )
    run = Run.create(out, {"recipe": "import", "name": path.stem}, plan, {"samples": samples}, rows)
    checks.after_import(run, [(finding.what, finding.detail) for finding in dump.findings])
    return run


def _ordered(rows: list[DumpRow]) -> list[DumpRow]:
    return sorted(rows, key=lambda row: question_id(row.question))


def _cell(file: str, identity: str, label: str, number: int, rows: list[DumpRow]) -> Cell:
    key = content_key([sorted(row.question for row in rows), identity, label])
    return Cell(
        key=content_key(["imported", identity, label]),
        condition="candidates" if number == 0 else f"candidates ({label})",
        role="control" if number else "baseline",
        measure=_MEASURE,
        model=ModelSpec(id=f"{IMPORTED}{file}", dtype="float32", device="cpu"),
        model_identity=identity,
        task=Component(name="imported", config={"configuration": label}),
        split="test",
        samples=key,
        output="text",
        intervention=Component(name="none"),
        num_samples=len(rows[0].candidates),
    )


def _sample(row: DumpRow, tolerance: Tolerance | None) -> Sample:
    return Sample(
        id=question_id(row.question),
        messages=(Message(role="user", content=row.question),),
        target=row.gold,
        metadata={
            "question": row.question,
            "line": row.line,
            "part": row.part,
            **({} if tolerance is None else {"tolerance": tolerance.model_dump(mode="json")}),
            "recorded": [
                {"answer": given.answer, "correct": given.correct, "score": given.score}
                for given in row.candidates
            ],
        },
    )


def _completions(cell: Cell, stem: str, row: DumpRow) -> list[Completion]:
    return [
        Completion(
            cell=cell.key,
            sample_id=question_id(row.question),
            index=index,
            protocol=f"imported/{stem}",
            num_prompt_tokens=0,
            text=given.text,
            finish_reason="unknown",
        )
        for index, given in enumerate(row.candidates)
    ]


def _judges(judges: Sequence[Component], cell: Cell) -> list[JudgePlan]:
    subject = (cell.model, cell.model_identity)
    return [plan for judge in judges for plan in plan_judges(judge, subject)]
