"""Rows with adapters equal rows of models that have them merged, on every path that there is.

The reference is the engine itself, without adapters, on a copy of the model whose weights hold the
factors: so every test here fails where a row's adapter is left out, or given to another row.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import recorded_operations
import torch
from random_adapters import merged, random_adapter

from trimtab.core.errors import ConfigError, ModelError, NonFiniteError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.acts import adapters as acts
from trimtab.engine.batching.scheduler import Limits
from trimtab.engine.batching.segments import Segment
from trimtab.engine.engine import Engine
from trimtab.engine.passes import batch, passes
from trimtab.engine.passes.head import Head
from trimtab.engine.passes.passes import Pass
from trimtab.engine.reading.gradients import Answered, answer_logprobs, common_start
from trimtab.engine.request import (
    Activations,
    ActivationsResult,
    DynamicStrength,
    Edit,
    FromPrompt,
    Gate,
    Options,
    OptionsResult,
    Request,
    Result,
    Text,
    TextResult,
)
from trimtab.engine.workers import parallel
from trimtab.engine.writing.stepping import write_static
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.lowrank import Adapter, LowRank
from trimtab.models.tiny import save_tiny

TOLERANCE = 2e-5


@pytest.fixture(scope="module", params=["llama", "gemma3", "gpt2"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> LoadedModel:
    path = save_tiny(tmp_path_factory.mktemp("adapters") / request.param, request.param)
    return load_model(resolve(ModelSpec(id=str(path), device="cpu")))


@pytest.fixture(scope="module")
def adapters(loaded: LoadedModel) -> dict[str, Adapter | None]:
    attention = ("q_proj", "v_proj", "o_proj", "c_attn")
    return {
        "none": None,
        "all": random_adapter(loaded, rank=3, seed=1),
        "upper": random_adapter(loaded, attention, rank=5, seed=2, blocks=(2, 3), size=1.0),
    }


@pytest.fixture(scope="module")
def engines(loaded: LoadedModel, adapters) -> dict[str, Engine]:
    return {
        name: Engine(loaded if adapter is None else merged(loaded, adapter))
        for name, adapter in adapters.items()
    }


def tokens(count: int, seed: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(10, 200, (count,), generator=generator).tolist())


def edits_of(loaded: LoadedModel) -> list[tuple[Edit, ...]]:
    generator = torch.Generator().manual_seed(7)
    v = torch.randn(loaded.layout.hidden_size, generator=generator)
    heads = torch.randn(loaded.layout.head_width, generator=generator)
    return [
        (),
        (Edit(1, v, 0.8, "generated"),),
        (Edit(0, v, 0.5, "all"), Edit(2, heads, 0.7, "all", "heads")),
    ]


def rows_of(loaded: LoadedModel, wants: Sequence, shared: int) -> dict[str, list[Request]]:
    """The same rows for every adapter; prompts begin with ``shared`` equal tokens."""
    common = tokens(shared, 1)
    return {
        name: [
            Request((name, i, j, k), (*common, *tokens(count, i)), want, edits)
            for i, count in enumerate((23, 4, 1))
            for j, edits in enumerate(edits_of(loaded))
            for k, want in enumerate(wants)
        ]
        for name in ("none", "all", "upper")
    }


def mixed(rows: dict[str, list[Request]], adapters) -> list[Request]:
    """Rows of all adapters, one after the other in turn."""
    turns = zip(*rows.values(), strict=True)
    return [replace(r, adapter=adapters[r.key[0]]) for turn in turns for r in turn]


def expected_of(rows: dict[str, list[Request]], engines: dict[str, Engine]) -> dict:
    return {r.key: r for name, some in rows.items() for r in engines[name].run(some)}


def assert_same(results: Sequence[Result], expected: dict) -> None:
    assert {r.key for r in results} == expected.keys()
    for result in results:
        other = expected[result.key]
        if isinstance(result, TextResult):
            assert result.tokens == other.tokens, result.key
            assert result.logprob == pytest.approx(other.logprob, abs=TOLERANCE * 10)
            for mine, theirs in zip(result.strengths, other.strengths, strict=True):
                assert mine == pytest.approx(theirs, abs=1e-4)
        elif isinstance(result, OptionsResult):
            assert result.logprobs == pytest.approx(other.logprobs, abs=TOLERANCE * 5)
        else:
            assert isinstance(result, ActivationsResult)
            torch.testing.assert_close(result.mean_LH, other.mean_LH, atol=1e-4, rtol=1e-4)
        assert [gate.factor for gate in result.gates] == pytest.approx(
            [gate.factor for gate in other.gates], abs=1e-5
        )


@pytest.mark.parametrize("shared", [0, 20, 70], ids=lambda n: f"shared{n}")
def test_mixed_rows_equal_merged_models(loaded, adapters, engines, shared: int) -> None:
    wants = [
        Text(SamplingParams(max_tokens=7)),
        Text(SamplingParams(max_tokens=4, temperature=0.8), seed=3),
        Options(((5,), (5, 6, 7), (8, 9))),
        Activations((0, 1, 3), (5, 6), 1, 2 + shared),
    ]
    rows = rows_of(loaded, wants, shared)
    expected = expected_of(rows, engines)
    assert len({str(result) for result in expected.values()}) > 20
    assert_same(
        list(Engine(loaded, max_rows=5, max_tokens=64).run(mixed(rows, adapters))), expected
    )


def test_prompts_that_differ_in_their_last_token(loaded, adapters, engines) -> None:
    """All that comes before it is their common start, of which each adapter has its own."""
    common = tokens(30, 1)
    rows = {
        name: [Request((name, i), (*common, i), Text(SamplingParams(max_tokens=5))) for i in (8, 9)]
        for name in adapters
    }
    assert_same(list(Engine(loaded).run(mixed(rows, adapters))), expected_of(rows, engines))


def test_prompts_of_several_rows_are_computed_for_each_adapter_from_its_lowest_block(
    loaded, adapters
) -> None:
    prompt = tokens(9, 1)
    segments = [Segment(prompt, 0, 9, (), adapters[n]) for n in ("none", "upper", "upper", "all")]
    computing = Pass(loaded, segments)
    classes = [
        len(computing.plan_at((layer, "heads")).stage.owners)
        for layer in range(loaded.layout.num_layers)
    ]
    assert classes == ([2, 2, 3, 3] if loaded.layout.may_expand else [3, 3, 3, 3])


def test_adapters_of_equal_content_are_one(loaded, adapters) -> None:
    same = [Adapter(adapters["all"].factors, "abc") for _ in range(2)]
    computing = Pass(loaded, [Segment((5, 6, 7), 0, 3, (), a) for a in same])
    assert len(computing.last.stage.owners) == 1


@pytest.mark.parametrize("record", [recorded_operations.record, None])
def test_fixed_steps(loaded, adapters, engines, record) -> None:
    wants = [Text(SamplingParams(max_tokens=9)), Text(SamplingParams(max_tokens=3))]
    rows = rows_of(loaded, wants, 20)
    with torch.no_grad():
        requests, limits = mixed(rows, adapters), Limits(7, 200)
        found = list(write_static(loaded, Head(loaded), requests, limits, record))
    assert_same(found, expected_of(rows, engines))


def test_gates_read_the_model_with_the_adapter(loaded, adapters, engines) -> None:
    c, v = torch.randn(2, loaded.layout.hidden_size, generator=torch.Generator().manual_seed(2))
    gates = [Gate(2, c, 0.0, True, "cosine", read, width=0.02) for read in ("mean", "last")]
    edits = tuple(Edit(3, v, 0.7, "all", gate=gate) for gate in gates)
    rows = {
        name: [
            Request((name, i), tokens(n, i), Options(((5, 6), (7,))), edits)
            for i, n in enumerate((4, 9))
        ]
        for name in adapters
    }
    expected = expected_of(rows, engines)
    factors = {round(e.gates[0].factor, 4) for e in expected.values() if e.key[1] == 0}
    assert len(factors) == 3, "the adapters must move what gates read"
    assert_same(list(Engine(loaded).run(mixed(rows, adapters))), expected)


def test_vectors_made_of_prompts_are_made_with_the_adapter(loaded, adapters, engines) -> None:
    size = loaded.layout.hidden_size
    sources = [FromPrompt(2, lambda h: h.roll(1)), FromPrompt(3, lambda h: -h, tokens(5, 9))]
    edits = tuple(Edit(1, torch.zeros(size), 0.5, "all", source=source) for source in sources)
    rows = {
        name: [Request((name, i), tokens(6, i), Options(((5, 6), (7,))), edits) for i in range(2)]
        for name in adapters
    }
    assert_same(list(Engine(loaded).run(mixed(rows, adapters))), expected_of(rows, engines))


def test_dynamic_strength(loaded, adapters, engines) -> None:
    v, w = torch.randn(2, loaded.layout.hidden_size, generator=torch.Generator().manual_seed(4))
    added = ({(1, "residual"): v[None], (3, "residual"): w[None]}, {(2, "residual"): w[None]})
    text = Text(SamplingParams(max_tokens=6), dynamic=DynamicStrength(added, constant=True))
    rows = {n: [Request((n, i), tokens(8, i), text) for i in range(2)] for n in adapters}
    expected = expected_of(rows, engines)
    assert len({e.strengths for e in expected.values()}) == 6
    assert_same(list(Engine(loaded).run(mixed(rows, adapters))), expected)


def test_worker_processes(loaded, adapters, engines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_WORTH_ROWS", 2)
    monkeypatch.setattr(parallel, "_WORTH_TOKENS", 16)
    wants = [Text(SamplingParams(max_tokens=5)), Options(((5, 6, 7), (8,)))]
    rows = rows_of(loaded, wants, 0)
    expected = expected_of(rows, engines)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        engine = Engine(loaded)
        assert len(engine._workers) == 2
        assert_same(list(engine.run(mixed(rows, adapters))), expected)
        assert engine._workers._pool is not None
    finally:
        torch.set_num_threads(before)


def test_gradients_where_an_adapter_is_trained(loaded) -> None:
    """Two rows of one trained adapter, one of none: by finite differences of merged weights."""
    trained = random_adapter(loaded, rank=2, seed=1, trained=True)
    common = tokens(20, 1)
    rows = [
        Answered((*common, 5), ((6, 7), (8,)), (), trained),
        Answered((*common, 9, 4), ((6,),), edits_of(loaded)[1], trained),
        Answered((*common, 5), ((6, 7),)),
    ]
    head = Engine(loaded).head
    primer = common_start(loaded, rows)
    assert primer.length == 0, "what is computed without gradients depends on the adapter"
    total = torch.stack([x.sum() for x in answer_logprobs(loaded, head, rows, primer)])
    total.sum().backward()
    for name in (next(iter(trained.factors)), list(trained.factors)[-1]):
        for side in ("down", "up"):
            tensor = getattr(trained.factors[name], side)
            assert float(tensor.grad.abs().max()) > 1e-3
            direction = tensor.grad / tensor.grad.norm()
            step, values = 3e-3, []
            for sign in (1, -1):
                moved = replace(
                    trained.factors[name], **{side: tensor.detach() + sign * step * direction}
                )
                other = Adapter({**trained.factors, name: moved})
                there = [replace(r, adapter=other) if r.adapter else r for r in rows]
                with torch.no_grad():
                    found = answer_logprobs(loaded, head, there, common_start(loaded, there))
                values.append(float(torch.cat(found).double().sum()))
            slope = (values[0] - values[1]) / (2 * step)
            assert slope == pytest.approx(float(tensor.grad.norm()), rel=2e-2)


def test_gradients_of_a_vector_beside_an_adapter_that_is_not_trained(
    loaded, adapters, engines
) -> None:
    """The common start and the prompts are computed without gradients, with the adapter."""
    v = edits_of(loaded)[1][0].vector
    answers = ((6, 7), (8,))
    grads = []
    for engine, adapter in ((Engine(loaded), adapters["all"]), (engines["all"], None)):
        vector = v.clone().requires_grad_()
        rows = [
            Answered((*tokens(20, 1), *more), answers, (Edit(1, vector, 0.8),), adapter)
            for more in ((5,), (9, 4))
        ]
        primer = common_start(engine.loaded, rows)
        assert primer.length == 20
        torch.cat(answer_logprobs(engine.loaded, engine.head, rows, primer)).sum().backward()
        grads.append(vector.grad)
    torch.testing.assert_close(*grads, atol=1e-4, rtol=1e-4)


def test_an_adapter_that_overflows_is_named(loaded, adapters) -> None:
    huge = adapters["upper"].scaled(1e30)
    request = Request("r3", (5, 6, 7), Text(SamplingParams(max_tokens=3)), adapter=huge)
    fine = replace(request, key="r4", adapter=None)
    with pytest.raises(NonFiniteError, match=r"'r3'.*Without its adapter the row is finite"):
        list(Engine(loaded).run([fine, request]))


def test_adapters_that_do_not_fit_are_refused(loaded, adapters) -> None:
    name, factor = next(iter(adapters["all"].factors.items()))
    wide = replace(factor, down=torch.zeros(3, 5))
    broken = replace(factor, up=factor.up.clone().fill_(torch.nan))
    deep = name.replace(".0.", ".7.")
    for factors, error, words in (
        ({name: wide}, ModelError, rf"'{name}' have the shapes \(3, 5\)"),
        ({deep: factor}, ModelError, "blocks 0 to 3"),
        ({f"{name}_extra": factor}, ModelError, "no linear layer of that name"),
        ({f"vision.{name}": factor}, ModelError, "no linear layer of that name"),
        ({"lm_head": factor}, ModelError, "outside the model's blocks"),
        ({name: broken}, ConfigError, "not finite"),
        ({}, ConfigError, "no factors"),
    ):
        request = Request(0, (5, 6), Options(((7,),)), adapter=Adapter(factors))
        with pytest.raises(error, match=words):
            list(Engine(loaded).run([request]))


def test_rows_without_adapters_meet_nothing_of_this(
    loaded, engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Speed of those who have none: no table is made and no linear layer is hooked."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("adapters were looked for")

    monkeypatch.setattr(passes, "AdapterTable", refuse)
    monkeypatch.setattr(batch, "AdapterTable", refuse)
    monkeypatch.setattr(acts, "_after", refuse)
    wants = [Text(SamplingParams(max_tokens=3)), Options(((5, 6),)), Activations((1,), (), 0, 1)]
    rows = rows_of(loaded, wants, 20)["none"]
    assert len(list(Engine(loaded).run(rows))) == len(rows)


def test_factors_in_a_lower_format_compute_in_float32(loaded, adapters) -> None:
    """As with peft; and what is copied for that can be used with gradients afterwards."""
    low = Adapter(
        {
            n: LowRank(f.down.bfloat16(), f.up.bfloat16(), f.scaling)
            for n, f in adapters["all"].factors.items()
        }
    )
    rounded = Adapter(
        {n: LowRank(f.down.float(), f.up.float(), f.scaling) for n, f in low.factors.items()}
    )
    engine = Engine(loaded)
    texts = [
        [
            r.tokens
            for r in engine.run([Request(0, (5, 6), Text(SamplingParams(max_tokens=6)), (), a)])
        ]
        for a in (low, rounded)
    ]
    assert texts[0] == texts[1]
    v = edits_of(loaded)[1][0].vector.clone().requires_grad_()
    row = Answered((5, 6), ((7,),), (Edit(0, v, 0.5, "all"),), low)
    primer = common_start(loaded, [row])
    answer_logprobs(loaded, engine.head, [row], primer)[0].sum().backward()
    assert float(v.grad.abs().max()) > 0


def test_a_base_in_a_lower_format_rounds_once_in_any_batch() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn((1, 6, 8), generator=generator).bfloat16() for _ in range(2))
    down, up = (torch.randn(shape, generator=generator) for shape in ((2, 8), (8, 2)))
    factor = LowRank(down, up, 0.5)
    exact = y.float() + 0.5 * x.float() @ down.T @ up.T
    whole = acts.Addition(factor, 6).to(x, y)
    some = acts.Addition(factor, 6, torch.tensor([1, 4])).to(x, y)
    assert whole.dtype == some.dtype == torch.bfloat16
    torch.testing.assert_close(whole.float(), exact, atol=0, rtol=2**-8)
    assert torch.equal(some[:, [1, 4]], whole[:, [1, 4]])
    assert torch.equal(some[:, [0, 2, 3, 5]], y[:, [0, 2, 3, 5]])
