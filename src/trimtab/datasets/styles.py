"""Whether a file was made in one way, or in two one after the other, as between two prompts."""

from __future__ import annotations

from dataclasses import replace

from trimtab.datasets.candidates import DumpRow
from trimtab.datasets.findings import Finding
from trimtab.text.answers import chat

_MIN_SIDE = 20
_SHIFT = 30.0


def find_shift(name: str, rows: list[DumpRow], findings: list[Finding]) -> list[DumpRow]:
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
