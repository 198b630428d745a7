"""Files of candidates that others made: one problem a line, in any of the published forms.

Read are the common record (``question``, ``gold``, ``candidates`` of ``text``, ``answer``,
``correct`` and perhaps ``score``), the same as parallel lists (``candidates``,
``candidate_answers``, ``candidate_correct``, ``energies``), and one column per generator that holds
``solution`` and ``is_correct``. What such files suffer from is found and told, and never averaged
in: rows that come twice, rows of several configurations, placeholders instead of samples.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trimtab.core.errors import DataError
from trimtab.core.keys import content_key
from trimtab.datasets.files import read_jsonl
from trimtab.text.answers import canonical, chat, gold_number, is_correct
from trimtab.text.overlap import normalise_question, words

_GOLD = ("gold", "ground_truth", "target", "answer", "final")
_SCORES = ("energies", "scores", "candidate_scores", "candidate_energies")
_CONFIGURATION = (
    "config", "configuration", "config_hash", "fingerprint", "gen_hash", "model", "generator",
    "template", "prompt_hash", "temperature",
)  # fmt: skip
_PLACEHOLDER = re.compile(
    r"\W*(?:placeholder|dummy|mock|lorem ipsum|todo|tbd|n/?a|none|null|your (?:answer|solution))\b",
    re.IGNORECASE,
)
# A phrase that fits any problem is a placeholder only in a file whose other texts are solutions.
_MAX_PLACEHOLDER_SHARE = 0.2
_MIN_SIDE = 20
_SHIFT = 30.0


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


@dataclass(frozen=True)
class Finding:
    """Something wrong with a file: what, and the lines that it was found on."""

    what: str
    detail: str


@dataclass(frozen=True)
class Dump:
    """A file of candidates, cleaned.

    Attributes:
        configurations: Label -> rows that were made in one way; the largest comes first.
        findings: What was left out or looks wrong.
        score_name: What the file calls its scores; None if it has none.
        labelled: Whether the file itself says which candidates are right.
    """

    configurations: dict[str, list[DumpRow]]
    findings: list[Finding]
    score_name: str | None
    labelled: bool


def read_dump(path: Path) -> Dump:
    """Return the candidates of ``path``.

    Raises:
        DataError: It can't be read, a line has none of the forms, or nothing usable is left.
    """
    lines = read_jsonl(path, "FILE")
    rows = [_row(number, row, where) for number, (where, row) in enumerate(lines, start=1)]
    findings: list[Finding] = []
    rows = _without_placeholders(rows, findings)
    rows = _without_repeats(rows, findings)
    if not rows:
        raise DataError(f"{path} holds no usable problem: {'; '.join(f.what for f in findings)}.")
    groups: defaultdict[str, list[DumpRow]] = defaultdict(list)
    for row in rows:
        groups[row.configuration].append(row)
    ordered = dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))
    if len(ordered) > 1:
        sizes = ", ".join(f"{name}: {len(some)} rows" for name, some in ordered.items())
        findings.append(Finding("several configurations", f"kept apart ({sizes})"))
    ordered = {name: _find_shift(name, some, findings) for name, some in ordered.items()}
    first = lines[0][1]
    named = next((name for name in _SCORES if name in first), None)
    scored = any(given.score is not None for row in rows for given in row.candidates)
    return Dump(
        ordered,
        findings,
        ("energy" if named is None or "energ" in named else "score") if scored else None,
        _labels(first),
    )


def _labels(row: Mapping[str, Any]) -> bool:
    candidates = row.get("candidates")
    if isinstance(candidates, list) and candidates and isinstance(candidates[0], dict):
        return "correct" in candidates[0]
    return not isinstance(candidates, list) or "candidate_correct" in row


def _row(line: int, row: dict[str, Any], where: str) -> DumpRow:
    question = row.get("question") or row.get("problem")
    gold = next((row[key] for key in _GOLD if row.get(key) is not None), None)
    if not isinstance(question, str) or gold is None:
        raise DataError(
            f"{where}: a question and a gold answer are needed (found: {', '.join(row)})."
        )
    final = canonical(gold_number(str(gold)))
    given = tuple(_candidate(item, final, where) for item in _items(row, where))
    if not given:
        raise DataError(f"{where}: there are no candidates (found: {', '.join(row)}).")
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
    scores = next((name for name in _SCORES if name in row), "scores")
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


def _candidate(item: dict[str, Any], gold: str, where: str) -> Given:
    text = item.get("text", item.get("solution"))
    if text is not None and not isinstance(text, str):
        raise DataError(f"{where}: a candidate's text must be a text, it is {str(text)[:40]!r}.")
    text = text or ""
    found = item["answer"] if "answer" in item else chat(text).answer
    answer = str(found).strip() if found is not None else None
    label = item.get("correct", item.get("is_correct"))
    score = item.get("score", item.get("energy"))
    if score is not None and not (isinstance(score, (int, float)) and math.isfinite(score)):
        raise DataError(f"{where}: a score must be a finite number or null, it is {score!r}.")
    correct = is_correct("chat", answer, gold) if label is None else bool(label)
    return Given(text, answer or None, correct, None if score is None else float(score))


def _without_placeholders(rows: list[DumpRow], findings: list[Finding]) -> list[DumpRow]:
    """Drop rows whose candidates are no model's samples: blank, named so, or fitting any problem.

    The last is a text that, but for its digits, stands in rows of other questions too, and has no
    longer word in common with its own question.
    """
    questions: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        for given in row.candidates:
            questions[_masked(given.text)].add(row.question)
    plain = [row for row in rows if all(_is_blank(given.text) for given in row.candidates)]
    general = [
        row
        for row in rows
        if row not in plain
        and all(
            len(questions[_masked(given.text)]) > 1 and not _mentions(given.text, row.question)
            for given in row.candidates
        )
    ]
    if len(general) > _MAX_PLACEHOLDER_SHARE * len(rows):
        general = []
    dropped = sorted(row.line for row in [*plain, *general])
    if dropped:
        detail = f"{len(dropped)} rows left out, lines {_shown(dropped)}"
        findings.append(Finding("placeholders instead of samples", detail))
    return [row for row in rows if row.line not in set(dropped)]


def _is_blank(text: str) -> bool:
    return not text.strip() or _PLACEHOLDER.match(text) is not None


def _masked(text: str) -> str:
    return " ".join(re.sub(r"\d+", "0", text).casefold().split())


def _mentions(text: str, question: str) -> bool:
    return any(len(word) > 4 for word in set(words(text)) & set(words(question)))


def _without_repeats(rows: list[DumpRow], findings: list[Finding]) -> list[DumpRow]:
    """Keep the first row of each question and configuration."""
    first: dict[tuple[str, str], DumpRow] = {}
    same: list[int] = []
    other: list[int] = []
    for row in rows:
        kept = first.setdefault((normalise_question(row.question), row.configuration), row)
        if kept is not row:
            (same if kept.candidates == row.candidates else other).append(row.line)
    for lines, what in ((same, "the same candidates"), (other, "other candidates")):
        if lines:
            detail = f"{len(lines)} rows left out, lines {_shown(lines)}; the first ones count"
            findings.append(Finding(f"questions that come again with {what}", detail))
    return list(first.values())


def _find_shift(name: str, rows: list[DumpRow], findings: list[Finding]) -> list[DumpRow]:
    """Return the rows, in two parts if the way of answering changes, as between two prompts.

    The share of answers behind a box or ``####`` is compared before and after each line; told is
    the largest chi-squared, if it is one that hardly comes about by chance at any line.
    """
    marked = [
        (sum(chat(given.text).rule in ("boxed", "hash") for given in row.candidates), row)
        for row in rows
    ]
    size = len(rows[0].candidates)
    total, n = sum(count for count, _ in marked), len(marked)
    best, before, at = 0.0, 0, 0
    for index, (count, _) in enumerate(marked, start=1):
        before += count
        if _MIN_SIDE <= index <= n - _MIN_SIDE:
            chi = _chi_squared(before, index * size, total - before, (n - index) * size)
            # candidates of one problem are alike, so a row counts as one observation
            if chi / size > best:
                best, at = chi / size, index
    if best <= _SHIFT:
        return rows
    left = sum(count for count, _ in marked[:at]) / (at * size)
    right = sum(count for count, _ in marked[at:]) / ((n - at) * size)
    border = rows[at].line
    detail = (
        f"{name}: from line {border} on {100 * right:.0f} % of answers are boxed or behind ####, "
        f"before {100 * left:.0f} %; both parts have tables of their own"
    )
    findings.append(Finding("looks like two configurations", detail))
    names = (f"lines before {border}", f"lines from {border} on")
    return [replace(row, part=names[row.line >= border]) for row in rows]


def _chi_squared(a: int, n: int, b: int, m: int) -> float:
    rate = (a + b) / (n + m)
    if rate in (0.0, 1.0):
        return 0.0
    return (a / n - b / m) ** 2 / (rate * (1 - rate) * (1 / n + 1 / m))


def _shown(lines: Sequence[int]) -> str:
    return ", ".join(map(str, lines[:8])) + (", ..." if len(lines) > 8 else "")


def question_id(question: str) -> str:
    """Return the id of a question in an imported run."""
    return f"c-{content_key(normalise_question(question), 12)}"
