"""Adapters in a mixed batch are what peft alone makes of them: texts, options, states, gradients.

The reference is a plain transformers model into which peft loads the folders, and ordinary forward
hooks for the edits; every row is computed alone, from its first token, without a cache. Tiny models
are compared in float32. Real ones write their texts in float32, and are compared in float64: in
float32 Gemma's base alone, without any adapter, differs from itself by 1e-4 between two kernels.
"""

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from trimtab.core.errors import ModelError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import SamplingParams
from trimtab.engine.batching.segments import span
from trimtab.engine.engine import Engine
from trimtab.engine.reading.gradients import Answered, answer_logprobs, common_start
from trimtab.engine.request import Activations, Edit, Options, Request, Text
from trimtab.models.load import LoadedModel, load_model, model_dir, resolve
from trimtab.models.lora import read_adapter
from trimtab.models.lowrank import Adapter, LowRank
from trimtab.models.tiny import save_tiny

peft = pytest.importorskip("peft", reason="peft is not installed")

# peft asks transformers by a name that it is about to drop
pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)

BUNDLED = {"smollm2": "smollm2-135m-instruct", "gemma3": "gemma3-270m"}
NUM_NEW = 6
TOLERANCE = 1e-5
OPTIONS = ((17, 30, 12), (17, 30, 40), (9,))

# different ranks, different modules, one of them not in every block
FIRST = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
SECOND = {
    "llama": {
        "r": 7,
        "lora_alpha": 14,
        "use_rslora": True,
        "target_modules": ["q_proj", "v_proj", "down_proj"],
        "layers_to_transform": [1, 2],
        "rank_pattern": {"down_proj": 2},
        "alpha_pattern": {"layers.1.self_attn.q_proj": 21},
    },
    "gpt2": {"r": 7, "lora_alpha": 3, "target_modules": ["c_attn"], "layers_to_transform": [1, 3]},
}


@dataclass(frozen=True)
class Case:
    """The engine's model and adapters, and peft's model with the same ones."""

    loaded: LoadedModel
    adapters: dict[str, Adapter]
    reference: "peft.PeftModel"

    @property
    def is_real(self) -> bool:
        """Whether this is no tiny random model."""
        return self.loaded.resolved.spec.id.startswith("bundled")

    @contextmanager
    def reading(self, name: str | None, edits=(), num_prompt=0, vectors=None) -> Iterator:
        """Yield peft's model with one of its adapters, or none, and hooks for edits."""
        base = self.reference.base_model.model
        with ExitStack() as stack:
            if name is None:
                stack.enter_context(self.reference.disable_adapter())
            else:
                self.reference.set_adapter(name)
            for i, edit in enumerate(edits):
                added = edit.strength * (vectors[i] if vectors else edit.vector)
                block = base.get_submodule(self.loaded.layout.block_names[edit.layer])
                hook = _adding(added, span(edit, num_prompt))
                if edit.site == "residual":
                    handle = block.register_forward_hook(hook)
                else:
                    own = self.loaded.layout.blocks[edit.layer]
                    mixer = self.loaded.layout.head_mixers[edit.layer]
                    name_of = {module: inner for inner, module in own.named_modules()}
                    mixer = block.get_submodule(name_of[mixer])
                    handle = mixer.register_forward_pre_hook(lambda m, args, h=hook: h(m, (), args))
                stack.callback(handle.remove)
            yield self.reference


def _adding(added: torch.Tensor, where: tuple[int, int]):
    def hook(_module, _args, output):
        h = output[0] if isinstance(output, tuple) else output
        position = torch.arange(h.shape[1])
        acts = (position >= where[0]) & (position < where[1])
        h = h + acts[:, None] * added
        return (h, *output[1:]) if isinstance(output, tuple) else h

    return hook


@pytest.fixture(
    scope="module",
    params=[
        *("tiny-llama", "tiny-gemma3", "tiny-gpt2"),
        pytest.param("smollm2", marks=pytest.mark.slow),
        pytest.param("gemma3", marks=pytest.mark.campaign),
    ],
)
def case(request: pytest.FixtureRequest, tmp_path_factory) -> Case:
    folder: Path = tmp_path_factory.mktemp(request.param)
    if request.param in BUNDLED:
        spec = ModelSpec(id=f"bundled:{BUNDLED[request.param]}", device="cpu")
    else:
        save_tiny(folder / "model", request.param.removeprefix("tiny-"))
        spec = ModelSpec(id=str(folder / "model"), device="cpu")
    try:
        loaded = load_model(resolve(spec))
    except ModelError as error:
        pytest.skip(f"the bundled model {request.param} is not here: {error}")
    is_gpt2 = "gpt2" in request.param
    second = SECOND["gpt2" if is_gpt2 else "llama"]
    for name, settings in {"first": FIRST, "second": second}.items():
        settings = {**settings, "fan_in_fan_out": is_gpt2}
        _save(plain(loaded), settings, folder / name, seed=len(name))
    reference = peft.PeftModel.from_pretrained(plain(loaded), folder / "first", "first")
    reference.load_adapter(folder / "second", "second")
    adapters = {n: read_adapter(folder / n, loaded.layout) for n in ("first", "second")}
    return Case(loaded, adapters, reference.eval())


@pytest.fixture(scope="module")
def exact(case: Case) -> Case:
    """Return the case, with a real model in float64."""
    if not case.is_real:
        return case
    single = load_model(case.loaded.resolved)
    single.model.double()
    loaded = replace(single, dtype=torch.float64)
    adapters = {
        name: Adapter(
            {n: LowRank(f.down.double(), f.up.double(), f.scaling) for n, f in a.factors.items()}
        )
        for name, a in case.adapters.items()
    }
    return Case(loaded, adapters, copy.deepcopy(case.reference).double())


def plain(loaded: LoadedModel) -> AutoModelForCausalLM:
    folder = model_dir(loaded.resolved.spec)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval().requires_grad_(False)


def _save(model, settings: dict, folder: Path, seed: int) -> None:
    """Let peft write an adapter that changes much: its own would begin as no change at all."""
    tuned = peft.get_peft_model(model, peft.LoraConfig(**settings))
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in tuned.named_parameters():
        if "lora_" in name:
            spread = (0.3 if "lora_B" in name else 1.0) * parameter.shape[1] ** -0.5
            parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    tuned.save_pretrained(folder)


@dataclass(frozen=True, eq=False)
class Row:
    adapter: str | None
    prompt: tuple[int, ...]
    edits: tuple[Edit, ...]


def rows_of(case: Case) -> list[Row]:
    """Rows of both adapters and of none, with and without edits, that share what they can."""
    layout = case.loaded.layout
    generator = torch.Generator().manual_seed(5)
    norm = 3.0 * layout.hidden_size**0.5
    norm *= 3 if case.is_real else 1
    v = torch.nn.functional.normalize(torch.randn(layout.hidden_size, generator=generator), dim=0)
    heads = 0.1 * torch.randn(layout.head_width, generator=generator)
    v, heads = v.to(case.loaded.dtype), heads.to(case.loaded.dtype)
    edits = [
        (),
        (Edit(1, v, 0.1 * norm, "generated"),),
        (Edit(0, v, 0.1 * norm, "all"), Edit(2, heads, 0.5, "all", "heads")),
    ]
    common = tuple(torch.randint(10, 200, (18,), generator=generator).tolist())
    prompts = [(*common, *range(30, 41)), (*common, 50, 51)]
    return [
        Row(name, prompts[(i + j) % 2], some)
        for i, name in enumerate((None, "first", "second"))
        for j, some in enumerate(edits)
        for _ in range(2 if not some and not case.is_real else 1)
        # a real model takes its time: each adapter and each edit, alone and together
        if not case.is_real or (i, j) in ((0, 2), (1, 0), (1, 2), (2, 1))
    ]


def requests_of(case: Case, rows: list[Row], want) -> list[Request]:
    return [
        Request(i, row.prompt, want, row.edits, case.adapters.get(row.adapter))
        for i, row in enumerate(rows)
    ]


@torch.no_grad()
def logprobs(case: Case, row: Row, after: tuple[int, ...]) -> torch.Tensor:
    """Return log-probabilities [T, V] of each token ``after`` a row's prompt."""
    with case.reading(row.adapter, row.edits, len(row.prompt)) as model:
        return _logits(model, row.prompt, after).log_softmax(-1)


def _logits(model, prompt: tuple[int, ...], after: tuple[int, ...]) -> torch.Tensor:
    tokens = torch.tensor([(*prompt, *after[:-1])])
    return model(tokens, logits_to_keep=len(after)).logits[0]


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, what: object, times: int = 1) -> None:
    """Compare to 1e-5 of the largest number, or of 1, so many times."""
    scale = max(1.0, float(theirs.abs().max()))
    assert float((ours - theirs).abs().max()) < times * TOLERANCE * scale, what


def test_texts(case: Case) -> None:
    rows = rows_of(case)
    results = Engine(case.loaded, max_rows=5).run(
        requests_of(case, rows, Text(SamplingParams(max_tokens=NUM_NEW)))
    )
    texts = {result.key: result for result in results}
    assert len({texts[i].tokens for i in range(len(rows))}) > (2 if case.is_real else 3)
    for i, row in enumerate(rows):
        written = texts[i].tokens
        logprob_TV = logprobs(case, row, written)
        assert tuple(logprob_TV.argmax(-1).tolist()) == written, row
        expected = logprob_TV.max(-1).values.sum()
        assert_close(torch.tensor(texts[i].logprob), expected, row, 100 if case.is_real else 1)
        if row.adapter:
            base = Row(None, row.prompt, row.edits)
            without = logprobs(case, base, written)
            others = without.gather(1, torch.tensor(written)[:, None]).sum()
            assert abs(float(others - expected)) > 0.01, "the adapter changes nothing"


def test_options_and_divergence_from_the_base(exact: Case) -> None:
    rows = rows_of(exact)
    base = {p: logprobs(exact, Row(None, p, ()), OPTIONS[0]) for p in {r.prompt for r in rows}}
    for result in Engine(exact.loaded).run(requests_of(exact, rows, Options(OPTIONS, (0,)))):
        row = rows[result.key]
        after = [logprobs(exact, row, option) for option in OPTIONS]
        for option, logprob, logprob_TV in zip(OPTIONS, result.logprobs, after, strict=True):
            expected = logprob_TV.gather(1, torch.tensor(option)[:, None]).sum()
            assert_close(torch.tensor(logprob), expected, row)
        p, q = base[row.prompt], after[0]
        kl = (p.exp() * (p - q)).sum(-1).mean()
        assert_close(torch.tensor(result.kl[0]), kl, row)
        assert (result.kl[0] > 1e-3) == bool(row.adapter or row.edits)


def test_states(exact: Case) -> None:
    rows = rows_of(exact)
    layers = (0, 2, exact.loaded.layout.num_layers - 1)
    for result in Engine(exact.loaded).run(
        [
            Request(
                i,
                row.prompt,
                Activations(layers, (7, 8), len(row.prompt) - 2, len(row.prompt) + 2, each=True),
                row.edits,
                exact.adapters.get(row.adapter),
            )
            for i, row in enumerate(rows)
        ]
    ):
        row = rows[result.key]
        seen: list[torch.Tensor] = []
        note = partial(_note, seen)
        with exact.reading(row.adapter, row.edits, len(row.prompt)) as model, torch.no_grad():
            base, names = model.base_model.model, exact.loaded.layout.block_names
            blocks = [base.get_submodule(names[layer]) for layer in layers]
            handles = [block.register_forward_hook(note) for block in blocks]
            model(torch.tensor([(*row.prompt, 7, 8)]))
            for handle in handles:
                handle.remove()
        expected = torch.stack([h[0, len(row.prompt) - 2 :] for h in seen], dim=1)
        assert_close(result.each_PLH, expected, row)


def _note(seen: list[torch.Tensor], _module, _args, output) -> None:
    seen.append(output[0] if isinstance(output, tuple) else output)


def test_gradients_of_factors_and_edits(exact: Case) -> None:
    """Rows of two trained adapters, of none and of edits are one batch of one loss."""
    rows = [row for row in rows_of(exact) if row.adapter or row.edits]
    rows = rows[2:] if exact.is_real else rows
    trained = {name: _trained(adapter) for name, adapter in exact.adapters.items()}
    vectors = [[e.vector.clone().requires_grad_() for e in row.edits] for row in rows]
    answered = [
        Answered(
            row.prompt,
            OPTIONS,
            tuple(
                Edit(e.layer, v, e.strength, e.positions, e.site)
                for e, v in zip(row.edits, some, strict=True)
            ),
            trained.get(row.adapter),
        )
        for row, some in zip(rows, vectors, strict=True)
    ]
    engine = Engine(exact.loaded)
    primer = common_start(exact.loaded, answered)
    ours = torch.cat(answer_logprobs(exact.loaded, engine.head, answered, primer))
    weights = torch.linspace(-1, 1, len(ours)) / len(ours)
    (weights * ours).sum().backward()

    other = [[e.vector.clone().requires_grad_() for e in row.edits] for row in rows]
    for name, parameter in exact.reference.named_parameters():
        parameter.requires_grad_("lora_" in name)
        parameter.grad = None
    at = 0
    for row, some in zip(rows, other, strict=True):
        for option in OPTIONS:
            with exact.reading(row.adapter, row.edits, len(row.prompt), some) as model:
                _require_all(exact.reference)
                logprob_TV = _logits(model, row.prompt, option).log_softmax(-1)
                total = logprob_TV.gather(1, torch.tensor(option)[:, None]).sum()
                assert_close(ours[at].detach(), total.detach(), row)
                (weights[at] * total).backward()
            at += 1
    theirs = dict(exact.reference.named_parameters())
    for name, adapter in trained.items():
        for layer, factor in adapter.factors.items():
            for side, tensor in (("A", factor.down), ("B", factor.up)):
                expected = theirs[f"base_model.model.{layer}.lora_{side}.{name}.weight"].grad
                assert expected is not None and expected.abs().max() > 0
                assert_close(tensor.grad, expected, (name, layer, side))
    for mine, others in zip(vectors, other, strict=True):
        for a, b in zip(mine, others, strict=True):
            assert_close(a.grad, b.grad, "an edit's vector")


def _trained(adapter: Adapter) -> Adapter:
    return Adapter(
        {
            name: LowRank(f.down.clone().requires_grad_(), f.up.clone().requires_grad_(), f.scaling)
            for name, f in adapter.factors.items()
        }
    )


def _require_all(model) -> None:
    """Undo that peft freezes the adapters that are not in use."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
