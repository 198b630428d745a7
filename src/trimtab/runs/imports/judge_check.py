"""A judge against people: how often it is right, on answers that people labelled.

The labelled answers become a run of their own, so that a check is scored, interrupted and resumed
like anything else. The labels stay in the file ``labels.json`` beside it: no judge sees them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.core.counted import counted
from trimtab.core.errors import DataError
from trimtab.core.keys import derive_seed, file_sha256
from trimtab.core.plan import JudgePlan
from trimtab.core.records import read_json, write_json
from trimtab.core.types import Sample
from trimtab.datasets.fields import shown, text_field
from trimtab.datasets.files import read_rows
from trimtab.runs.imports.generations import Answer, create_run, question_sample, references
from trimtab.runs.store.run import JUDGE_CHECK, Run
from trimtab.stats.agreement import auc, cohen_kappa, kappa_interval
from trimtab.stats.intervals import Interval, cluster_bootstrap_mean, wilson
from trimtab.text.health import num_words

CONDITION = "labelled"
KEYS = (
    "question", "answer", "label", "category", "best_answer", "correct_answers",
    "incorrect_answers", "prompt", "completion", "fields",
)  # fmt: skip
_ENDS = {"True:": "truth", "Helpful:": "info"}
_LABELS = {"yes": 1, "no": 0, "true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}
# Kappa by Landis and Koch (1977): slight, fair, moderate, substantial, almost perfect.
_WORDS = ((0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"))
_USABLE = 0.4


@dataclass(frozen=True)
class Labelled:
    """Answers with their labels.

    Attributes:
        answers: The answers, each with a sample of its own.
        labels: 1 for yes and 0 for no, in their order.
        metric: What the labels are about.
        total: Labels in the file, of which these may be a draw.
    """

    answers: list[Answer]
    labels: list[int]
    metric: str
    total: int


def read_labels(
    path: Path, metric: str | None, questions: str | None, limit: int | None, seed: int
) -> Labelled:
    """Read human labels.

    Two forms: ``question``, ``answer`` and ``label`` (yes or no, true or false, 1 or 0), with the
    optional columns of ``foreign``, and ``fields``, an object with what a rubric shows of the
    question beside it (``required_facts``); or the published ``prompt`` (``Q: ...``, ``A: ...``,
    then ``True:`` or ``Helpful:``, a line each) and ``completion``.

    Args:
        path: JSON lines or CSV.
        metric: What the labels are about; None reads it off the prompts, else ``truth``.
        questions: See ``foreign.read_generations``.
        limit: Take only so many rows, drawn at random; None takes all.
        seed: Seed of that draw.

    Raises:
        DataError: The file is missing or malformed, or one label only occurs.
    """
    rows = read_rows(path, "LABELS", KEYS)
    total = len(rows)
    if limit is not None and limit < total:
        chosen = random.Random(derive_seed("judge-check", seed)).sample(range(total), limit)
        rows = [rows[i] for i in sorted(chosen)]
    known = references(questions)
    answers, labels, about = [], [], set()
    for where, row in rows:
        if row.get("prompt") is not None:
            found, row = _published(row, where)
            about.add(found)
        labels.append(_label(row, where))
        answer = row.get("answer")
        if not isinstance(answer, str):
            raise DataError(
                f"{where}: 'answer' must be a text, it is {shown(row, 'answer', KEYS)}."
            )
        id = f"label-{where.rpartition(' ')[2]}"
        sample = question_sample(row, where, known, id, KEYS)
        answers.append(Answer(_with_fields(sample, row, where), answer))
    if len(set(labels)) < 2:
        given = counted(len(labels), "label")
        raise DataError(f"{path.absolute()}: {given}, all the same; a check needs both.")
    if metric is None and len(about) > 1:
        raise DataError(f"{path} holds labels of {' and '.join(sorted(about))}; give --metric.")
    return Labelled(answers, labels, metric or next(iter(about), "truth"), total)


def _with_fields(sample: Sample, row: Mapping[str, Any], where: str) -> Sample:
    """Return a sample with what a rubric's ``fields`` show of its question, if the row has any."""
    given = row.get("fields")
    if given is None:
        return sample
    if not isinstance(given, dict):
        raise DataError(f"{where}: 'fields' must be an object, it is {shown(row, 'fields', KEYS)}.")
    return sample.model_copy(update={"metadata": {**given, **sample.metadata}})


def _published(row: Mapping[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    """Return metric, question, answer and label of a fine-tuning prompt."""
    prompt = text_field(row, "prompt", where)
    question, mark, rest = prompt.removeprefix("Q: ").partition("\nA:")
    answer, found, end = rest.rpartition("\n")
    if not (prompt.startswith("Q: ") and mark and found) or end.strip() not in _ENDS:
        raise DataError(
            f"{where}: 'prompt' must read 'Q: ...', 'A: ...' and 'True:' or 'Helpful:', a line "
            f"each; it is {prompt[:60]!r}."
        )
    metric = _ENDS[end.strip()]
    return metric, {"question": question, "answer": answer.strip(), "label": row.get("completion")}


def _label(row: Mapping[str, Any], where: str) -> int:
    key = str(row.get("label")).strip().casefold()
    if key not in _LABELS:
        raise DataError(
            f"{where}: the label must be yes or no (or true or false, 1 or 0), it is "
            f"{shown(row, 'label', KEYS)}."
        )
    return _LABELS[key]


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
    labels: dict[str, int] = read_json(run.dir / "labels.json")
    (cell,) = run.plan.cells
    samples = run.samples(cell.samples)
    found = []
    for judge in judges:
        scores = run.scores(judge.key, cell.key)
        given = {key[1]: score.values for key, score in scores.items()}
        rows = [
            _Row(
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
        result = {"judge": judge.key, "metric": metric, **about, **measure(rows, seed)}
        found.append(result)
    write_json(run.dir / JUDGE_CHECK, found, sealed=True)
    return found


@dataclass(frozen=True)
class _Row:
    label: int
    verdict: float | None
    chance: float | None
    cluster: str
    words: int


def measure(rows: Sequence[_Row], seed: int) -> dict[str, Any]:
    """Return every figure of a check; rates with intervals that draw whole questions."""
    judged = [row for row in rows if row.verdict is not None]
    parsed = wilson(len(judged), len(rows))
    result: dict[str, Any] = {
        "n": len(rows),
        "judged": len(judged),
        "parse_rate": _rate(len(judged) / len(rows), parsed),
    }
    yes, no = ([row for row in judged if row.label == label] for label in (1, 0))
    if not yes or not no:
        return {**result, "usable": False, "verdict": "too few verdicts for a judgement"}
    agreed = [int(row.verdict or 0) for row in judged]
    labels, clusters = [row.label for row in judged], [row.cluster for row in judged]
    kappa = cohen_kappa(labels, agreed)
    interval = kappa_interval(labels, agreed, clusters, seed=seed)
    result |= {
        "positives": len(yes),
        "negatives": len(no),
        "yes_rate": sum(agreed) / len(agreed),
        "label_rate": sum(labels) / len(labels),
        "sensitivity": _mean([row.verdict or 0.0 for row in yes], yes, seed),
        "specificity": _mean([1 - (row.verdict or 0.0) for row in no], no, seed),
        "error": _mean([row.label - (row.verdict or 0.0) for row in judged], judged, seed),
        "accuracy": sum(x == y for x, y in zip(agreed, labels, strict=True)) / len(agreed),
        "kappa": {"value": kappa, "interval": _bounds(interval), "clusters": len(set(clusters))},
        "auc": _auc(judged),
        "length": _length(judged),
    }
    return {**result, **_judgement(kappa, interval)}


def _mean(values: list[float], rows: Sequence[_Row], seed: int) -> dict[str, Any]:
    clusters = [row.cluster for row in rows]
    interval = cluster_bootstrap_mean(values, clusters, seed=seed)
    if not interval.is_defined and set(values) <= {0.0, 1.0}:
        # no spread to resample: all right, or all wrong
        interval = wilson(round(sum(values)), len(values))
    return {**_rate(sum(values) / len(values), interval), "clusters": len(set(clusters))}


def _rate(value: float, interval: Interval) -> dict[str, Any]:
    return {"value": value, "interval": _bounds(interval)}


def _bounds(interval: Interval) -> list[float] | None:
    return [interval.low, interval.high] if interval.is_defined else None


def _auc(rows: Sequence[_Row]) -> float | None:
    scored = [row for row in rows if row.chance is not None]
    if not scored:
        return None
    return auc([row.chance or 0.0 for row in scored], [row.label for row in scored])


def _length(rows: Sequence[_Row]) -> dict[str, float | None]:
    """Return how far length alone moves the verdict among answers with the same label.

    ``bias`` is the chance that the longer of two equally labelled answers, of which the judge
    accepts one, is the accepted one: 0.5 is no bias. ``yes`` and ``no``: within each label.
    """
    by_label: dict[str, float | None] = {}
    total = pairs = 0.0
    for label, name in ((1, "yes"), (0, "no")):
        own = [row for row in rows if row.label == label]
        verdicts = [int(row.verdict or 0) for row in own]
        by_label[name] = auc([float(row.words) for row in own], verdicts)
        count = sum(verdicts) * (len(verdicts) - sum(verdicts))
        if by_label[name] is not None:
            total, pairs = total + count * (by_label[name] or 0.0), pairs + count
    return {"bias": total / pairs if pairs else None, **by_label}


def _judgement(kappa: float | None, interval: Interval) -> dict[str, Any]:
    """Return whether the judge may be used, and why, in words."""
    if kappa is None or kappa == 0:
        return {
            "usable": False,
            "verdict": "a bad judge: what it says has nothing to do with the answer",
        }
    word = next((word for limit, word in _WORDS if kappa < limit), "almost perfect")
    said = f"agreement with people is {word} (kappa {kappa:.2f})"
    if not interval.is_defined or interval.low <= 0:
        return {"usable": False, "verdict": f"a bad judge: not better than chance; {said}"}
    if kappa < _USABLE:
        return {"usable": False, "verdict": f"a bad judge: {said}; don't rest a result on it"}
    return {"usable": True, "verdict": f"a usable judge: {said}; report corrected rates"}
