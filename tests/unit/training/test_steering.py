"""Learned steering: losses as a slow forward gives them, gradients as differences give them."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from killed_writes import check_same_bytes
from slow_model import full_logits

from trimtab.core.errors import NonFiniteError
from trimtab.core.spec import ModelSpec
from trimtab.core.training import Training
from trimtab.engine.engine import Engine
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.nets.networks import VectorNet
from trimtab.models.tiny import save_tiny
from trimtab.training.course import Course
from trimtab.training.steering import Goal, Losses, Place, Question, Steering, history, train

POSITIONS = ["all", "prompt", "last_prompt", "generated", "after_prompt"]
LAYER = 1


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> LoadedModel:
    """A tiny model in float64."""
    path = save_tiny(tmp_path_factory.mktemp(request.param) / "tiny", request.param)
    single = load_model(resolve(ModelSpec(id=str(path), device="cpu")))
    single.model.double()
    for module in single.model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            # the library's norms compute in float32, which drowns small differences in rounding
            module.forward = partial(exact_norm, module, float(request.param == "gemma3"))
    return replace(single, dtype=torch.float64)


def exact_norm(module: torch.nn.Module, more: float, x: torch.Tensor) -> torch.Tensor:
    eps = getattr(module, "variance_epsilon", None) or module.eps
    return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt() * (module.weight + more)


def drawn_tokens(generator: torch.Generator, count: int) -> tuple[int, ...]:
    return tuple(torch.randint(10, 200, (count,), generator=generator).tolist())


def make_questions(num: int, hidden: int = 32, common: int = 0) -> list[Question]:
    """Prompts of unequal lengths, two right and three wrong answers each."""
    generator = torch.Generator().manual_seed(7)
    start = drawn_tokens(generator, common)
    return [
        Question(
            f"q{i}",
            (*start, *drawn_tokens(generator, 1 + 5 * (i % 4))),
            tuple(drawn_tokens(generator, 1 + (i + k) % 4) for k in range(2)),
            tuple(drawn_tokens(generator, 1 + (i + k) % 5) for k in range(3)),
            torch.randn(hidden, generator=generator),
        )
        for i in range(num)
    ]


def slow_logprob(loaded, question, answer, edits) -> float:
    tokens, n = (*question.prompt, *answer), len(question.prompt)
    logprob_TV = full_logits(loaded, tokens, n, edits).double().log_softmax(-1)
    return sum(float(logprob_TV[n - 1 + i, token]) for i, token in enumerate(answer))


def slow_loss(loaded, goal: Goal, question: Question, edits) -> float:
    if goal.mode == "gen":
        best = question.right[0]
        return -slow_logprob(loaded, question, best, edits) / len(best)
    right, wrong = (
        [slow_logprob(loaded, question, answer, edits) for answer in answers]
        for answers in (question.right, question.wrong)
    )
    hinges = [max(0.0, goal.margin - (r - w)) for r in right for w in wrong]
    return sum(hinges) / len(hinges)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("mode", ["mc", "gen"])
@pytest.mark.parametrize("common", [0, 20])
def test_losses_equal_a_slow_forward_with_a_hook(loaded, mode, positions, common) -> None:
    goal, place = Goal(mode, 1.0, 0.01), Place(LAYER, positions, -2.5)
    questions = make_questions(6, common=common)
    generator = torch.Generator().manual_seed(1)
    vectors_BH = torch.randn(6, 32, generator=generator, dtype=torch.float64)
    losses = Losses(Engine(loaded), goal, place, questions)
    for vectors, values in ((vectors_BH, losses.each(vectors_BH)), (None, losses.each(None))):
        for i, value in enumerate(values):
            edits = () if vectors is None else (place.edit(vectors[i]),)
            assert value == pytest.approx(slow_loss(loaded, goal, questions[i], edits), abs=1e-9)
    edit = place.edit(vectors_BH[0])
    assert edit.strength * edit.vector.norm() == pytest.approx(-2.5)


def random_net(*, reads_state: bool) -> VectorNet:
    """A net in float64 whose last layer is not zero, so that every weight matters."""
    torch.manual_seed(3)
    net = VectorNet(32, 5, reads_state=reads_state).double()
    torch.nn.init.normal_(net.last.weight, std=0.3)
    return net


@pytest.mark.parametrize("mode", ["mc", "gen"])
@pytest.mark.parametrize("positions", ["generated", "all"])
@pytest.mark.parametrize("reads_state", [False, True])
def test_gradients_equal_central_differences(loaded, mode, positions, reads_state) -> None:
    questions = [
        replace(q, state=q.state.double()) for q in make_questions(4, loaded.layout.hidden_size)
    ]
    goal, place = Goal(mode, 1.0, 0.01), Place(LAYER, positions, 3.0)
    net = random_net(reads_state=reads_state)
    bank_VH = torch.randn(3, 32, dtype=torch.float64)
    objective = Steering(net, Losses(Engine(loaded), goal, place, questions), bank_VH, 0.01)

    def loss() -> torch.Tensor:
        torch.manual_seed(11)  # the same vectors are drawn
        return objective.loss(range(4))[0]

    loss().backward()
    step, compared = 1e-5, 0
    for parameter in net.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(0, len(flat), max(1, len(flat) // 6)):
            kept = float(flat[i])
            ends = []
            for shifted in (kept + step, kept - step):
                flat[i] = shifted
                with torch.no_grad():
                    ends.append(float(loss()))
            flat[i] = kept
            expected = (ends[0] - ends[1]) / (2 * step)
            assert float(gradient[i]) == pytest.approx(expected, rel=1e-5, abs=1e-8)
            compared += abs(expected) > 1e-6
    assert compared > 10, "nothing depends on these weights"
    assert all(p.grad is None for p in loaded.model.parameters())


def test_lower_blocks_and_prompts_keep_no_graph(loaded) -> None:
    """Gradients exist above the edited block only, and are on again afterwards."""
    seen: dict[int, list[bool]] = {}
    handles = [
        block.register_forward_hook(
            lambda _m, _a, out, b=b: seen.setdefault(b, []).append(
                (out[0] if isinstance(out, tuple) else out).requires_grad
            )
        )
        for b, block in enumerate(loaded.layout.blocks)
    ]
    questions = make_questions(2)
    vectors_BH = torch.randn(2, 32, dtype=torch.float64, requires_grad=True)
    losses = Losses(Engine(loaded), Goal("mc", 1.0, 0.0), Place(LAYER, "generated", 1.0), questions)
    seen.clear()
    losses.of([0, 1], vectors_BH).sum().backward()
    for handle in handles:
        handle.remove()
    # a pass over the prompts, then one over the answers
    assert seen == {0: [False] * 2, 1: [False] * 2, 2: [False, True], 3: [False, True]}
    assert torch.is_grad_enabled() and vectors_BH.grad.abs().min(dim=1).values.max() > 0


def test_parts_of_a_batch_have_the_gradient_of_the_whole(loaded) -> None:
    questions = make_questions(6)
    found = []
    for parts in ([range(6)], [range(2), range(2, 5), range(5, 6)]):
        net = random_net(reads_state=False)
        place = Place(LAYER, "generated", 1.0)
        losses = Losses(Engine(loaded), Goal("mc", 1.0, 0.01), place, questions)
        bank_VH = torch.randn(
            4, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64
        )
        objective = Steering(net, losses, bank_VH, 0.01)
        torch.manual_seed(5)
        for items in parts:
            objective.loss(items)[0].backward()
        found.append(torch.cat([p.grad.view(-1) for p in net.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("reads_state", [False, True])
def test_vectors_keep_their_length_and_an_untrained_net_its_input(reads_state) -> None:
    vector_BH = torch.randn(5, 32) * torch.tensor([0.01, 1.0, 3.0, 50.0, 1e4])[:, None]
    state_BH = 30 * torch.randn(5, 32)
    state_BH[:, 4] = 2.0  # constant: counts as 0, not as infinity
    torch.manual_seed(0)
    net = VectorNet(32, 8, reads_state=reads_state)
    net.standardise(state_BH)
    torch.testing.assert_close(net(vector_BH, state_BH), vector_BH, rtol=1e-6, atol=0)
    torch.nn.init.normal_(net.last.weight)
    turned_BH = net(vector_BH, state_BH)
    torch.testing.assert_close(turned_BH.norm(dim=1), vector_BH.norm(dim=1), rtol=1e-6, atol=0)
    cosine_B = torch.nn.functional.cosine_similarity(turned_BH, vector_BH)
    assert (cosine_B < 0.95).all()


def planted(engine: Engine, start: int, stop: int) -> list[Question]:
    """Questions whose right answers are all alike, and so are the wrong ones."""
    encode = engine.renderer.encode
    return [
        Question(
            f"q{i}", tuple(encode(f"Number {i}?")), (tuple(encode("zu")),), (tuple(encode("ka")),)
        )
        for i in range(start, stop)
    ]


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    path = save_tiny(tmp_path_factory.mktemp("planted") / "tiny", "llama")
    return Engine(load_model(resolve(ModelSpec(id=str(path), device="cpu"))))


def train_planted(engine: Engine, mode: str, folder: Path, **changes):
    goal, place = Goal(mode, 1.0, 0.01), Place(LAYER, "generated", 4.0)
    fit, select = (Losses(engine, goal, place, planted(engine, *r)) for r in ((0, 12), (12, 20)))
    generator = torch.Generator().manual_seed(4)
    bank_VH = torch.randn(32, generator=generator) + 0.2 * torch.randn(6, 32, generator=generator)
    settings = {"steps": 40, "batch": 4, "learning_rate": 1e-2, "evaluate_every": 10}
    torch.manual_seed(0)
    net = VectorNet(32, 8, reads_state=False)
    outcome = train(
        net,
        fit,
        select,
        bank_VH=bank_VH,
        vector_H=bank_VH.mean(dim=0),
        closeness=0.01,
        course=Course(Training(**{**settings, **changes}), folder, 0, "planted"),
    )
    return net, outcome, select, bank_VH


@pytest.mark.parametrize("mode", ["mc", "gen"])
def test_training_lowers_a_planted_loss_on_questions_it_has_not_seen(
    engine, mode, tmp_path
) -> None:
    net, outcome, select, bank_VH = train_planted(engine, mode, tmp_path / "training")
    given_H = bank_VH.mean(dim=0)
    constant = select.each(given_H.expand(8, -1))
    with torch.no_grad():
        learned = select.each(net(given_H[None], None).expand(8, -1))
        bank_norm_V = net(bank_VH, None).norm(dim=1)
    mean = sum(constant) / 8
    assert -outcome.untrained == pytest.approx(mean, rel=1e-5), "it starts at the constant vector"
    assert sum(learned) / 8 == pytest.approx(-outcome.best, rel=1e-5)
    assert all(a < b for a, b in zip(learned, constant, strict=True))
    assert sum(learned) / 8 < mean - 0.3
    torch.testing.assert_close(bank_norm_V, bank_VH.norm(dim=1))
    looks = history(outcome)
    assert [look["update"] for look in looks] == [0, 10, 20, 30, 40]
    assert looks[-1]["fit_loss"] < looks[1]["fit_loss"] and looks[0]["fit_loss"] is None


def test_a_loss_that_is_not_finite_names_its_update(engine, tmp_path) -> None:
    with pytest.raises(NonFiniteError, match=r"(After 10 updates|Update \d+)"):
        train_planted(engine, "gen", tmp_path / "training", learning_rate=1e30, warmup=0)


PROGRAM = """
import torch
from trimtab.core.spec import ModelSpec
from trimtab.core.training import Training
from trimtab.engine.engine import Engine
from trimtab.models.load import load_model, resolve
from trimtab.models.nets.networks import VectorNet
from trimtab.training.checkpoint import write_tensors
from trimtab.training.course import Course
from trimtab.training.steering import Goal, Losses, Place, Question, train

engine = Engine(load_model(resolve(ModelSpec(id=sys.argv[3], device="cpu"))))
state = torch.randn(20, 32, generator=torch.Generator().manual_seed(1))
questions = [
    Question(f"q{i}", (5, 6, 7 + i), ((30 + i % 3, 9),), ((40 + i % 2,), (3, 4)), state[i])
    for i in range(20)
]
goal, place = Goal("mc", 1.0, 0.01), Place(1, "generated", 3.0)
fit, select = (Losses(engine, goal, place, q) for q in (questions[:14], questions[14:]))
torch.manual_seed(0)
net = VectorNet(32, 8, reads_state=True)
bank = torch.randn(5, 32, generator=torch.Generator().manual_seed(2))
settings = Training(steps=12, batch=4, micro_batch=3, learning_rate=1e-2, evaluate_every=4)
train(
    net, fit, select, bank_VH=bank, vector_H=bank.mean(0), closeness=0.01,
    course=Course(settings, folder / "training", 3, "same", checkpoint_seconds=0.0),
)
write_tensors(folder / "net.safetensors", dict(net.state_dict()))
"""


@pytest.mark.campaign
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_random_writes_leaves_the_same_bytes(tmp_path) -> None:
    model = save_tiny(tmp_path / "model", "llama")
    assert len(check_same_bytes(PROGRAM, tmp_path, str(model), kills=3)) > 4
