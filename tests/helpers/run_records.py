"""What two runs must agree on, and how far a run has come."""

import json
from pathlib import Path

PASSING = ("attempt", "time", "crc")


def records(run: Path) -> dict[str, list[str]]:
    """Return all rows of a run without the two fields that may differ, merged, by folder."""
    found: dict[str, dict[tuple, str]] = {}
    for path in sorted([*run.glob("completions/*/*.jsonl"), *run.glob("scores/*/*/*.jsonl")]):
        folder = str(path.parent.relative_to(run))
        for line in path.read_bytes().split(b"\n")[:-1]:
            row = {k: v for k, v in json.loads(line).items() if k not in PASSING}
            key = (row["sample_id"], row["index"])
            found.setdefault(folder, {}).setdefault(key, json.dumps(row, sort_keys=True))
    return {folder: sorted(rows.values()) for folder, rows in found.items()}


def num_records(run: Path) -> int:
    """Return how many lines are on disk, counting the plan and files of artifacts as one each."""
    files = [*run.glob("completions/*/*.jsonl"), *run.glob("scores/*/*/*.jsonl")]
    lines = sum(path.read_bytes().count(b"\n") for path in files)
    made = [path for path in run.glob("artifacts/**/*") if path.is_file()]
    return lines + len([*made, *run.glob("plan/0*.json")])


def fitted(run: Path) -> dict[str, bytes]:
    """Return the bytes of all files of artifacts, checkpoints too, but not how long they took."""
    files = [path for path in run.glob("artifacts/**/*") if path.is_file()]
    made = [path for path in files if path.name != "timings.jsonl"]
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(made)}
