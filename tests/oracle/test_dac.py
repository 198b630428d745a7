"""Dynamic Activation Composition against the published algorithm run the slow way.

One row at a time, no cache: for every token three forwards over the whole sequence (unsteered, at
full probe strength, at the strengths so far), with plain hooks before each output projection.
"""

from dataclasses import replace

import pytest
import torch

from trimtab.core.errors import ConfigError, DataError, NonFiniteError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message, SamplingParams
from trimtab.engine.engine import Engine
from trimtab.engine.request import DynamicStrength, Edit, Request, Text, TextResult
from trimtab.interventions.base import INTERVENTIONS
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import FitContext, FitData

STEPS, NEW = 6, 10


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> LoadedModel:
    path = tmp_path_factory.mktemp(request.param)
    save_tiny(path, request.param)
    single = load_model(resolve(ModelSpec(id=str(path), device="cpu")))
    single.model.double()
    return replace(single, dtype=torch.float64)


def properties(loaded: LoadedModel, count: int, site: str) -> tuple[dict, ...]:
    generator = torch.Generator().manual_seed(1)
    layout = loaded.layout
    width = layout.head_width if site == "heads" else layout.hidden_size
    return tuple(
        {
            (layer, site): 0.5 * torch.randn(STEPS, width, generator=generator)
            for layer in range(layout.num_layers)
        }
        for _ in range(count)
    )


def slow_logits(loaded, tokens, num_prompt, deltas, coefficients) -> torch.Tensor:
    """Next-token logits [V]; ``coefficients[p][j] * delta_p[j]`` is added at position n - 1 + j."""

    def add(x, place):
        x = x.clone()
        for values, strengths in zip(deltas, coefficients, strict=True):
            for j, strength in enumerate(strengths):
                if j < STEPS:
                    x[0, num_prompt - 1 + j] += strength * values[place][j].double()
        return x

    handles = []
    for layer, site in deltas[0]:
        if site == "heads":
            hook = lambda _m, args, place=(layer, site): (add(args[0], place),)  # noqa: E731
            handles.append(loaded.layout.head_mixers[layer].register_forward_pre_hook(hook))
        else:

            def hook(_m, _a, out, place=(layer, site)):
                if isinstance(out, tuple):
                    return (add(out[0], place), *out[1:])
                return add(out, place)

            handles.append(loaded.layout.blocks[layer].register_forward_hook(hook))
    try:
        with torch.no_grad():
            return loaded.model(torch.tensor([tokens]), use_cache=False).logits[0, -1]
    finally:
        for handle in handles:
            handle.remove()


def nucleus(p, top_p, inclusive) -> set[int]:
    kept, before = set(), 0.0
    for token in sorted(range(len(p)), key=lambda i: (-float(p[i]), i)):
        after = before + float(p[token])
        if (before if inclusive else after) >= top_p and (inclusive or after > top_p):
            break
        kept.add(token)
        before = after
    return kept


def slow_strength(p, q, c: DynamicStrength) -> float:
    kept = sorted(nucleus(p, c.top_p, c.inclusive) | nucleus(q, c.top_p, c.inclusive))
    if not kept:
        return 0.0
    p, q = p[kept] / p[kept].sum(), q[kept] / q[kept].sum()
    if c.reverse:
        p, q = q, p
    divergence = float((p * (p / q).log()).sum()) / (len(kept) if c.per_token else 1)
    return min(max(divergence, 0.0), c.most)


def slow_texts(loaded, prompt, c: DynamicStrength) -> tuple[list[int], list[list[float]]]:
    tokens, count = list(prompt), len(c.properties)
    strengths: list[list[float]] = [[] for _ in range(count)]
    for step in range(NEW):
        none = [[0.0] * (step + 1)] * count
        p = slow_logits(loaded, tokens, len(prompt), c.properties, none).softmax(-1)
        for k in range(count):
            full = [[c.probe if k == i else 0.0] * (step + 1) for i in range(count)]
            q = slow_logits(loaded, tokens, len(prompt), c.properties, full).softmax(-1)
            strengths[k].append(slow_strength(p, q, c))
        logits = slow_logits(loaded, tokens, len(prompt), c.properties, strengths)
        tokens.append(int(logits.argmax()))
        if tokens[-1] in loaded.eos_ids:
            break
    return tokens[len(prompt) :], strengths


@pytest.mark.parametrize(
    ("count", "site", "knobs"),
    [
        (1, "heads", {"per_token": True}),
        (2, "heads", {"top_p": 0.9}),
        (1, "residual", {"reverse": True, "inclusive": False, "top_p": 0.7}),
    ],
)
def test_tokens_and_strengths_equal_the_slow_algorithm(loaded, count, site, knobs) -> None:
    dynamic = DynamicStrength(properties(loaded, count, site), **knobs)
    generator = torch.Generator().manual_seed(2)
    prompts = [torch.randint(10, 200, (n,), generator=generator).tolist() for n in (3, 9, 25)]
    sampling = SamplingParams(max_tokens=NEW)
    requests = [
        Request(i, tuple(prompt), Text(sampling, dynamic=dynamic))
        for i, prompt in enumerate(prompts)
    ]
    results = list(Engine(loaded, max_rows=8).run(requests))
    assert {r.key for r in results} == {0, 1, 2}
    steered = 0.0
    for result in results:
        assert isinstance(result, TextResult)
        tokens, strengths = slow_texts(loaded, prompts[result.key], dynamic)
        assert list(result.tokens) == tokens
        for ours, theirs in zip(result.strengths, strengths, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-9)
            steered += sum(theirs)
    assert steered > 0


def test_a_largest_strength_of_zero_is_the_baseline(loaded) -> None:
    prompt, sampling = tuple(range(10, 30)), SamplingParams(max_tokens=NEW)
    off = DynamicStrength(properties(loaded, 1, "heads"), most=0.0)
    plain, silent = Engine(loaded).run(
        [Request(0, prompt, Text(sampling)), Request(1, prompt, Text(sampling, dynamic=off))]
    )
    assert isinstance(plain, TextResult) and isinstance(silent, TextResult)
    assert silent.tokens == plain.tokens and set(silent.strengths[0]) == {0.0}


def test_dynamic_strengths_that_do_not_fit_are_refused(loaded) -> None:
    sampling, layout = SamplingParams(max_tokens=2), loaded.layout
    good = DynamicStrength(properties(loaded, 1, "residual"))
    wide = DynamicStrength(({(0, "residual"): torch.ones(1, layout.hidden_size + 1)},))
    unnamed = DynamicStrength(good.properties, names=("one", "two"))
    deep = DynamicStrength(({(layout.num_layers, "residual"): torch.ones(1, layout.hidden_size)},))
    edit = Edit(0, torch.ones(layout.hidden_size), 1.0)
    for dynamic, edits, words in (
        (wide, (), "hidden size"),
        (deep, (), "names layer"),
        (unnamed, (), "1 properties has the names"),
        (good, (edit,), "both edits and a dynamic strength"),
    ):
        request = Request(0, (5, 6), Text(sampling, dynamic=dynamic), edits)
        with pytest.raises(ConfigError, match=words):
            list(Engine(loaded).run([request]))


@pytest.mark.parametrize("at_probe", [True, False], ids=["probe", "chosen"])
def test_values_that_overflow_are_located_with_the_property(loaded, at_probe: bool) -> None:
    single = load_model(resolve(ModelSpec(id=loaded.resolved.spec.id, device="cpu")))
    layout = single.layout
    mild = {(1, "residual"): torch.ones(1, layout.hidden_size)}
    # twice the second is too large for float32; the first pair only overflows when summed
    huge = {(2, "residual"): torch.full((1, layout.hidden_size), 3e38 if at_probe else 1.7e38)}
    names = ("mild", "wild", "wild again") if not at_probe else ("mild", "wild")
    properties = (mild, huge) if at_probe else (mild, huge, huge)
    dynamic = DynamicStrength(properties, names, constant=True, probe=2.0, most=2.0, top_p=1.0)
    request = Request("r7", (5, 6, 7), Text(SamplingParams(max_tokens=3), dynamic=dynamic))
    with pytest.raises(NonFiniteError) as raised:
        list(Engine(single).run([Request("ok", (5, 6), Text(SamplingParams())), request]))
    said = str(raised.value)
    assert "row 'r7'" in said and f"first at {layout.block_names[2]}, position " in said
    assert "Unsteered the row is finite" in said
    if at_probe:
        assert "position 2 (prompt part, 3 tokens)" in said
        assert "property 'wild' added at the probe strength 2" in said
    else:
        assert "its properties 'mild' at up to" in said and "'wild again' at up to" in said


PAIRS = [
    ContrastPair(
        id=str(i),
        question_id=str(i),
        messages=(Message(role="user", content=f"Question {i}?"),),
        positive="yes " * (2 + i),
        negative="no way",
    )
    for i in range(6)
]


@pytest.mark.parametrize("preset", ["released", "paper", "wisent"])
def test_a_fit_gives_what_its_preset_adds(loaded, preset: str) -> None:
    config = {"preset": preset, "num_prompts": 4, "steps": 5}
    if preset == "wisent":
        config["layer"] = 2
    dac = INTERVENTIONS.build("dac", config)
    engine = Engine(loaded)
    fitted = dac.fit(FitContext.of_pairs(engine, PAIRS, "chat", 0))
    again = dac.fit(FitContext.of_pairs(engine, PAIRS, "chat", 0))
    assert all(torch.equal(t, again.tensors[name]) for name, t in fitted.tensors.items())
    dynamic = dac.treat({"vector": fitted}).dynamic
    (steps,) = dynamic.properties
    if preset == "wisent":
        assert list(steps) == [(2, "residual")] and dynamic.constant
        assert steps[2, "residual"].shape == (1, loaded.layout.hidden_size)
    else:
        assert list(steps) == [(x, "heads") for x in range(loaded.layout.num_layers)]
        assert all(t.shape[1] == loaded.layout.head_width for t in steps.values())
        assert dynamic.per_token == (preset == "released")


def test_per_step_differences_equal_full_forwards(loaded) -> None:
    config = {"source": "answers", "steps": 4}
    fitted = INTERVENTIONS.build("dac", config).fit(
        FitContext.of_pairs(Engine(loaded), PAIRS, "chat", 0)
    )
    layer = 1
    rows: dict[bool, list[list[torch.Tensor]]] = {True: [], False: []}
    for pair in PAIRS:
        prompt, answers = loaded.renderer.with_answers(
            pair.messages, [pair.positive, pair.negative], "chat"
        )
        for positive, answer in zip((True, False), answers, strict=True):
            seen: list[torch.Tensor] = []
            handle = loaded.layout.head_mixers[layer].register_forward_pre_hook(
                lambda _m, args, seen=seen: seen.append(args[0][0])
            )
            with torch.no_grad():
                loaded.model(torch.tensor([[*prompt, *answer]]), use_cache=False)
            handle.remove()
            first = len(prompt) - 1
            rows[positive].append(list(seen[0][first : first + min(4, len(answer))]))

    def mean(positive: bool, step: int) -> torch.Tensor:
        return torch.stack([r[step] for r in rows[positive] if len(r) > step]).mean(0)

    deltas = fitted.tensors[f"l{layer}.steps"]
    for step in range(len(deltas)):
        expected = (mean(True, step) - mean(False, step)).float()
        torch.testing.assert_close(deltas[step], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("config", "count", "rendering", "words"),
    [
        ({}, 1, "chat", "at least 2"),
        ({"shots": 3}, 3, "chat", "shots = 3, and the contrast pairs are of 3 questions"),
        ({"shots": 3}, 4, "verbatim", "no room for worked examples"),
        ({"shots": 3, "source": "answers"}, 2, "verbatim", None),
        ({"shots": 3}, 4, "plain", None),
    ],
)
def test_pairs_that_make_no_examples_are_refused(config, count, rendering, words) -> None:
    dac = INTERVENTIONS.build("dac", config)
    data = FitData(PAIRS[:count], "fit", rendering)
    if words is None:
        dac.check_input(data)
    else:
        with pytest.raises(DataError, match=words):
            dac.check_input(data)
