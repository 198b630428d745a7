"""``bench/equal_runs.py`` sees a change of the last digit, and sees through a change of layout."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from equal_runs import compare_runs, place_before

KEPT = Path(__file__).parents[1] / "data" / "run_977cf48"


@pytest.fixture(params=["steering", "best_of_n"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a copy of a kept run with its summary in place."""
    run = shutil.copytree(KEPT / request.param, tmp_path / "old")
    shutil.copy(KEPT / f"{request.param}_summary.json", run / "summary.json")
    return run


@pytest.fixture
def new(old: Path) -> Path:
    return shutil.copytree(old, old.with_name("new"))


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text())), ensure_ascii=False))


def test_a_run_equals_itself_whenever_its_rows_were_written(old: Path, new: Path) -> None:
    for path in [*new.glob("completions/*/*.jsonl"), *new.glob("scores/*/*/*.jsonl")]:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        later = [row | {"attempt": 7, "time": 1.5} for row in rows]
        text = "".join(f"{json.dumps(row)}\n" for row in later)
        path.unlink()
        (path.parent / "a0007-e00000001.jsonl").write_text(text)
    comparison = compare_runs(old, new)
    assert comparison.equal, comparison.differences
    assert min(comparison.counts[kind] for kind in ("keys", "scores", "tensors", "summary")) > 0


def _next_digit(before: str) -> Callable[[Path], None]:
    """Return what changes the last digit of the first number after ``before`` in a file."""

    def damage(path: Path) -> None:
        text = path.read_text()
        number = re.compile(r"-?[\d.]+").search(text, text.index(before))
        assert number is not None
        at = number.end() - 1
        path.write_text(f"{text[:at]}{(int(text[at]) + 1) % 10}{text[at + 1 :]}")

    return damage


def _flip_last_byte(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def _drop_last_row(path: Path) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("pattern", "damage", "kind"),
    [
        ("completions/*/*.jsonl", _next_digit('"num_prompt_tokens":'), "completions"),
        ("completions/*/*.jsonl", _drop_last_row, "completions"),
        ("scores/exact-*/*/*.jsonl", _next_digit('"exact":'), "scores"),
        ("artifacts/*/*.safetensors", _flip_last_byte, "tensors"),
        ("artifacts/*/artifact.json", _next_digit('"seed": '), "artifacts"),
        ("samples/*.jsonl", _drop_last_row, "samples"),
        ("plan.json", _next_digit('"window": '), "plan"),
        ("summary.json", _next_digit('"mean":'), "summary"),
    ],
)
def test_one_digit_is_found(
    old: Path, new: Path, pattern: str, damage: Callable[[Path], None], kind: str
) -> None:
    damage(min(new.glob(pattern)))
    comparison = compare_runs(old, new)
    assert [name for name, lines in comparison.differences.items() if lines] == [kind]


def test_a_key_that_moved_is_found(old: Path, new: Path) -> None:
    def move(plan: dict[str, Any]) -> dict[str, Any]:
        plan["judges"][0]["key"] += "0"
        return plan

    rewrite(new / "plan.json", move)
    assert compare_runs(old, new).differences["keys"]


def test_a_new_layout_is_seen_through(old: Path, new: Path) -> None:
    plan = json.loads((new / "plan.json").read_text())
    (new / "plan.json").unlink()
    (new / "plan").mkdir()
    head = {name: plan[name] for name in ("recipe", "name", "baseline", "window", "seed")}
    (new / "plan" / "head.json").write_text(json.dumps({"format": 2, "headline": "x", **head}))
    fits = [{"artifacts": {"vector": fit["key"]}} for fit in plan["artifacts"]]
    for judge in plan["judges"]:
        fit = judge.pop("fit")
        fits += [{"artifacts": {"model": fit["key"]}}] if fit else []
        judge["artifacts"] = {"model": fit["key"]} if fit else {}
    for cell in plan["cells"]:
        named = {"vector": cell.pop("artifact"), "gate": cell.pop("gate")}
        cell["artifacts"] = {name: key for name, key in named.items() if key}
        cell["coordinates"] = _say_strength(cell["coordinates"])
    first = {"cells": plan["cells"][:3], "fits": fits, "judges": plan["judges"]}
    second = {"cells": plan["cells"][3:], "fits": [], "judges": []}
    for number, fragment in enumerate((first, second)):
        (new / "plan" / f"{number:04d}.json").write_text(json.dumps(fragment))
    if (new / "doses.json").is_file():
        (new / "doses.json").rename(new / "strengths.json")
    (new / "gates.json").rename(new / "checks.json")

    def in_sections(summary: dict[str, Any]) -> dict[str, Any]:
        moved = {name: summary.pop(name) for name in ("selection", "measures", "conditions")}
        return {**summary, "version": 2, "sections": _say_strength(moved)}

    rewrite(new / "summary.json", in_sections)
    comparison = compare_runs(old, new)
    assert comparison.equal, comparison.differences
    assert [note for note in comparison.notes if note.startswith("version")]


def _say_strength(value: Any) -> Any:
    if isinstance(value, dict):
        return {{"dose": "strength"}.get(k, k): _say_strength(v) for k, v in value.items()}
    return [_say_strength(item) for item in value] if isinstance(value, list) else value


def test_a_place_that_moved_is_suggested(old: Path, new: Path) -> None:
    def wrap(summary: dict[str, Any]) -> dict[str, Any]:
        numbers = {"of": summary.pop("measures")}
        return {**summary, "sections": {"numbers": numbers}}

    rewrite(new / "summary.json", wrap)
    comparison = compare_runs(old, new)
    assert not comparison.equal
    assert "MOVED may lack 'numbers.of': 'measures'" in "\n".join(comparison.notes)


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ("seed", "seed"),
        ("sections.anything.0.n", "anything.0.n"),
        ("sections.selection.sets.0.n", "selection.0.n"),
        ("sections.adaptive.measures.a.b.gates", "measures.a.conditions.b.adaptive.gates"),
        ("sectionsx.selection.sets", "sectionsx.selection.sets"),
    ],
)
def test_the_longest_place_that_moved_counts(now: str, before: str) -> None:
    assert place_before(now) == before
