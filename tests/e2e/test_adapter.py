"""An adapter through every phase: read once, kept with the run, on rows beside those of none."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from cli_process import trimtab
from random_adapters import merged, random_adapter

from trimtab.core.spec import ModelSpec
from trimtab.engine.engine import Engine
from trimtab.engine.request import Options, Request
from trimtab.models.load import load_model, resolve
from trimtab.models.lora import write_adapter
from trimtab.runs.store.run import Run


def test_an_adapter_is_a_condition_like_any_other(config: Path, tmp_path: Path) -> None:
    model = yaml.safe_load(config.read_text())["model"]["id"]
    loaded = load_model(resolve(ModelSpec(id=model, device="cpu")))
    adapter = random_adapter(loaded, seed=1)
    source, out = tmp_path / "tuned", tmp_path / "run"
    write_adapter(adapter, source)
    overrides = [
        f"conditions.tuned={{name: adapter, source: {source}}}",
        "steering.strengths=[0.5]",
        "judges=[text_health]",
        "measures=[generation, options]",
    ]
    argv = [str(config), "--out", str(out), *(x for o in overrides for x in ("-o", o))]
    for command in (["plan", *argv], ["fit", str(out)]):
        done = trimtab(command, tmp_path / "logs")
        assert done.code == 0, done.err
    shutil.rmtree(source)
    done = trimtab(["resume", str(out)], tmp_path / "logs")
    assert done.code == 0, done.err

    run = Run.open(out)
    cells = {(cell.condition, cell.output): cell for cell in run.plan.cells if cell.split == "test"}
    assert list(cells["tuned", "options"].artifacts) == ["adapter"]
    expected = option_logprobs(Engine(merged(loaded, adapter)), run, cells["tuned", "options"])
    found = run.completions(cells["tuned", "options"].key).values()
    assert len(found) == 6
    for completion in found:
        wanted = expected[completion.sample_id]
        assert completion.option_logprobs == pytest.approx(wanted, abs=1e-3)
    texts, plain = (
        {c.sample_id: c.text for c in run.completions(cells[name, "text"].key).values()}
        for name in ("tuned", "baseline")
    )
    assert texts.keys() == plain.keys() and texts != plain
    assert "tuned" in json.dumps(json.loads((out / "summary.json").read_text()))


def option_logprobs(engine: Engine, run: Run, cell) -> dict[str, tuple[float, ...]]:
    requests = []
    for sample in run.samples(cell.samples).values():
        prompt, answers = engine.renderer.with_answers(
            sample.messages, [c.text for c in sample.choices], cell.rendering, sample.preamble
        )
        requests.append(Request(sample.id, tuple(prompt), Options(tuple(map(tuple, answers)))))
    return {result.key: result.logprobs for result in engine.run(requests)}
