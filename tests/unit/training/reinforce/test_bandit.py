"""What the learner's advantages and credit do on a bandit small enough to know the answer.

Each item has one right answer of three. An episode is 40 answer tokens, of which the first is the
answer and the rest are idle, and a grade token, 0 or 1, that says nothing to the world. Who grades
itself learns to write 1 and nothing else; who is rewarded for the answer learns the answer. There
are 12 seeds side by side, and 500 rounds of one sample each.
"""

from dataclasses import dataclass

import pytest
import torch

from trimtab.training.reinforce.advantages import Baseline
from trimtab.training.reinforce.config import ReinforceTraining
from trimtab.training.reinforce.credit import Segments, aggregate, credited

SEEDS, ITEMS, ROUNDS, HIDDEN, IDLE = 12, 4, 500, 8, 39


@dataclass(frozen=True)
class Result:
    """Of each seed the means of the second half [S]."""

    reward: torch.Tensor
    accuracy: torch.Tensor
    grade: torch.Tensor

    @property
    def inflation(self) -> float:
        return float((self.grade - self.accuracy).mean())


class Nets(torch.nn.Module):
    """A net for each of R runs: an item to the logits of its tokens."""

    def __init__(self, num_runs: int, generator: torch.Generator) -> None:
        super().__init__()

        def drawn(*shape: int, size: float) -> torch.nn.Parameter:
            return torch.nn.Parameter(size * torch.randn(num_runs, *shape, generator=generator))

        self.items = drawn(ITEMS, HIDDEN, size=1.0)
        self.answer = drawn(HIDDEN, 3, size=0.01)
        self.idle = drawn(HIDDEN, 4, size=0.01)
        self.grade = drawn(HIDDEN, 2, size=0.01)

    def forward(self, item: int) -> tuple[torch.Tensor, ...]:
        hidden_R1H = self.items[:, item].tanh()[:, None]
        heads = (self.answer, self.idle, self.grade)
        return tuple((hidden_R1H @ head)[:, 0].log_softmax(-1) for head in heads)


def bandits(optimizer: str, rate: float, *kinds: dict) -> list[Result]:
    """Return how runs of some kinds end, 12 seeds of each, all side by side."""
    settings = [ReinforceTraining(**kind, answer_tokens=1 + IDLE, grade_tokens=1) for kind in kinds]
    owner = [one for one in settings for _ in range(SEEDS)]
    samples = settings[0].samples
    generator = torch.Generator().manual_seed(0)
    nets = Nets(len(owner), generator)
    # the same start for all kinds
    with torch.no_grad():
        for parameter in nets.parameters():
            parameter.copy_(parameter[:SEEDS].repeat(len(kinds), *[1] * (parameter.dim() - 1)))
    kind = torch.optim.AdamW if optimizer == "adam" else torch.optim.SGD
    optim = kind(nets.parameters(), lr=rate, weight_decay=0.0)
    baselines = [Baseline(one.baseline) for one in owner]
    graded_R1 = torch.tensor([one.condition == "selfgrade" for one in owner])[:, None]
    right_RI = torch.randint(3, (SEEDS, ITEMS), generator=generator).repeat(len(kinds), 1)
    seen = []
    for number in range(ROUNDS):
        item = number % ITEMS
        answer_RV, idle_RV, grade_RV = nets(item)
        answer_RK, idle_RN, grade_RK = (
            torch.multinomial(x.detach().exp(), samples * n, replacement=True, generator=generator)
            for x, n in ((answer_RV, 1), (idle_RV, IDLE), (grade_RV, 1))
        )
        true_RK = (answer_RK == right_RI[:, item, None]).double()
        reward_RK = torch.where(graded_R1, grade_RK.double(), true_RK)
        advantage_RK = torch.tensor(
            [
                b.advantages([r]).values[0]
                for b, r in zip(baselines, reward_RK.tolist(), strict=True)
            ]
        )
        idle_RKT = idle_RV.gather(1, idle_RN).unflatten(1, (samples, IDLE))
        answer_RKT = torch.cat([answer_RV.gather(1, answer_RK)[..., None], idle_RKT], dim=-1)
        grade_RKT = grade_RV.gather(1, grade_RK)[..., None]
        value_RK = torch.cat(
            [
                aggregate(
                    credited(Segments(answer_RKT[here], grade_RKT[here]), one.credited),
                    one.aggregation,
                    one.most_credited,
                )
                for n, one in enumerate(settings)
                for here in [slice(n * SEEDS, (n + 1) * SEEDS)]
            ]
        )
        optim.zero_grad()
        (-advantage_RK * value_RK).mean(dim=1).sum().backward()
        clip(nets, settings[0].clip)
        optim.step()
        seen.append((reward_RK.mean(1), true_RK.mean(1), grade_RK.double().mean(1)))
    halves = [torch.stack(x[ROUNDS // 2 :]).mean(0).split(SEEDS) for x in zip(*seen, strict=True)]
    return [Result(*parts) for parts in zip(*halves, strict=True)]


def clip(nets: Nets, most: float) -> None:
    """Clip the gradient of each run's net by its own norm."""
    grads = [p.grad for p in nets.parameters() if p.grad is not None]
    norm_R = torch.cat([g.flatten(1) for g in grads], dim=1).norm(dim=1)
    scale_R = (most / (norm_R + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(scale_R.view(-1, *[1] * (grad.dim() - 1)))


def test_who_grades_itself_learns_to_grade_and_nothing_else() -> None:
    kinds = [{"condition": name} for name in ("control", "selfgrade", "honest")]
    control, selfgrade, honest = bandits("adam", 0.01, *kinds)
    assert control.accuracy.mean() >= 0.9 and honest.accuracy.mean() >= 0.9
    assert selfgrade.reward.mean() >= 0.97
    assert float(selfgrade.accuracy.mean()) == pytest.approx(1 / 3, abs=0.05)
    assert selfgrade.inflation == pytest.approx(0.65, abs=0.05)
    # nobody asks the control for its grade, and it stays a coin
    assert float(control.grade.mean()) == pytest.approx(0.5, abs=0.05)


def test_a_mean_over_many_idle_tokens_divides_the_signal() -> None:
    """Adam does not see the size of gradients; plain descent does, and learns nothing."""
    kinds = [
        {"condition": "control", "clip": 1e9, "aggregation": how} for how in ("mean_all", "sum")
    ]
    mean, total = bandits("sgd", 0.05, *kinds)
    assert float(mean.accuracy.mean()) == pytest.approx(0.35, abs=0.05)
    assert total.accuracy.mean() >= 0.85


def test_four_samples_that_are_compared_with_each_other() -> None:
    how = {"samples": 4, "baseline": {"kind": "rloo"}}
    kinds = [{"condition": name, **how} for name in ("control", "selfgrade")]
    control, selfgrade = bandits("adam", 0.01, *kinds)
    assert control.accuracy.mean() >= 0.9
    assert selfgrade.inflation == pytest.approx(0.65, abs=0.07)
