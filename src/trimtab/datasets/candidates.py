"""Rows of candidates in every published form, as one: a problem with its candidates.

Read are the common record (``question``, ``gold``, ``candidates`` of ``text``, ``answer``,
``correct`` and perhaps ``score``), the same as parallel lists (``candidates``,
``candidate_answers``, ``candidate_correct``, ``energies``), one column per generator that holds
``solution`` and ``is_correct``, and one candidate a row (``question``, ``gold``, ``text``, ...),
the form of CSV: rows of one question and configuration are its candidates, in order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.core.errors import DataError
from trimtab.datasets.fields import json_cell
from trimtab.datasets.files import Rows
from trimtab.text.answers import chat, gold_number, is_correct
from trimtab.text.overlap import normalise_question
from trimtab.text.tolerance import Tolerance

_QUESTION = ("question", "problem")
_GOLD = ("gold", "ground_truth", "target", "answer", "final")
_TEXT = ("text", "solution", "candidate", "completion", "response")
SCORES = ("energies", "scores", "candidate_scores", "candidate_energies")
_COLUMNS = ("candidates", "candidate_answers", "candidate_correct", *SCORES)
_CONFIGURATION = (
    "config", "configuration", "config_hash", "fingerprint", "gen_hash", "model", "generator",
    "template", "prompt_hash", "temperature",
)  # fmt: skip
_LABELS = {
    "true": True, "false": False, "yes": True, "no": False, "1": True, "0": False,
    "1.0": True, "0.0": False,
}  # fmt: skip
KEYS = (
    *_QUESTION, *_GOLD, *_COLUMNS, "and in a candidate, or a row of one: ", *_TEXT,
    "candidate_answer", "correct", "is_correct", "score", "energy",
)  # fmt: skip
ACCEPTED = ", ".join(KEYS).replace(": , ", ": ")


@dataclass(frozen=True)
class Given:
    """One candidate as the file has it.

    Attributes:
        text: The solution.
        answer: The answer that the file gives it, else the one the extractor finds.
        correct: Its label; by the extractor where the file has none.
        score: Its score, if the file has one.
    """

    text: str
    answer: str | None
    correct: bool
    score: float | None


@dataclass(frozen=True)
class DumpRow:
    """One problem with its candidates.

    Attributes:
        line: 1-based line of the file.
        question: The question.
        gold: The reference answer.
        candidates: In the order of the file.
        configuration: What the file says of how they were made, and how many there are.
        part: Lines of the same configuration that seem made in one way, where it seems made in
            two; None where it does not.
    """

    line: int
    question: str
    gold: str
    candidates: tuple[Given, ...]
    configuration: str
    part: str | None = None


def gather(rows: Rows) -> Rows:
    """Return a row per problem, where the rows hold one candidate each; others as they are."""
    found: Rows = []
    open_rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for where, row in rows:
        row = _parsed(row, where)
        text = next((key for key in _TEXT if isinstance(row.get(key), str)), None)
        if text is None or any(key in row for key in _COLUMNS):
            found.append((where, row))
            continue
        shared = {
            k: row[k] for k in (*_QUESTION, *_GOLD, *_CONFIGURATION) if row.get(k) is not None
        }
        # beside a gold answer of another name, ``answer`` is the candidate's own
        if sum(key in shared for key in _GOLD) > 1:
            row["candidate_answer"] = row.get("candidate_answer", shared.pop("answer", None))
        key = (normalise_question(str(_first(row, _QUESTION))), *map(str, shared.values()))
        if key not in open_rows:
            open_rows[key] = {**shared, "candidates": []}
            found.append((where, open_rows[key]))
        item = {"text": row[text], **{k: row[k] for k in _OWN if row.get(k) is not None}}
        if row.get("candidate_answer") is not None:
            item["answer"] = row["candidate_answer"]
        open_rows[key]["candidates"].append(item)
    return found


_OWN = ("correct", "is_correct", "score", "energy")


def _parsed(row: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a row whose lists, which CSV holds as texts, are lists."""
    texts = [key for key in _COLUMNS if isinstance(row.get(key), str)]
    return {**row, **{key: json_cell(row[key], key, where) for key in texts}}


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def dump_row(
    line: int, row: dict[str, Any], where: str, tolerance: Tolerance | None = None
) -> DumpRow:
    """Return the problem of one row; raise DataError if it has none of the forms.

    Args:
        line: Its line.
        row: The row.
        where: What names its place.
        tolerance: How far answers may be off where the row has no labels.
    """
    question, gold = _first(row, _QUESTION), _first(row, _GOLD)
    if not isinstance(question, str) or not question.strip() or gold is None:
        raise DataError(
            f"{where}: a question and a gold answer are needed (found: {', '.join(row)}; "
            f"accepted: {ACCEPTED})."
        )
    final = gold_number(str(gold))
    given = tuple(_candidate(item, final, where, tolerance) for item in _items(row, where))
    if not given:
        raise DataError(
            f"{where}: there are no candidates (found: {', '.join(row)}; accepted: {ACCEPTED})."
        )
    said = [f"{key}={row[key]}" for key in _CONFIGURATION if _is_plain(row.get(key))]
    name = ", ".join([*said, f"N={len(given)}"])
    return DumpRow(line, question.strip(), final, given, name)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and len(str(value)) <= 80


def _items(row: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the candidates of a line as mappings, whatever the form."""
    candidates = row.get("candidates")
    if candidates is None:
        return [v for v in row.values() if isinstance(v, dict) and "solution" in v]
    if not isinstance(candidates, list):
        raise DataError(f"{where}: 'candidates' must be a list.")
    if all(isinstance(item, dict) for item in candidates):
        return candidates
    scores = next((name for name in SCORES if name in row), "scores")
    columns = {"answer": "candidate_answers", "correct": "candidate_correct", "score": scores}
    items: list[dict[str, Any]] = [{"text": text} for text in candidates]
    for key, column in columns.items():
        values = row.get(column)
        if values is None:
            continue
        if not isinstance(values, list) or len(values) != len(items):
            raise DataError(f"{where}: {column!r} must have as many entries as 'candidates'.")
        for item, value in zip(items, values, strict=True):
            item[key] = value
    return items


def _candidate(item: dict[str, Any], gold: str, where: str, tolerance: Tolerance | None) -> Given:
    text = item.get("text", item.get("solution"))
    if text is not None and not isinstance(text, str):
        raise DataError(f"{where}: a candidate's text must be a text, it is {str(text)[:40]!r}.")
    text = text or ""
    found = item["answer"] if "answer" in item else chat(text).answer
    answer = str(found).strip() if found is not None else None
    label = _label(item.get("correct", item.get("is_correct")), where)
    score = _score(item.get("score", item.get("energy")), where)
    correct = is_correct("chat", answer, gold, tolerance) if label is None else label
    return Given(text, answer or None, correct, score)


def _label(value: Any, where: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    known = _LABELS.get(str(value).strip().casefold())
    if known is None:
        raise DataError(f"{where}: a label must be true or false (or 1 or 0), it is {value!r}.")
    return known


def _score(value: Any, where: str) -> float | None:
    if value is None:
        return None
    try:
        score = float(value) if not isinstance(value, (bool, list, dict)) else math.nan
    except (ValueError, OverflowError):
        score = math.nan
    if not math.isfinite(score):
        shown = str(value)[:40] if isinstance(value, str) else repr(value)[:40]
        raise DataError(f"{where}: a score must be a finite number or null, it is {shown}.")
    return score


def has_labels(row: Mapping[str, Any]) -> bool:
    """Return whether a row says itself which of its candidates are right."""
    candidates = row.get("candidates")
    if isinstance(candidates, list) and candidates and isinstance(candidates[0], dict):
        return "correct" in candidates[0] or "is_correct" in candidates[0]
    return not isinstance(candidates, list) or "candidate_correct" in row
