"""Judges that die, judges that come later, NaN weights, and the same model loaded once."""

import json
import shutil
from pathlib import Path

import pytest
from cli_process import trimtab

_BROKEN_JUDGE = '''
"""A judge that dies until a file appears."""

from pathlib import Path

from trimtab.core.spec import Metric, Spec
from trimtab.judges.base import Judge, Verdict

__all__ = ["Moody"]


class _Config(Spec):
    cure: str


class Moody(Judge[_Config]):
    Config = _Config
    metrics = (Metric(name="mood", kind="binary", role="effect"),)

    def score(self, items, resource):
        if not Path(self.config.cure).exists():
            raise MemoryError("out of memory in the judge")
        for number, _ in enumerate(items):
            yield number, Verdict({"mood": 1.0})
'''


def segments(run: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(run.glob("completions/*/*.jsonl"))}


def test_a_judge_that_dies_costs_nothing_and_scores_later(config: Path, tmp_path: Path) -> None:
    extension, cure, run = tmp_path / "mine", tmp_path / "cured", tmp_path / "run"
    (extension / "judges").mkdir(parents=True)
    (extension / "judges" / "moody.py").write_text(_BROKEN_JUDGE)
    logs = tmp_path / "logs"
    judges = f"judges=[text_health, {{name: moody, cure: '{cure}'}}]"
    done = trimtab(
        ["run", str(config), "--out", str(run), "-o", judges, "-o", f"extensions=['{extension}']"],
        logs,
    )
    assert done.code == 9, "memory is short for a judge as for anything else"
    assert "moody" in done.err and "Memory was short" in done.err and "Traceback" not in done.err
    assert (run / "report" / "index.html").is_file()
    assert list(run.glob("scores/text_health-*"))
    before = segments(run)
    cure.touch()
    done = trimtab(["score", str(run)], logs)
    assert done.code == 0, done.err
    assert segments(run) == before
    assert list(run.glob("scores/moody-*"))


def test_a_judge_is_added_to_a_finished_run(finished: Path, tmp_path: Path) -> None:
    run, logs = shutil.copytree(finished, tmp_path / "run"), tmp_path / "logs"
    before = segments(run)
    for judge in ("exact", "{name: exact, ignore_case: false}"):
        done = trimtab(["score", str(run), "--judge", judge], logs)
        assert done.code == 0, done.err
    assert segments(run) == before
    assert len(list(run.glob("scores/exact-*"))) == 2
    done = trimtab(["report", str(run)], logs)
    assert done.code == 0 and "exact" in (run / "report" / "report.md").read_text()
    done = trimtab(["score", str(run), "--judge", "exakt"], logs)
    assert done.code == 2 and "exact" in done.err


def test_checks_and_records_of_a_finished_run(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    rubrics = ", ".join(f"{{name: rubric, rubric: {name}}}" for name in ("truth", "info"))
    judges = f"judges=[semantic, {rubrics}]"
    done = trimtab(["run", str(config), "--out", str(run), "-o", judges], tmp_path / "logs")
    assert done.code == 0, done.err
    checks = [c for phase in json.loads((run / "checks.json").read_text()).values() for c in phase]
    zero = [c for c in checks if c["name"] == "strength 0 equals baseline"]
    assert len(zero) == 4 and all(g["status"] == "pass" for g in zero), zero
    assert not [c for c in checks if c["status"] == "fail"]
    artifact = json.loads(next(run.glob("artifacts/*/artifact.json")).read_text())
    assert artifact["index"] == "block_output_0based"
    # Random weights have no direction to find, so the cosine may well be clipped to 0.
    assert 0 <= artifact["layers"]["1"]["reliability"]["population_cosine"] <= 1
    rows = [
        json.loads(x) for p in run.glob("completions/*/*.jsonl") for x in p.read_text().splitlines()
    ]
    log = next(run.glob("attempts/*/log.txt")).read_text()
    assert log.count("loading the model") == 1, "subject, truth and info judge share one model"
    strengths = json.loads((run / "strengths.json").read_text())
    assert len(strengths) == 16 and all(
        {"raw", "unit", "relative"} == set(d) for d in strengths.values()
    )
    protocols = {row["protocol"] for row in rows}
    assert "truthfulqa/generation/chat" in protocols
    assert str(tmp_path) not in json.dumps(rows)


def test_dynamic_steering_from_yaml_to_the_report(config: Path, tmp_path: Path) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    dac = "conditions={dynamic: {name: dac, shots: 2, num_prompts: 4, steps: 6}}"
    argv = [
        "run",
        str(config),
        "--out",
        str(run),
        "-o",
        dac,
        "-o",
        "measures=[generation, options]",
    ]
    done = trimtab([*argv, "-o", "conditions.dynamic.layer=9"], logs)
    assert done.code == 2 and "layer = 9" in done.err and not (run / "plan").exists()
    done = trimtab(argv, logs)
    assert done.code == 0, done.err
    plan = json.loads((run / "plan" / "0000.json").read_text())
    (cell,) = [c for c in plan["cells"] if c["condition"] == "dynamic"]
    rows = [
        json.loads(x)
        for p in (run / "completions" / cell["key"]).glob("*.jsonl")
        for x in p.read_text().splitlines()
    ]
    assert len(rows) == 6
    for row in rows:
        (strengths,) = row["strengths"]
        assert len(strengths) == row["num_tokens"] and all(0 <= s <= 2 for s in strengths)
    assert sum(sum(row["strengths"][0]) for row in rows) > 0
    others = [
        json.loads(x) for p in run.glob("completions/*/*.jsonl") for x in p.read_text().splitlines()
    ]
    assert all(r["strengths"] is None for r in others if r["cell"] != cell["key"])
    summary = json.loads((run / "summary.json").read_text())
    measured = summary["measures"]["generation"]["conditions"]["dynamic"]
    assert (
        measured["counts"]["present"] == 6
        and summary["sections"]["adaptive"]["measures"]["generation"]["dynamic"]["strengths"]
    )
    assert "dynamic" not in summary["measures"]["options"]["conditions"]
    report = (run / "report" / "report.md").read_text()
    assert report.count("dynamic") > 2 and "Strengths chosen while running" in report


def test_gated_steering_and_heads_from_yaml_to_the_report(config: Path, tmp_path: Path) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    prose = {"name": "heldout", "fractions": {"fit": 0.25, "select": 0.25, "test": 0.5}}
    question = {"name": "truthfulqa", "form": "generation", "limit": 6}
    gate = {"open_on": question, "closed_on": prose, "layers": [0, 1]}
    conditions = {
        "gated": {"name": "caa", "layer": 1, "strength": 0.5, "gate": gate},
        "heads": {"name": "iti", "heads": 3, "strength": 5},
        "heads at random": {"name": "iti", "heads": 3, "strength": 5, "draw": 0},
    }
    overrides = [
        f"conditions={json.dumps(conditions)}",
        "heldout.fractions={fit: 0.25, select: 0.25, test: 0.5}",
        "measures=[generation, heldout]",
        "judges=[text_health]",
    ]
    argv = ["run", str(config), "--out", str(run), *(x for o in overrides for x in ("-o", o))]
    done = trimtab([*argv, "-o", "conditions.gated.gate.layers=[9]"], logs)
    assert done.code == 2 and "layer = 9" in done.err and not (run / "plan").exists()
    done = trimtab(argv, logs)
    assert done.code == 0, done.err
    plan = json.loads((run / "plan" / "0000.json").read_text())
    cells = {(c["condition"], c["measure"]): c for c in plan["cells"]}
    assert (
        cells["gated", "heldout"]["artifacts"]["vector"]
        == cells["caa +0.5", "heldout"]["artifacts"]["vector"]
    )
    assert {c["role"] for k, c in cells.items() if k[0] == "heads at random"} == {"control"}
    rows = [
        json.loads(x) for p in run.glob("completions/*/*.jsonl") for x in p.read_text().splitlines()
    ]
    by_cell = {key: [r for r in rows if r["cell"] == c["key"]] for key, c in cells.items()}
    assert all((r["gates"] is None) != k[0].startswith("gated") for k in cells for r in by_cell[k])

    def outputs(condition: str) -> dict[str, list[float]]:
        return {r["sample_id"]: r["option_logprobs"] for r in by_cell[condition, "heldout"]}

    plain, steered = outputs("baseline"), outputs("caa +0.5")
    for row in by_cell["gated", "heldout"]:
        expected = steered if row["gates"][0]["factor"] else plain
        assert row["option_logprobs"] == pytest.approx(expected[row["sample_id"]], abs=1e-4)
    assert outputs("heads") != plain != outputs("heads at random")
    summary = json.loads((run / "summary.json").read_text())
    for measure, count in (("generation", 6), ("heldout", 4)):
        (found,) = summary["sections"]["adaptive"]["measures"][measure]["gated"]["gates"]
        assert found["rows"] == count and 0 <= found["open"] <= 1
    assert "Gates of conditional interventions" in (run / "report" / "report.md").read_text()
    checks = [c for phase in json.loads((run / "checks.json").read_text()).values() for c in phase]
    assert not [c for c in checks if c["status"] == "fail"], checks


def test_sampled_answers_share_random_numbers_between_conditions(
    config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    overrides = ["sampling={max_tokens: 8, temperature: 1.0, top_p: 0.9}", "num_samples=3"]
    argv = ["run", str(config), "--out", str(run), "-o", "measures=[generation]"]
    argv += ["-o", "judges=[text_health]", *(x for o in overrides for x in ("-o", o))]
    done = trimtab(argv, tmp_path / "logs")
    assert done.code == 0, done.err
    checks = json.loads((run / "checks.json").read_text())["generate"]
    zero = [c for c in checks if c["name"] == "strength 0 equals baseline"]
    assert [(g["status"], g["detail"]) for g in zero] == [
        ("pass", "18 of 18 rows equal (generation)")
    ]
    rows = [
        json.loads(x) for p in run.glob("completions/*/*.jsonl") for x in p.read_text().splitlines()
    ]
    texts = {(r["cell"], r["sample_id"], r["index"]): r["text"] for r in rows}
    assert len(texts) == 6 * 6 * 3 and len(set(texts.values())) > 40


def test_nan_weights_stop_the_run_with_the_layers_name(
    config: Path, tmp_path: Path, tiny_model: Path
) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["model.layers.2.mlp.up_proj.weight"][0, 0] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    run = tmp_path / "run"
    argv = ["run", str(config), "--out", str(run), "-o", f"model.id={broken}"]
    done = trimtab(argv, tmp_path / "logs")
    assert done.code == 4, done.err
    assert "model.layers.2" in done.err and "up_proj" in done.err and "Traceback" not in done.err
    assert not (run / "summary.json").exists() and "mc1" not in done.out


@pytest.mark.parametrize("phase", ["fit", "generate", "score"])
def test_phases_run_one_by_one_as_their_own_commands(
    config: Path, tmp_path: Path, phase: str
) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    overrides = ["task.limit=3", "measures=[generation, options]", "judges=[text_health]"]
    argv = ["plan", str(config), "--out", str(run), *(x for o in overrides for x in ("-o", o))]
    assert trimtab(argv, logs).code == 0
    for command in ["fit", "generate", "score"]:
        done = trimtab([command, str(run)], logs)
        assert done.code == 0, done.err
        if command == phase:
            break
    done = trimtab(["resume", str(run)], logs)
    assert done.code == 0, done.err
    done = trimtab(["status", str(run)], logs)
    assert done.code == 0
