"""What holds for every intervention in the folder, on a tiny model."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from random_adapters import random_adapter

from trimtab.core.needs import Made, Need
from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message, SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Activations, Options, Request, Text
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import load_model, resolve
from trimtab.models.lora import write_adapter
from trimtab.models.tiny import save_tiny
from trimtab.runs.store import artifacts
from trimtab.steering.fitted import FitContext, Fitted
from trimtab.vectors.file import checked
from trimtab.vectors.formats import export

AT = {"layer": 1, "strength": 0.5}
TRAINING = {"steps": 4, "batch": 4, "learning_rate": 1e-2, "evaluate_every": 2}
LEARNED = {**AT, "trained_at": 0.5, "vectors": 3, "size": 4, "training": TRAINING}

# An intervention that is not named here must work with an empty configuration.
CONFIGS: dict[str, list[dict[str, Any]]] = {
    "adapter": [{"source": "tuned"}, {"source": "tuned", "strength": 0.5}],
    "adapter_vector": [{**AT, "adapter": {"name": "adapter", "source": "tuned"}}],
    "context": [
        {"system": "Be brief.", "examples": [{"question": "Who?", "answer": "Me."}]},
        {"trigger": {}, "variant": "one tag", "beside": {"name": "caa", **AT}},
    ],
    "bank": [{**AT, "sizes": [4], "vectors": 2}],
    "caa": [AT, {**AT, "layer": "auto", "estimator": "pca"}],
    "dac": [{"num_prompts": 3, "shots": 1, "steps": 4}],
    "iti": [{"strength": 2.0, "heads": 3}],
    "mlp": [{**LEARNED, "mode": "mc"}, {**LEARNED, "mode": "gen", "input": "prompt"}],
    "prompt": [{"system": "Be brief."}],
    "random": [{**AT, "like": {"name": "caa", **AT}}],
    "vector": [{"file": "vectors.safetensors", "strength": 0.5}],
}
# A condition acts through the gate of others only; see the oracle tests of gates.
CASES = [
    pytest.param(name, config, id=f"{name}-{i}")
    for name in INTERVENTIONS.names()
    if name != "condition"
    for i, config in enumerate(CONFIGS.get(name, [{}]))
]


def make_pairs(start: int, stop: int) -> list[ContrastPair]:
    return [
        ContrastPair(
            id=f"p{i}",
            question_id=f"q{i}",
            messages=(Message(role="user", content=f"Is number {i} true?"),),
            positive=f"Yes it is {i}",
            negative=f"No, never {i * 3}",
        )
        for i in range(start, stop)
    ]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> FitContext:
    path = save_tiny(tmp_path_factory.mktemp("conformance") / "llama", "llama")
    engine = Engine(load_model(resolve(ModelSpec(id=str(path), device="cpu"))))
    v = torch.randn(engine.hidden_size, generator=torch.Generator().manual_seed(1))
    vectors = checked({1: v}, {"num_layers": engine.num_layers}, "test")
    export(vectors, "native", path.parent / "vectors.safetensors")
    write_adapter(random_adapter(engine.loaded, seed=1), path.parent / "tuned")
    return FitContext.of_pairs(engine, make_pairs(0, 12), "chat", 5, select=make_pairs(20, 28))


@pytest.fixture(autouse=True)
def beside_the_vectors(context: FitContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(context.engine.loaded.resolved.spec.id).parent)


def fit(built, context: FitContext) -> dict[str, Fitted]:
    return {name: artifact_of(need, context) for name, need in built.needs().items()}


def artifact_of(need: Need, context: FitContext) -> Fitted:
    waits_for = {name: one.need for name, one in need.inputs.items() if isinstance(one, Made)}
    made = {name: artifact_of(one, context) for name, one in waits_for.items()}
    fitting = INTERVENTIONS.build(need.component.name, need.component.config)
    fitted = fitting.fit(replace(context, made=made))
    return fitted[need.artifact] if isinstance(fitted, dict) else fitted


def answers(built, fitted: dict[str, Fitted], engine: Engine) -> dict[Any, Any]:
    treatment = built.treat(fitted)
    prompts = [
        tuple(engine.renderer.prompt(treatment.prompt(pair.messages), "chat"))
        for pair in make_pairs(40, 43)
    ]
    wants = {"text": Text(SamplingParams(max_tokens=4), 0, treatment.dynamic)}
    if "options" in built.OUTPUTS:
        wants["options"] = Options(((5, 6), (7,)))
    requests = [
        Request((kind, i), prompt, want, treatment.edits, treatment.adapter)
        for i, prompt in enumerate(prompts)
        for kind, want in wants.items()
        if kind in built.OUTPUTS
    ]
    return {
        r.key: (r.tokens, r.logprob) if r.key[0] == "text" else r.logprobs
        for r in engine.run(requests)
    }


@pytest.mark.parametrize(("name", "config"), CASES)
def test_it_is_fitted_and_applied_alike_every_time(name, config, context) -> None:
    built = INTERVENTIONS.build(name, config)
    fitted = fit(built, context)
    again = fit(INTERVENTIONS.build(name, config), context)
    assert fitted.keys() == again.keys()
    for artifact, one in fitted.items():
        other = again[artifact]
        assert one.info == other.info and one.tensors.keys() == other.tensors.keys()
        for key, tensor in one.tensors.items():
            assert torch.isfinite(tensor).all(), key
            assert torch.equal(tensor, other.tensors[key]), key
    found = answers(built, fitted, context.engine)
    assert found == answers(INTERVENTIONS.build(name, config), again, context.engine)
    baseline = answers(INTERVENTIONS.build("none", {}), {}, context.engine)
    assert (found == {k: v for k, v in baseline.items() if k in found}) == (name == "none")


@pytest.mark.parametrize(("name", "config"), CASES)
def test_strength_zero_is_exactly_the_baseline_and_shares_the_fit(name, config, context) -> None:
    built = INTERVENTIONS.build(name, config)
    if not built.zeroed():
        assert not {"strength", "most"} & set(built.Config.model_fields)
        return
    zero = INTERVENTIONS.build(name, {**config, **built.zeroed()})
    assert zero.needs() == built.needs() and zero.zeroed() == built.zeroed()
    fitted = fit(built, context)
    found = answers(zero, fitted, context.engine)
    baseline = answers(INTERVENTIONS.build("none", {}), {}, context.engine)
    expected = {key: value for key, value in baseline.items() if key in found}
    if zero.treat(fitted).dynamic is not None:
        # steps whose strength is chosen are computed in other shapes, which moves last bits
        found, expected = ({k: v[0] for k, v in some.items()} for some in (found, expected))
    assert found == expected


@pytest.mark.parametrize(("name", "config"), CASES)
def test_what_is_fitted_on_kept_activations_is_the_same_to_the_last_byte(
    name, config, context, tmp_path, monkeypatch
) -> None:
    read: list[int] = []
    run = Engine.run

    def counted(engine, requests):
        read.append(sum(isinstance(request.want, Activations) for request in requests))
        return run(engine, requests)

    monkeypatch.setattr(Engine, "run", counted)
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    found = {}
    for case, gigabytes in (("without", "0"), ("new", "1"), ("kept", "1")):
        monkeypatch.setenv("TRIMTAB_CACHE_GB", gigabytes)
        read.clear()
        for artifact, fitted in fit(INTERVENTIONS.build(name, config), context).items():
            folder = tmp_path / case / artifact
            artifacts.save(folder, fitted, {})
            files = {path.name: path.read_bytes() for path in folder.iterdir()}
            found.setdefault(artifact, []).append(files)
        assert case != "kept" or not any(read)
    for without, *others in found.values():
        assert others == [without, without]


@pytest.mark.parametrize(("name", "config"), CASES)
def test_what_fits_it_names_itself_and_controls_can_be_built(name, config) -> None:
    built = INTERVENTIONS.build(name, config)
    for name_of_need, need in built.needs().items():
        fitting = INTERVENTIONS.build(need.component.name, need.component.config)
        assert fitting.needs()[name_of_need] == need
    for control in built.controls().values():
        INTERVENTIONS.build(control.name, control.config)


@pytest.mark.parametrize("name", INTERVENTIONS.names())
def test_loading_one_loads_nothing_heavy(name, repo: Path) -> None:
    code = (
        "import sys\n"
        "from trimtab.interventions.base import INTERVENTIONS\n"
        f"INTERVENTIONS.load({name!r})\n"
        "print(sorted({'torch', 'transformers', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(repo / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
