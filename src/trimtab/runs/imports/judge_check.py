"""A judge against people: how often it is right, or how far off, on answers that they labelled.

The labelled answers become a run of their own, so that a check is scored, interrupted and resumed
like anything else. The labels stay in the file ``labels.json`` beside it: no judge sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.core.keys import file_sha256
from trimtab.core.plan import JudgePlan
from trimtab.core.records import read_json, write_json
from trimtab.runs.imports.check_figures import CheckedRow, measure_grades, measure_verdicts
from trimtab.runs.imports.generations import create_run
from trimtab.runs.imports.labels import Labelled
from trimtab.runs.store.run import JUDGE_CHECK, Run
from trimtab.text.health import num_words

CONDITION = "labelled"


def create_check(dir: Path, path: Path, labelled: Labelled) -> Run:
    """Make the run of a check, or find it again; the same file and limit give the same run."""
    config = {
        "labels": path.name,
        "sha256": file_sha256(path),
        "labels_total": labelled.total,
        "metric": labelled.metric,
    }
    name = f"labels-{labelled.metric}"
    run = create_run(dir, name, {CONDITION: labelled.answers}, CONDITION, config)
    ids = [answer.sample.id for answer in labelled.answers]
    labels = dict(zip(ids, labelled.labels, strict=True))
    write_json(dir / "labels.json", labels, sealed=True)
    return run


def evaluate(run: Run, judges: Sequence[JudgePlan], metric: str, seed: int) -> list[dict[str, Any]]:
    """Compare ``judges`` with the labels, write ``judge_check.json`` and return what it holds."""
    labels: dict[str, float] = read_json(run.dir / "labels.json")
    (cell,) = run.plan.cells
    samples = run.samples(cell.samples)
    found = []
    for judge in judges:
        scores = run.scores(judge.key, cell.key)
        given = {key[1]: score.values for key, score in scores.items()}
        rows = [
            CheckedRow(
                labels[id],
                given.get(id, {}).get(metric),
                given.get(id, {}).get(f"{metric}_p"),
                samples[id].cluster or id,
                num_words(run.completions(cell.key)[cell.key, id, 0].text or ""),
            )
            for id in samples
        ]
        about = {
            "labels": run.config["labels"],
            "labels_sha256": run.config["sha256"],
            "labels_total": run.config["labels_total"],
            "seed": seed,
        }
        (kind,) = (known.kind for known in judge.metrics if known.name == metric)
        measure = measure_verdicts if kind == "binary" else measure_grades
        result = {"judge": judge.key, "metric": metric, **about, **measure(rows, seed)}
        found.append(result)
    write_json(run.dir / JUDGE_CHECK, found, sealed=True)
    return found
