"""Read runs of format 1: one ``plan.json``, and files by the names that they had then.

Only ``Run`` asks here. Format 2 is what this version writes; a run of format 1 is never changed but
for what is added to it (scores, attempts, a report).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trimtab.core.plan import Plan

OLD_NAMES = {
    "checks.json": "gates.json",
    "strengths.json": "doses.json",
    "usage.jsonl": "load.jsonl",
}
"""What files are called in format 1, by their name of today."""

Protocol = Callable[[Mapping[str, Any]], tuple[str, str]]
"""Returns rendering and protocol of a task, given as ``{"name": ..., "config": ...}``."""


def present(folder: Path, name: str) -> Path:
    """Return the file ``name`` of ``folder``, or the one that has its place in format 1."""
    old = folder / OLD_NAMES[name]
    return old if old.is_file() and not (folder / name).is_file() else folder / name


def upgraded(plan: Mapping[str, Any], task_of: Protocol) -> Plan:
    """Return the plan of format 1 that ``plan.json`` holds as a plan of today.

    Args:
        plan: What the file holds.
        task_of: Finds what cells of format 1 do not say: rendering and protocol.
    """
    fits = [_fit(artifact) for artifact in plan["artifacts"]]
    fits += {
        judge["fit"]["key"]: _judge_fit(judge) for judge in plan["judges"] if judge["fit"]
    }.values()
    names = {key: name for fit in fits for name, key in fit["artifacts"].items()}
    fragment = {
        "number": 0,
        "reason": "the experiment as configured",
        "cells": [_cell(cell, task_of) for cell in plan["cells"]],
        "fits": fits,
        "judges": [judge_plan(judge, names) for judge in plan["judges"]],
    }
    kept = {name: plan[name] for name in ("recipe", "name", "baseline", "window", "seed")}
    return Plan.model_validate({"format": 1, **kept, "fragments": [fragment]})


def judge_plan(judge: Mapping[str, Any], names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the plan of a judge of format 1 as one of today; ``names`` are those of artifacts."""
    if "fit" not in judge:
        return dict(judge)
    kept = {name: value for name, value in judge.items() if name != "fit"}
    if judge["fit"] is None:
        return kept
    key = judge["fit"]["key"]
    return {**kept, "artifacts": {(names or {}).get(key, "energy"): key}}


def _cell(cell: Mapping[str, Any], task_of: Protocol) -> dict[str, Any]:
    dropped = ("artifact", "gate", "coordinates")
    kept = {name: value for name, value in cell.items() if name not in dropped}
    artifacts = {"vector": cell["artifact"], "gate": cell["gate"]}
    rendering, protocol = task_of(cell["task"])
    return {
        **kept,
        "control": _control(cell),
        "coordinates": {
            "strength" if name == "dose" else name: value
            for name, value in cell["coordinates"].items()
        },
        "rendering": rendering,
        "protocol": protocol,
        "artifacts": {name: key for name, key in artifacts.items() if key is not None},
    }


def _control(cell: Mapping[str, Any]) -> str | None:
    """Return what a control of format 1 controls for, by the words that told it then."""
    if cell["role"] != "control":
        return None
    if cell["intervention"]["name"] == "prompt":
        return "prompt"
    words = (cell["coordinates"].get("series"), cell["intervention"]["name"], cell["condition"])
    return "random" if any("random" in str(word) for word in words) else None


def _fit(artifact: Mapping[str, Any]) -> dict[str, Any]:
    rendering = artifact["rendering"]
    inputs: dict[str, Any] = {}
    for name, split in (("pairs", "fit"), ("select_pairs", "select")):
        if artifact[name] is not None:
            key = artifact[name]
            inputs[name] = {"kind": "pairs", "key": key, "split": split, "rendering": rendering}
    for part in artifact["prompts"]:
        label = "holds" if part["holds"] else "fails"
        inputs[f"{label}_{part['split']}"] = {
            "kind": "prompts",
            "key": part["samples"],
            "split": part["split"],
            "rendering": part["rendering"],
            "label": label,
        }
    return {
        "key": artifact["key"],
        "component": artifact["component"],
        "owner": "intervention",
        "model": artifact["model"],
        "model_identity": artifact["model_identity"],
        "inputs": inputs,
        "artifacts": {"gate" if artifact["prompts"] else "vector": artifact["key"]},
        "seed": artifact["seed"],
    }


def _judge_fit(judge: Mapping[str, Any]) -> dict[str, Any]:
    fit = judge["fit"]
    return {
        "key": fit["key"],
        "component": judge["component"],
        "owner": "judge",
        "model": judge["model"],
        "model_identity": judge["model_identity"],
        "inputs": {
            name: {"cells": fit[name], "judges": [fit["labels"]]} for name in ("fit", "select")
        },
        "reward": fit["labels"],
        "metric": fit["metric"],
        "artifacts": {"energy": fit["key"]},
        "seed": fit["seed"],
    }
