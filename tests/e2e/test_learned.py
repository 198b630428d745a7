"""Learned steering through every phase: fitted, applied row by row, controlled, told."""

import json
from pathlib import Path

import pytest
import torch
from cli_process import trimtab
from slow_model import full_logits

from trimtab.core.spec import ModelSpec
from trimtab.engine.request import Edit
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import load_model, resolve
from trimtab.runs.store import artifacts
from trimtab.runs.store.run import Run
from trimtab.steering.partners import partners

TRAINING = "{steps: 8, batch: 4, learning_rate: 0.05, evaluate_every: 4}"


@pytest.fixture(scope="module")
def overrides() -> list[str]:
    made = f"name: mlp, layer: 1, strength: 0.5, vectors: 4, size: 4, training: {TRAINING}"
    return [
        "steering.strengths=[0.5]",
        "measures=[options]",
        "judges=[]",
        f"conditions.plain={{mode: mc, {made}}}",
        f"conditions.reads={{mode: gen, input: prompt, {made}}}",
    ]


def test_learned_steering_reaches_rows_and_report(config: Path, tmp_path: Path, overrides) -> None:
    out = tmp_path / "run"
    argv = ["run", str(config), "--out", str(out)]
    done = trimtab([*argv, *(x for o in overrides for x in ("-o", o))], tmp_path / "logs")
    assert done.code == 0, done.err

    summary = json.loads((out / "summary.json").read_text())
    assert [found["learned"] for found in summary["sections"]["learned"]["networks"]] == [
        "plain",
        "reads",
    ]
    for found in summary["sections"]["learned"]["networks"]:
        below = found["means"]["learned"] - found["means"]["constant"]
        assert found["differences"]["constant"]["difference"] == pytest.approx(below, abs=1e-7)
        assert ("shuffled" in found["differences"]) == (found["learned"] == "reads")
    text = (out / "report" / "report.md").read_text()
    assert "Learned steering: loss on the select split" in text
    assert "plain: training did" in text and "with shuffled prompts the difference is" in text

    run = Run.open(out)
    loaded = load_model(resolve(ModelSpec(id=run.plan.cells[0].model.id, device="cpu")))
    cells = {cell.condition: cell for cell in run.plan.cells}
    rows = {
        name: slow_option_logprobs(loaded, run, cells[name])
        for name in ("plain", "reads", "reads, shuffled prompts")
    }
    for name, expected in rows.items():
        found = run.completions(cells[name].key)
        assert len(found) == len(expected) == 6
        for completion in found.values():
            assert completion.option_logprobs == pytest.approx(
                expected[completion.sample_id], abs=2e-3
            )
    swapped = rows["reads, shuffled prompts"]
    assert any(swapped[i] != pytest.approx(rows["reads"][i], abs=1e-3) for i in swapped)


def slow_option_logprobs(loaded, run: Run, cell) -> dict[str, list[float]]:
    """One option of one sample at a time, its vector made of the prompt that it must be made of."""
    mlp = INTERVENTIONS.build(cell.intervention.name, cell.intervention.config)
    fitted = {name: artifacts.load(run.artifact_dir(key)) for name, key in cell.artifacts.items()}
    (edit,) = mlp.treat(fitted).edits
    samples = run.samples(cell.samples)
    own = {name: name for name in samples}
    source_of = (
        partners(list(samples), cell.seed)
        if edit.source is not None and edit.source.of_partner
        else own
    )
    found = {}
    for sample in samples.values():
        texts = [choice.text for choice in sample.choices]
        prompt, options = loaded.renderer.with_answers(sample.messages, texts, "chat")
        vector = edit.vector
        if edit.source is not None:
            read = loaded.renderer.prompt(samples[source_of[sample.id]].messages, "chat")
            with torch.no_grad():
                states = loaded.model(torch.tensor([read]), output_hidden_states=True).hidden_states
            vector = edit.source.vector_of(states[edit.layer + 1][0, -1])
        acting = (Edit(edit.layer, vector, edit.strength, "generated"),)
        found[sample.id] = []
        for option in options:
            logprob_TV = full_logits(loaded, (*prompt, *option), len(prompt), acting).log_softmax(
                -1
            )
            each = logprob_TV[len(prompt) - 1 : -1].gather(1, torch.tensor(option)[:, None])
            found[sample.id].append(float(each.sum()))
    return found
