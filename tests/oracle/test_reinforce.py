"""A round of REINFORCE against peft and autograd on plain transformers: the whole conversation."""

from pathlib import Path

import pytest
import torch
from reinforce_runs import moved, run_of, tiny
from transformers import AutoModelForCausalLM

from trimtab.engine.engine import Engine
from trimtab.training.reinforce.cohort import Cohort

peft = pytest.importorskip("peft", reason="peft is not installed")

# peft asks transformers by a name that it is about to drop
pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)

ADVANTAGES = [0.75, -1.25, 0.5, 2.0]
CASES = [
    *((aggregation, "all") for aggregation in ("mean_all", "sum", "constant_length")),
    *(("per_segment", credit) for credit in ("all", "answer", "grade")),
]


def peft_of(engine: Engine, module, settings):
    base = AutoModelForCausalLM.from_pretrained(
        engine.loaded.resolved.spec.id, dtype=torch.float32
    ).eval()
    targets = list(module.adapter.factors)
    config = peft.LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules=targets)
    model = peft.get_peft_model(base, config).eval()
    theirs = {n: p for n, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            theirs[f"base_model.model.{name}"].copy_(parameter)
    return model, theirs


def plain_loss(model, episode, advantage: float, settings) -> torch.Tensor:
    """The objective as the papers write it, one conversation at a time."""
    logits = model(torch.tensor([episode.tokens])).logits[0]
    logprob = logits.log_softmax(-1)[:-1].gather(1, torch.tensor(episode.tokens[1:])[:, None])[:, 0]
    answer = logprob[len(episode.prompt) - 1 :][: len(episode.answer.tokens)]
    grade = logprob[-len(episode.grade.tokens) :]
    parts = {"all": [answer, grade], "answer": [answer], "grade": [grade]}[settings.credited]
    joined = torch.cat(parts)
    value = {
        "mean_all": joined.mean(),
        "per_segment": sum(part.mean() for part in parts),
        "sum": joined.sum(),
        "constant_length": joined.sum() / settings.most_credited,
    }[settings.aggregation]
    loss = -advantage * value
    if settings.divergence_weight:
        with model.disable_adapter():
            base = model(torch.tensor([episode.tokens])).logits[0].log_softmax(-1)
        per_place = (logits.softmax(-1) * (logits.log_softmax(-1) - base)).sum(-1)[:-1]
        first = per_place[len(episode.prompt) - 1 :][: len(episode.answer.tokens)]
        second = per_place[-len(episode.grade.tokens) :]
        some = {"all": [first, second], "answer": [first], "grade": [second]}[settings.credited]
        loss = loss + settings.divergence_weight * torch.cat(some).mean()
    return loss


@pytest.mark.parametrize("layout", ["llama", "gemma3"])
def test_gradients_equal_pefts(layout: str, tmp_path: Path) -> None:
    engine = Engine(tiny(tmp_path, layout))
    run = run_of("r", condition="honest", batch=2, samples=2, divergence_weight=0.2)
    cohort = Cohort(engine, [run], tmp_path / "cohort", most_tokens=100)
    (learner,) = cohort.learners
    moved(learner.module)
    assert cohort._sample([learner], {"r": learner.loop.batch()}) == {}
    learner.round.advantages = ADVANTAGES
    model, theirs = peft_of(engine, learner.module, learner.settings)
    for aggregation, credit in CASES:
        changed = {"aggregation": aggregation, "credit": credit}
        learner.settings = learner.settings.model_copy(update=changed)
        sums = cohort._gradients([learner])
        model.zero_grad()
        expected = sum(
            plain_loss(model, episode, advantage, learner.settings)
            for episode, advantage in zip(learner.round.episodes, ADVANTAGES, strict=True)
        )
        expected.backward()
        assert sums["r"] == pytest.approx(expected.item(), rel=1e-5, abs=1e-5)
        for name, parameter in learner.module.named_parameters():
            grad = theirs[f"base_model.model.{name}"].grad
            assert (parameter.grad - grad).abs().max() <= 2e-5 * grad.abs().max(), name
