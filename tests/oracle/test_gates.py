"""Gated edits against plain hooks: the prompt alone decides, and everything else is an edit."""

import math

import pytest
import torch
from slow_model import full_logits, greedy

from trimtab.core.errors import ConfigError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Message, Sample, SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import Edit, Gate, Options, OptionsResult, Request, Text, TextResult
from trimtab.interventions.base import INTERVENTIONS
from trimtab.interventions.condition import best_cut
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import FitContext, FitData, of_engine
from trimtab.steering.gated import gated

NEW = 5


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> LoadedModel:
    path = tmp_path_factory.mktemp(request.param)
    save_tiny(path, request.param)
    return load_model(resolve(ModelSpec(id=str(path), device="cpu")))


def prompts() -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(3)
    return [
        tuple(torch.randint(10, 200, (n,), generator=generator).tolist())
        for n in (1, 4, 9, 17, 30, 33)
    ]


def slow_value(loaded: LoadedModel, prompt: tuple[int, ...], gate: Gate) -> float:
    """The paper's formula on a plain forward of the prompt, with a hook at the gate's block."""
    seen: list[torch.Tensor] = []

    def hook(_module, _args, output) -> None:
        seen.append(output[0][0] if isinstance(output, tuple) else output[0])

    handle = loaded.layout.blocks[gate.layer].register_forward_hook(hook)
    with torch.no_grad():
        loaded.model(torch.tensor([prompt]), use_cache=False)
    handle.remove()
    h = (seen[0].mean(0) if gate.read == "mean" else seen[0][-1]).double()
    c = gate.vector.double()
    if gate.similarity == "projected":
        c = torch.tanh(torch.outer(c, c) / c.dot(c) @ h)
    return float(h.dot(c) / (h.norm() * c.norm()))


@pytest.mark.parametrize("read", ["mean", "last"])
@pytest.mark.parametrize("similarity", ["projected", "cosine"])
@pytest.mark.parametrize(("above", "width"), [(True, 0.0), (False, 0.0), (True, 0.05)])
def test_gated_rows_equal_hooks(loaded, read, similarity, above, width) -> None:
    generator = torch.Generator().manual_seed(1)
    hidden = loaded.layout.hidden_size
    c, v = torch.randn(2, hidden, generator=generator)
    ungated = Edit(2, 0.5 * v, 1.0, "generated")
    values = [slow_value(loaded, p, Gate(1, c, 0.0, True, similarity, read)) for p in prompts()]
    threshold = sum(sorted(values)[2:4]) / 2
    gate = Gate(1, c, threshold, above, similarity, read, width)
    edits = (Edit(0, v, 0.8, "all", gate=gate), ungated)
    sampling = SamplingParams(max_tokens=NEW)
    wants = {"text": Text(sampling), "options": Options(((5, 6), (7,)), (0,))}
    requests = [
        Request((kind, i), prompt, want, edits)
        for i, prompt in enumerate(prompts())
        for kind, want in wants.items()
    ]
    results = {r.key: r for r in Engine(loaded).run(requests)}
    factors = []
    for i, prompt in enumerate(prompts()):
        beyond = (values[i] - threshold) * (1 if above else -1)
        factor = 1 / (1 + math.exp(-beyond / width)) if width else float(beyond > 0)
        factors.append(factor)
        acting = (Edit(0, v, 0.8 * factor, "all"), ungated)
        text, options = results["text", i], results["options", i]
        assert isinstance(text, TextResult) and isinstance(options, OptionsResult)
        for result in (text, options):
            (reading,) = result.gates
            assert reading.value == pytest.approx(values[i], abs=1e-5)
            assert reading.factor == pytest.approx(factor, abs=1e-3)
        tokens, logprob = greedy(loaded, prompt, acting, NEW)
        assert list(text.tokens) == tokens
        assert text.logprob == pytest.approx(logprob, abs=1e-2 if width else 1e-4)
        logits = full_logits(loaded, (*prompt, 7), len(prompt), acting)[len(prompt) - 1]
        expected = float(logits.log_softmax(-1)[7])
        assert options.logprobs[1] == pytest.approx(expected, abs=1e-2 if width else 1e-4)
    if not width:
        assert sorted(factors) == [0.0] * 3 + [1.0] * 3


def test_a_closed_gate_is_no_edit_and_batches_do_not_matter(loaded) -> None:
    v = torch.ones(loaded.layout.hidden_size)
    shut = Edit(1, v, 5.0, "all", gate=Gate(0, v, 2.0))
    wide = Edit(1, v, 0.5, "all", gate=Gate(2, v, 0.3, width=0.2, similarity="cosine"))
    sampling = SamplingParams(max_tokens=NEW)
    requests = [
        Request((i, j), prompt, Text(sampling), edits)
        for i, prompt in enumerate(prompts())
        for j, edits in enumerate([(), (shut,), (wide,), (shut, wide)])
    ]
    together = {r.key: r for r in Engine(loaded).run(requests)}
    for i in range(len(prompts())):
        none, closed, soft, both = (together[i, j] for j in range(4))
        assert closed.tokens == none.tokens and closed.logprob == none.logprob
        assert closed.gates[0].factor == 0 and none.gates == ()
        assert both.tokens == soft.tokens and len(both.gates) == 2
    for request in requests:
        (alone,) = Engine(loaded).run([request])
        assert alone.tokens == together[request.key].tokens
        for one, other in zip(alone.gates, together[request.key].gates, strict=True):
            assert one.value == pytest.approx(other.value, abs=1e-6)


def test_gates_that_do_not_fit_are_refused(loaded) -> None:
    v = torch.ones(loaded.layout.hidden_size)
    for gate, words in [
        (Gate(loaded.layout.num_layers, v, 0.0), "A gate names layer"),
        (Gate(0, v[:-1], 0.0), "hidden size"),
        (Gate(0, 0 * v, 0.0), "zero or not finite"),
        (Gate(0, v, math.nan), "zero or not finite"),
    ]:
        request = Request(0, (5, 6), Text(SamplingParams()), (Edit(0, v, 1.0, gate=gate),))
        with pytest.raises(ConfigError, match=words):
            list(Engine(loaded).run([request]))


def test_the_best_cut_is_the_best_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    for count in (1, 2, 5, 12):
        values = [round(x, 1) for x in torch.randn(count, generator=generator).tolist()]
        holds = [True] + [x > 0.5 for x in torch.rand(count - 1, generator=generator).tolist()]
        cut = best_cut(values, holds)

        def f1(threshold: float, above: bool, values=values, holds=holds) -> float:
            said = [(v > threshold) if above else (v < threshold) for v in values]
            both = sum(a and b for a, b in zip(said, holds, strict=True))
            wrong = sum(a != b for a, b in zip(said, holds, strict=True))
            return 2 * both / (2 * both + wrong) if both else 0.0

        tried = [f1(t / 100, above) for t in range(-300, 300) for above in (True, False)]
        if count > 1:
            assert cut.f1 == pytest.approx(f1(cut.threshold, cut.above))
            inner = [
                f1(t / 100, above)
                for t in range(-300, 300)
                if min(values) <= t / 100 < max(values)
                for above in (True, False)
            ]
            assert cut.f1 == pytest.approx(max(inner, default=cut.f1)), tried


def test_a_fitted_condition_tells_its_prompts_apart(loaded) -> None:
    kinds = {True: "What is {} plus {}?", False: "the rain on day {} fell over {} hills and"}
    data = {
        f"{holds}_{split}": FitData(
            [
                Sample(id=f"{i}", messages=(Message(role="user", content=text.format(i, i + 3)),))
                for i in numbers
            ],
            split,
            "verbatim",
            "holds" if holds else "fails",
        )
        for holds, text in kinds.items()
        for split, numbers in (("fit", range(8)), ("select", range(8, 14)))
    }
    tasks = {"open_on": {"name": "sums"}, "closed_on": {"name": "prose"}}
    condition = INTERVENTIONS.build("condition", tasks)
    engine = Engine(loaded)
    fitted = condition.fit(FitContext(of_engine(engine), 0, data))
    assert fitted.info["f1"] == 1.0 and fitted.tensors["gate.direction"].norm() == pytest.approx(1)
    config = {"layer": 1, "strength": 1.0, "gate": tasks}
    caa = INTERVENTIONS.build("caa", config)
    edits = gated(
        (Edit(1, torch.ones(loaded.layout.hidden_size), 1.0),), caa.config, {"gate": fitted}
    )
    for holds, text in kinds.items():
        prompt = engine.renderer.prompt(
            (Message(role="user", content=text.format(40, 41)),), "verbatim"
        )
        request = Request(0, tuple(prompt), Text(SamplingParams(max_tokens=1)), edits)
        (result,) = engine.run([request])
        assert result.gates[0].factor == float(holds)
