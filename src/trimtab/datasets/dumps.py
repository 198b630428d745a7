"""Files of candidates that others made: read, and cleaned of what such files suffer from.

Rows that come twice, rows of several configurations and placeholders instead of samples are found
and told, and never averaged in. The forms of rows are those of ``candidates``.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from trimtab.core.counted import counted
from trimtab.core.errors import DataError
from trimtab.core.keys import content_key
from trimtab.datasets.candidates import SCORES, DumpRow, dump_row, gather, has_labels
from trimtab.datasets.files import read_rows
from trimtab.datasets.findings import Finding, lines_shown
from trimtab.datasets.placeholders import without_placeholders
from trimtab.datasets.styles import find_shift
from trimtab.text.numerals import number
from trimtab.text.overlap import normalise_question
from trimtab.text.tolerance import Tolerance, needs_tolerance


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


def read_dump(path: Path, tolerance: Tolerance | None = None) -> Dump:
    """Return the candidates of ``path``.

    Args:
        path: JSON lines, or CSV with a candidate a row.
        tolerance: How far answers may be off where the file has no labels.

    Raises:
        DataError: It can't be read, a line has none of the forms, nothing usable is left, or labels
            are missing where reference answers have more than two decimals and no tolerance is
            given.
    """
    lines = gather(read_rows(path, "FILE"))
    read = [dump_row(int(where.rpartition(" ")[2]), row, where, tolerance) for where, row in lines]
    rows, findings = without_placeholders(read)
    rows = _without_repeats(rows, findings)
    if not rows:
        what = "; ".join(f"{finding.what} ({finding.detail})" for finding in findings)
        raise DataError(f"{path.absolute()} holds no usable problem: {what or 'no row'}.")
    _check_rounding(lines[0][0], rows, findings, has_labels(lines[0][1]), tolerance)
    groups: defaultdict[str, list[DumpRow]] = defaultdict(list)
    for row in rows:
        groups[row.configuration].append(row)
    ordered = dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))
    if len(ordered) > 1:
        sizes = ", ".join(f"{name}: {counted(len(some), 'row')}" for name, some in ordered.items())
        findings.append(Finding("several configurations", f"kept apart ({sizes})"))
    ordered = {name: find_shift(name, some, findings) for name, some in ordered.items()}
    first = lines[0][1]
    named = next((name for name in SCORES if name in first), None)
    scored = any(given.score is not None for row in rows for given in row.candidates)
    return Dump(
        ordered,
        findings,
        ("energy" if named is None or "energ" in named else "score") if scored else None,
        has_labels(first),
    )


def _check_rounding(
    where: str,
    rows: list[DumpRow],
    findings: list[Finding],
    labelled: bool,
    tolerance: Tolerance | None,
) -> None:
    """Tell of reference answers with many decimals; raise DataError where labels rest on them."""
    lines = [row.line for row in rows if needs_tolerance(row.gold) and _is_number(row.gold)]
    if not lines or tolerance is not None:
        return
    if not labelled:
        raise DataError(
            f"{where}: there are no labels, and the reference answers of lines "
            f"{lines_shown(lines)} have more than two decimals, so equality would measure the "
            f"rounding.",
            hint="Give --tolerance relative-0.001 (or absolute-0.01, or exact).",
        )
    detail = f"lines {lines_shown(lines)}; the judge `number` compares them exactly"
    findings.append(Finding("reference answers with more than two decimals", detail))


def _is_number(gold: str) -> bool:
    return number(gold) is not None


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
            out = f"{counted(len(lines), 'row')} left out, lines {lines_shown(lines)}"
            detail = f"{out}; the first ones count"
            findings.append(Finding(f"questions that come again with {what}", detail))
    return list(first.values())


def question_id(question: str) -> str:
    """Return the id of a question in an imported run."""
    return f"c-{content_key(normalise_question(question), 12)}"
