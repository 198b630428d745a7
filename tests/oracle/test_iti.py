"""Inference-time intervention against plain hooks, and its probes against a general optimiser."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.spec import ModelSpec
from trimtab.core.types import ContrastPair, Message
from trimtab.engine.engine import Engine
from trimtab.engine.request import Options, OptionsResult, Request
from trimtab.interventions.base import INTERVENTIONS
from trimtab.interventions.iti import probe_accuracy
from trimtab.models.load import LoadedModel, load_model, resolve
from trimtab.models.tiny import save_tiny
from trimtab.steering.fitted import FitContext, FitData

PAIRS = [
    ContrastPair(
        id=str(i),
        question_id=str(i // 2),
        messages=(Message(role="user", content=f"Question {i // 2}?"),),
        positive=f"yes number {i}",
        negative=f"{i} is no way",
    )
    for i in range(12)
]


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory) -> LoadedModel:
    path = tmp_path_factory.mktemp(request.param)
    save_tiny(path, request.param)
    return load_model(resolve(ModelSpec(id=str(path), device="cpu")))


def last_heads(loaded: LoadedModel, tokens: list[int]) -> torch.Tensor:
    """Head outputs [B, A, D] at the last token, by plain hooks before each output projection."""
    seen: list[torch.Tensor] = []
    handles = [
        mixer.register_forward_pre_hook(lambda _m, args: seen.append(args[0][0, -1]))
        for mixer in loaded.layout.head_mixers
    ]
    with torch.no_grad():
        loaded.model(torch.tensor([tokens]), use_cache=False)
    for handle in handles:
        handle.remove()
    heads = loaded.model.config.get_text_config().num_attention_heads
    return torch.stack(seen).double().unflatten(1, (heads, -1))


def test_shifts_and_edits_equal_the_slow_way(loaded) -> None:
    engine = Engine(loaded)
    config = {"heads": 3, "strength": 7.0}
    iti = INTERVENTIONS.build("iti", config)
    fitted = iti.fit(FitContext.of_pairs(engine, PAIRS, "plain", 0))
    states: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    for pair in PAIRS:
        prompt, answers = loaded.renderer.with_answers(
            pair.messages, [pair.positive, pair.negative], "plain"
        )
        for right, answer in zip((True, False), answers, strict=True):
            states[right].append(last_heads(loaded, [*prompt, *answer]))
    right, wrong = torch.stack(states[True]), torch.stack(states[False])
    both = torch.cat([right, wrong])
    accuracy = fitted.tensors["accuracy"]
    slow = torch.zeros_like(right[0])
    for b in range(slow.shape[0]):
        for a in range(slow.shape[1]):
            shift = (right[:, b, a].mean(0) - wrong[:, b, a].mean(0)).numpy()
            unit = shift / np.linalg.norm(shift)
            slow[b, a] = torch.tensor(unit * np.std(both[:, b, a].numpy() @ unit))
            ours = fitted.tensors[f"l{b}.heads"][a].double()
            torch.testing.assert_close(ours, slow[b, a], atol=1e-5, rtol=1e-4)
    ranked = sorted(
        (
            (float(accuracy[b, a]), -b, -a)
            for b in range(len(accuracy))
            for a in range(len(accuracy[0]))
        ),
        reverse=True,
    )[:3]
    chosen = {(-b, -a) for _, b, a in ranked}
    prompt, answer = list(range(20, 45)), [7, 8, 9, 30]

    def move(block):
        def hook(_module, args):
            x = args[0].clone().unflatten(2, slow.shape[1:])
            for a in range(slow.shape[1]):
                if (block, a) in chosen:
                    x[0, len(prompt) - 1 :, a] += 7.0 * slow[block, a].float()
            return (x.flatten(2),)

        return hook

    handles = [
        m.register_forward_pre_hook(move(b)) for b, m in enumerate(loaded.layout.head_mixers)
    ]
    with torch.no_grad():
        logits = loaded.model(torch.tensor([[*prompt, *answer]]), use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    expected = logits[len(prompt) - 1 : -1].log_softmax(-1)
    expected = expected.gather(1, torch.tensor(answer)[:, None]).sum()
    requests = [
        Request(name, tuple(prompt), Options((tuple(answer),)), edits)
        for name, edits in {"moved": iti.treat({"vector": fitted}).edits, "still": ()}.items()
    ]
    found = {r.key: r.logprobs[0] for r in engine.run(requests) if isinstance(r, OptionsResult)}
    assert found["moved"] == pytest.approx(float(expected), abs=1e-3)
    assert abs(found["moved"] - found["still"]) > 1e-2


def test_random_directions_are_as_long_in_the_same_heads(loaded) -> None:
    fitted = INTERVENTIONS.build("iti", {}).fit(
        FitContext.of_pairs(Engine(loaded), PAIRS, "plain", 0)
    )
    made = [
        INTERVENTIONS.build("iti", {"heads": 3, "draw": draw}).treat({"vector": fitted}).edits
        for draw in (None, 0, 0, 1)
    ]
    heads = fitted.info["num_heads"]
    norms = [[e.vector.unflatten(0, (heads, -1)).norm(dim=1) for e in edits] for edits in made]
    for one, other in zip(norms[0], norms[1], strict=True):
        torch.testing.assert_close(one, other)
    assert all(torch.equal(a.vector, b.vector) for a, b in zip(made[1], made[2], strict=True))
    assert not torch.equal(made[1][0].vector, made[3][0].vector)
    with pytest.raises(ConfigError, match="heads = 999"):
        INTERVENTIONS.build("iti", {"heads": 999}).treat({"vector": fitted})
    with pytest.raises(DataError, match="at least 3 questions"):
        INTERVENTIONS.build("iti", {}).check_input(FitData(PAIRS[:4], "fit", "plain"))


@pytest.mark.parametrize("spread", [0.3, 2.0, 30.0])
def test_probes_are_those_of_a_general_optimiser(spread: float) -> None:
    generator = torch.Generator().manual_seed(int(spread * 10))
    right = torch.arange(60) % 2 == 0
    states = spread * torch.randn(60, 4, 5, generator=generator, dtype=torch.float64)
    states[right, :, 0] += spread * torch.tensor([0.0, 0.5, 1.0, 4.0])
    train, held = slice(0, 40), slice(40, 60)
    accuracy = probe_accuracy(states[train], right[train], states[held], right[held])
    sign = np.where(right.numpy(), 1.0, -1.0)
    for head in range(4):
        x = np.concatenate([states[:, head].numpy(), np.ones((60, 1))], axis=1)

        def loss(w: np.ndarray, x: np.ndarray = x) -> float:
            return np.logaddexp(0, -sign[train] * (x[train] @ w)).sum() + 0.5 * (w[:-1] ** 2).sum()

        best = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-7}).x
        expected = ((x[held] @ best > 0) == right[held].numpy()).mean()
        assert float(accuracy[head]) == pytest.approx(expected)
    assert float(accuracy[3]) > 0.9


def test_all_heads_of_a_model_on_two_threads() -> None:
    """The batched LU solver of Intel's MKL hangs here on some processors."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        generator = torch.Generator().manual_seed(0)
        right = torch.arange(80) % 2 == 0
        states = torch.randn(80, 72, 256, generator=generator, dtype=torch.float64)
        states[right, :, 0] += torch.linspace(0, 4, 72).double()
        train, held = slice(0, 50), slice(50, 80)
        accuracy = probe_accuracy(states[train], right[train], states[held], right[held])
    finally:
        torch.set_num_threads(threads)
    for head in (0, 36, 71):
        probe = LogisticRegression(tol=1e-8, max_iter=1000)
        probe.fit(states[train, head].numpy(), right[train].numpy())
        expected = probe.score(states[held, head].numpy(), right[held].numpy())
        assert float(accuracy[head]) == pytest.approx(expected)
