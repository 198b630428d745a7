"""Compare two runs of one experiment that two versions of trimtab made: did any number move?

    python bench/equal_runs.py OLD_RUN NEW_RUN [--show 20]

Files are read as plain JSON, so either run may have the layout of any version: ``plan.json`` or
``plan/``, ``doses.json`` or ``strengths.json``, sections in ``summary.json`` or none. Compared are

- plans: keys of cells, artifacts and judges, in their order, and what cells and judges say;
- sets of samples and contrast pairs, to the byte;
- completions and scores, merged from their segments, to the byte but for ``PASSING``;
- tensors of artifacts, training checkpoints among them, to the bit; numbers of ``artifact.json``;
- strengths of cells in their three units;
- every number and word of ``summary.json``; its place may move, see ``MOVED`` and ``RENAMED``.

Honesty checks and the finding, which are sentences, are shown where they differ and do not count.
The exit status is 1 if anything that counts differs. Pin the threads of both runs
(``OMP_NUM_THREADS=1``): a sum that is cut in another number of parts ends in other digits.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Leaves = dict[str, Any]

# ------------------------------------------------------------------ what a redesign may move

MOVED: dict[str, str] = {
    # place in summary.json now -> place before; `*` stands for one step, and the rest follows
    "sections.*": "*",
    "sections.adaptive.measures.*.*": "measures.*.conditions.*.adaptive",
    "sections.behaviours.behaviours": "behaviours",
    "sections.judging.agreement": "agreement",
    "sections.judging.checks": "judge_checks",
    "sections.judging.corrected.*.*.*": "measures.*.conditions.*.metrics.*.corrected",
    "sections.learned.networks": "learned",
    "sections.rerankers.rerankers": "rerankers",
    "sections.selection.sets": "selection",
    "sections.verdicts.verdicts": "verdicts",
}
ADDED = (
    *("headline", "sections.bank", "sections.behaviours.sides", "sections.controls"),
    *("sections.damage", "sections.effects", "sections.vectors"),
)
"""Places in summary.json now that hold what stood in tables alone."""

RENAMED: dict[str, str] = {"dose": "strength", "doses": "strengths", "from": "tuned_on"}
"""Words that a step of a path may be, and what they are called now."""

ASIDE = ("finding", "version")
"""Keys of summary.json that are shown where they differ and do not count."""

PASSING = ("attempt", "time")
"""Fields in which the rows of two equal runs differ."""

FILES: dict[str, tuple[str, ...]] = {
    "strengths": ("strengths.json", "doses.json"),
    "checks": ("checks.json", "gates.json"),
}
"""Names of one file: now, before."""


# ------------------------------------------------------------------ what a comparison says


@dataclass
class Comparison:
    """What was compared and what differs.

    Attributes:
        counts: How much of each kind was compared.
        differences: Lines by kind; any of them makes the runs unequal.
        notes: Lines that do not.
    """

    counts: dict[str, int] = field(default_factory=dict)
    differences: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def compare(self, kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Compare two mappings name by name; a value of None is like none at all."""
        old, new = ({k: v for k, v in some.items() if v is not None} for some in (old, new))
        lines = self.differences.setdefault(kind, [])
        lines += [f"missing    {name} = {_short(old[name])}" for name in old if name not in new]
        lines += [f"extra      {name} = {_short(new[name])}" for name in new if name not in old]
        shared = [name for name in old if name in new]
        lines += [
            f"different  {name}: {_short(old[name])} -> {_short(new[name])}"
            for name in shared
            if not _same(old[name], new[name])
        ]
        self.counts[kind] = self.counts.get(kind, 0) + len(shared)

    @property
    def equal(self) -> bool:
        """Whether nothing that counts differs."""
        return not any(self.differences.values())

    def lines(self, show: int) -> Iterator[str]:
        """Yield what to print; at most ``show`` lines of each kind."""
        for kind, lines in self.differences.items():
            verdict = f"{len(lines)} differ" if lines else "equal"
            yield f"{kind:<12} {self.counts.get(kind, 0):>8} compared, {verdict}"
            yield from (f"    {line}" for line in lines[:show])
            if len(lines) > show:
                yield f"    and {len(lines) - show} more"
        yield from (f"note: {line}" for line in self.notes[:show])
        yield "EQUAL" if self.equal else "NOT EQUAL"


def _same(old: Any, new: Any) -> bool:
    """Whether two values are one; 1 and 1.0 are, 1 and true are not."""
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 100 else f"{text[:97]}..."


# ------------------------------------------------------------------ reading


def flatten(value: Any, at: str = "") -> Leaves:
    """Return every number, word and truth value below ``value`` by its path, words renamed.

    Raises:
        ValueError: Two values come to lie at one path, so that one of them would not be compared.
    """
    steps: Iterable[tuple[Any, Any]]
    if isinstance(value, dict):
        steps = value.items()
    elif isinstance(value, list):
        steps = enumerate(value)
    else:
        return {at: value}
    leaves: Leaves = {}
    for step, inner in steps:
        name = RENAMED.get(str(step), str(step)).replace(".", "·")
        below = flatten(inner, f"{at}.{name}" if at else name)
        if twice := below.keys() & leaves.keys():
            raise ValueError(f"two values at {min(twice)!r}: correct RENAMED")
        leaves |= below
    return leaves


def numbers_of_summary(summary: Mapping[str, Any]) -> Leaves:
    """Return the leaves of a summary but those ``ASIDE``, each at the place it had before.

    Raises:
        ValueError: ``MOVED`` sends two values to one place.
    """
    placed: Leaves = {}
    for path, value in flatten(dict(summary)).items():
        if f"{path}.".startswith(tuple(f"{place}." for place in ADDED)):
            continue
        place = place_before(path)
        if place.split(".")[-1] in ASIDE:
            continue
        if place in placed and not _same(placed[place], value):
            raise ValueError(f"two values at {place!r}, one from {path!r}: correct MOVED")
        placed[place] = value
    return placed


def place_before(path: str) -> str:
    """Return where the value at ``path`` of a summary was before, by the longest entry."""
    for now in sorted(MOVED, key=len, reverse=True):
        pattern = re.escape(now).replace(r"\*", r"([^.]+)")
        if match := re.match(rf"{pattern}(?=\.|$)", path):
            before = MOVED[now]
            for step in match.groups():
                before = before.replace("*", step, 1)
            return f"{before}{path[match.end() :]}".strip(".")
    return path


def suggest_moves(old: Leaves, new: Leaves) -> list[str]:
    """Return what ``MOVED`` may lack: places that hold the values which elsewhere are missing."""
    extra: dict[tuple[str, str], list[str]] = {}
    for path in new.keys() - old.keys():
        extra.setdefault((path.split(".")[-1], _short(new[path])), []).append(path)
    moves: Counter[tuple[str, str]] = Counter()
    for path in old.keys() - new.keys():
        candidates = extra.get((path.split(".")[-1], _short(old[path])), [])
        shortest = [_without_end(path, other) for other in candidates]
        if shortest:
            moves[min(shortest, key=lambda pair: (len(pair[0]), pair))] += 1
    return [
        f"MOVED may lack {now!r}: {before!r}, which would place {number} values"
        for (before, now), number in moves.most_common()
    ]


def _without_end(before: str, now: str) -> tuple[str, str]:
    """Return two paths without the steps that both end with."""
    left, right = before.split("."), now.split(".")
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    return ".".join(left), ".".join(right)


_OF_PLANS = ("recipe", "name", "baseline", "window", "seed")
_OF_BOTH = ("model", "model_identity", "output")
_OF_CELLS = (
    *("condition", "role", "measure", "task", "split", "samples", "intervention"),
    *("sampling", "num_samples", "reused", "seed"),
)
_OF_JUDGES = ("component", "metrics", "measures", "members")


def read_plan(run: Path) -> dict[str, list[dict[str, Any]]]:
    """Return cells, judges and artifact keys of a run, whichever layout it has."""
    if (run / "plan.json").is_file():
        parts = [_json(run / "plan.json")]
        head = parts[0]
    else:
        head = _json(run / "plan" / "head.json")
        parts = [_json(path) for path in sorted((run / "plan").glob("[0-9]*.json"))]
    added = run / "judges.json"
    judges = [judge for part in parts for judge in part.get("judges") or ()]
    judges += _json(added) if added.is_file() else []
    cells = [cell for part in parts for cell in part.get("cells") or ()]
    return {
        "head": [{name: head.get(name) for name in _OF_PLANS}],
        "cells": cells,
        "judges": judges,
        "artifacts": [{"key": key} for key in _artifact_keys(parts, judges)],
    }


def _artifact_keys(parts: Sequence[Mapping[str, Any]], judges: Sequence[Any]) -> list[str]:
    before = [fit["key"] for part in parts for fit in part.get("artifacts") or ()]
    before += [judge["fit"]["key"] for judge in judges if judge.get("fit")]
    now = [key for part in parts for fit in part.get("fits") or () for key in _keys_of(fit)]
    return sorted({*before, *now})


def _keys_of(planned: Mapping[str, Any]) -> list[str]:
    """Return the keys of the artifacts that a cell, a judge or a fit names."""
    before = [planned.get("artifact"), planned.get("gate"), (planned.get("fit") or {}).get("key")]
    return sorted({key for key in before if key} | {*(planned.get("artifacts") or {}).values()})


def _described(planned: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    described = {name: planned.get(name) for name in (*_OF_BOTH, *names)}
    described["coordinates"] = planned.get("coordinates") or {}
    described["artifacts"] = _keys_of(planned)
    return described


def merged_rows(folder: Path) -> dict[str, str]:
    """Return the rows of all segments of ``folder`` by sample and index, the first of each."""
    rows: dict[str, str] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            row = json.loads(line, parse_float=lambda digits: {"float": digits})
            kept = {k: v for k, v in row.items() if k not in PASSING}
            text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
            rows.setdefault(f"{row['sample_id']}[{row['index']}]", text)
    return rows


def tensors(path: Path) -> dict[str, str]:
    """Return number format, shape and a hash of the bytes of each tensor of a safetensors file."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8:start])
    header.pop("__metadata__", None)
    contents: dict[str, str] = {}
    for name, about in header.items():
        begin, end = (start + offset for offset in about["data_offsets"])
        digest = hashlib.sha256(data[begin:end]).hexdigest()
        contents[name] = f"{about['dtype']} {about['shape']} {digest}"
    return contents


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _either(run: Path, kind: str) -> Any:
    paths = [run / name for name in FILES[kind]]
    return next((_json(path) for path in paths if path.is_file()), {})


# ------------------------------------------------------------------ comparing


def compare_runs(old: Path, new: Path) -> Comparison:
    """Compare everything that the two runs hold."""
    comparison = Comparison()
    _compare_plans(comparison, read_plan(old), read_plan(new))
    for kind in ("samples", "pairs"):
        comparison.compare(
            kind,
            *({p.stem: p.read_text() for p in run.glob(f"{kind}/*.jsonl")} for run in (old, new)),
        )
    for kind, depth in (("completions", "*"), ("scores", "*/*")):
        comparison.compare(kind, *(_rows_below(run / kind, depth) for run in (old, new)))
    for kind, read in (("tensors", _tensors_below), ("artifacts", _artifacts_below)):
        comparison.compare(kind, read(old), read(new))
    comparison.compare("strengths", *(flatten(_either(run, "strengths")) for run in (old, new)))
    summaries = [_json(run / "summary.json") for run in (old, new)]
    comparison.compare("summary", *map(numbers_of_summary, summaries))
    comparison.notes += suggest_moves(*map(numbers_of_summary, summaries))
    _note_aside(comparison, summaries, [_either(run, "checks") for run in (old, new)])
    return comparison


def _compare_plans(comparison: Comparison, old: dict[str, Any], new: dict[str, Any]) -> None:
    for kind in ("cells", "artifacts", "judges"):
        keys = [[part["key"] for part in plan[kind]] for plan in (old, new)]
        ordered = [{f"{kind}[{n}]": key for n, key in enumerate(some)} for some in keys]
        comparison.compare("keys", *ordered)
    comparison.compare("plan", *(flatten(plan["head"]) for plan in (old, new)))
    for kind, names in (("cells", _OF_CELLS), ("judges", _OF_JUDGES)):
        described = [
            {part["key"]: _described(part, names) for part in plan[kind]} for plan in (old, new)
        ]
        comparison.compare("plan", *map(flatten, described))


def _rows_below(folder: Path, depth: str) -> dict[str, str]:
    return {
        f"{cell.relative_to(folder)} {name}": row
        for cell in sorted(folder.glob(depth))
        for name, row in merged_rows(cell).items()
    }


def _tensors_below(run: Path) -> dict[str, str]:
    folder = run / "artifacts"
    return {
        f"{path.relative_to(folder)} {name}": tensor
        for path in sorted(folder.rglob("*.safetensors"))
        for name, tensor in tensors(path).items()
    }


def _artifacts_below(run: Path) -> Leaves:
    return {
        f"{path.parent.name} {place}": value
        for path in sorted(run.glob("artifacts/*/artifact.json"))
        for place, value in flatten(_json(path)).items()
    }


def _note_aside(
    comparison: Comparison, summaries: Sequence[Mapping[str, Any]], checks: Sequence[Any]
) -> None:
    for name in ASIDE:
        texts = [summary.get(name) for summary in summaries]
        if texts[0] != texts[1]:
            comparison.notes.append(f"{name}: {texts[0]!r} -> {texts[1]!r}")
    details: list[dict[str, list[str]]] = []
    for phases in checks:
        by_name: dict[str, list[str]] = {}
        for check in (check for phase in phases.values() for check in phase):
            by_name.setdefault(check["name"], []).append(f"{check['status']}: {check['detail']}")
        details.append(by_name)
    aside = Comparison()
    aside.compare("checks", *details)
    comparison.notes += [f"check {line}" for line in aside.differences["checks"]]


def main() -> int:
    """Compare and tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="the old run, the new")
    parser.add_argument("--show", type=int, default=20, help="lines of each kind")
    args = parser.parse_args()
    if not args.runs:
        # `make bench` runs every script without arguments
        parser.print_help()
        return 0
    if len(args.runs) != 2:
        parser.error("give two runs")
    comparison = compare_runs(*args.runs)
    for line in comparison.lines(args.show):
        print(line)
    return 0 if comparison.equal else 1


if __name__ == "__main__":
    sys.exit(main())
