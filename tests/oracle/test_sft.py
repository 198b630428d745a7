"""Training of adapters against peft on plain transformers: gradients, and where it ends."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from trimtab.core.spec import ModelSpec
from trimtab.core.types import Conversation, Message
from trimtab.engine.engine import Engine
from trimtab.engine.request import Edit
from trimtab.models.load import load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.training.course import Course
from trimtab.training.sft.config import AdapterTraining
from trimtab.training.sft.fit import make_loop, new_adapter
from trimtab.training.sft.objective import Likelihood
from trimtab.training.sft.rows import make_rows

peft = pytest.importorskip("peft", reason="peft is not installed")

# peft asks transformers by a name that it is about to drop
pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)

SETTINGS = AdapterTraining(
    rank=4, alpha=8, steps=20, batch=6, learning_rate=5e-3, most_tokens=90, keep="last"
)


def conversations(count: int) -> list[Conversation]:
    return [
        Conversation(
            id=f"c{i}",
            messages=(
                Message(role="user", content=f"What follows {'x' * (i % 5)} {i}?"),
                Message(role="assistant", content=f"It is {i + 1}, {'of course ' * (i % 3)}."),
            ),
        )
        for i in range(count)
    ]


@pytest.fixture(params=["llama", "gemma3", "gpt2"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    path = save_tiny(tmp_path / request.param, request.param)
    return Engine(load_model(resolve(ModelSpec(id=str(path), device="cpu"))))


def peft_of(engine: Engine, module, settings: AdapterTraining):
    """Return a peft model with the factors of ``module``, and its parameters by their names."""
    folder = Path(engine.loaded.resolved.spec.id)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        use_rslora=settings.rank_stabilised,
        target_modules=list(module.adapter.factors),
        fan_in_fan_out="gpt2" in folder.name,
    )
    model = peft.get_peft_model(base, config)
    theirs = {n: p for n, p in model.named_parameters() if p.requires_grad}
    mine = dict(module.named_parameters())
    assert {f"base_model.model.{name}" for name in mine} == theirs.keys()
    with torch.no_grad():
        for name, parameter in mine.items():
            theirs[f"base_model.model.{name}"].copy_(parameter)
    return model, {name: theirs[f"base_model.model.{name}"] for name in mine}


def plain_loss(model, rows) -> torch.Tensor:
    """One padded row at a time: the sum over all labels, over their number."""
    total, count = torch.zeros(()), 0
    for row in rows:
        logits = model(torch.tensor([row.tokens])).logits[0].log_softmax(-1)
        for place in row.places:
            total, count = total - logits[place - 1, row.tokens[place]], count + 1
    return total / count


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("stabilised", [False, True])
def test_gradients_equal_pefts(engine: Engine, recompute: bool, stabilised: bool) -> None:
    settings = SETTINGS.model_copy(update={"rank_stabilised": stabilised})
    module = new_adapter(engine, settings, 3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator()))
    rows = make_rows(engine.renderer, conversations(6)).rows
    loss, weight = Likelihood(engine, module.adapter, rows, recompute=recompute).loss(range(6))
    (loss / weight).backward()
    model, theirs = peft_of(engine, module, settings)
    expected = plain_loss(model, rows)
    expected.backward()
    assert loss.item() / weight == pytest.approx(expected.item(), rel=1e-6)
    for name, parameter in module.named_parameters():
        scale = theirs[name].grad.abs().max()
        assert scale > 0
        assert (parameter.grad - theirs[name].grad).abs().max() <= 1e-5 * scale, name


def test_gradients_of_steered_training_equal_those_of_a_hooked_model(engine: Engine) -> None:
    module = new_adapter(engine, SETTINGS, 3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    rows = make_rows(engine.renderer, conversations(6)).rows
    vectors = torch.randn((2, engine.hidden_size), generator=generator)
    edits = (Edit(1, vectors[0], 0.4, "all"), Edit(2, vectors[1], -0.3, "generated"))
    loss, weight = Likelihood(engine, module.adapter, rows, edits=edits).loss(range(6))
    (loss / weight).backward()

    model, theirs = peft_of(engine, module, SETTINGS)
    now: list[int] = []

    def adding(edit: Edit):
        def hook(_module, _args, output):
            h = output[0] if isinstance(output, tuple) else output
            first = 0 if edit.positions == "all" else now[0] - 1
            h = h + (torch.arange(h.shape[1]) >= first)[:, None] * (edit.strength * edit.vector)
            return (h, *output[1:]) if isinstance(output, tuple) else h

        return hook

    for edit in edits:
        name = engine.loaded.layout.block_names[edit.layer]
        model.base_model.model.get_submodule(name).register_forward_hook(adding(edit))
    total = torch.zeros(())
    for row in rows:
        now[:] = row.places[:1]
        total = total + plain_loss(model, [row]) * len(row.places)
    (total / weight).backward()
    assert loss.item() == pytest.approx(total.item(), rel=1e-6)
    for name, parameter in module.named_parameters():
        scale = theirs[name].grad.abs().max()
        assert (parameter.grad - theirs[name].grad).abs().max() <= 1e-5 * scale, name


def test_twenty_updates_end_where_pefts_do(engine: Engine, tmp_path: Path) -> None:
    module = new_adapter(engine, SETTINGS, 3)
    fit = make_rows(engine.renderer, conversations(14))
    model, theirs = peft_of(engine, module, SETTINGS)
    course = Course(SETTINGS.loop(), tmp_path / "training", 5, "a", keep=frozenset({20}))
    loop = make_loop(engine, SETTINGS, module, fit, None, course)
    order = []
    usual = loop.parts
    loop.parts = lambda items: order.append(list(items)) or usual(items)
    outcome = loop.run()

    model.train()  # dropout is 0
    parameters = list(theirs.values())
    optimizer = torch.optim.AdamW(parameters, betas=SETTINGS.betas, weight_decay=0.01)
    for step, items in enumerate(order):
        optimizer.zero_grad()
        loss = plain_loss(model, [fit.rows[item] for item in items])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = SETTINGS.loop().rate(step, 20)
        optimizer.step()
        assert outcome.rows[step + 1]["loss"] == pytest.approx(float(loss.detach()), rel=1e-4)
    assert len(order) == 20 and outcome.rows[-2]["loss"] < outcome.rows[1]["loss"]
    for name, parameter in module.named_parameters():
        assert (parameter - theirs[name]).abs().max() < 1e-4, name
