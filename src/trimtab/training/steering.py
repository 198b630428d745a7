"""Train a network to make steering vectors: the loss of answers flows through the edit into it.

The language model is frozen. Items are questions; a question's vector is made of a vector drawn
from the bank anew at each update (and of its prompt's state), added at a fixed strength, and
judged by the answers' log-probabilities (nats, summed over tokens, as multiple choice has them).

Shapes: B questions, V vectors of the bank, H hidden, R right and W wrong answers of a question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from trimtab.engine.reading.gradients import Answered, answer_logprobs, common_start
from trimtab.engine.request import Edit, Positions
from trimtab.models.nets.networks import VectorNet
from trimtab.training.course import Course, Outcome, Stateless
from trimtab.training.loop import Loop

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine

Mode = Literal["mc", "gen"]
_EVALUATED_TOGETHER = 4


@dataclass(frozen=True, eq=False)
class Question:
    """A prompt and its answers, as token ids.

    Attributes:
        id: Unique name.
        prompt: Special tokens included.
        right: Right answers, the best one first.
        wrong: Wrong answers.
        state: Float32 [H], the prompt's last state at the edited block; None if nobody reads it.
    """

    id: str
    prompt: tuple[int, ...]
    right: tuple[tuple[int, ...], ...]
    wrong: tuple[tuple[int, ...], ...]
    state: torch.Tensor | None = None


@dataclass(frozen=True)
class Place:
    """Where vectors act, and how strongly.

    Attributes:
        layer: 0-based block whose output is edited.
        positions: Positions of the edit.
        length: Length of what is added, negative to turn it round; None if ``factor`` counts.
        factor: Multiple of the vector that is added, if there is no length.
    """

    layer: int
    positions: Positions
    length: float | None
    factor: float = 1.0

    def edit(self, vector_H: torch.Tensor) -> Edit:
        """Return the edit that adds a vector."""
        strength = self.factor
        if self.length is not None:
            strength = self.length / float(vector_H.detach().norm())
        return Edit(self.layer, vector_H, strength, self.positions)


@dataclass(frozen=True)
class Goal:
    """What is minimised.

    Attributes:
        mode: ``mc``: mean over a question's right and wrong answers of the hinge
            ``max(0, margin - (log P(right) - log P(wrong)))``. ``gen``: negative log-likelihood per
            token of the best answer.
        margin: In nats.
        closeness: Weight of the mean squared difference between the network's output and the vector
            that it was given, both as long as the vector of the bank.
    """

    mode: Mode
    margin: float
    closeness: float


class Losses:
    """The losses of questions under vectors of their own."""

    def __init__(
        self, engine: Engine, goal: Goal, place: Place, questions: Sequence[Question]
    ) -> None:
        """Take ``questions``, all that will be asked for: what prompts share is computed now."""
        self.questions = questions
        self._engine = engine
        self._goal = goal
        self._place = place
        shape = torch.ones(engine.hidden_size)
        self._primer = common_start(engine.loaded, [self._row(q, shape) for q in questions])

    def of(
        self, items: Sequence[int], vectors: Sequence[torch.Tensor] | torch.Tensor | None
    ) -> torch.Tensor:
        """Return the losses [B], float32 or better, without the closeness term.

        Args:
            items: Which questions.
            vectors: What is added to each, [B, H]; None adds nothing.
        """
        chosen = [self.questions[i] for i in items]
        rows = [
            self._row(question, None if vectors is None else vectors[i])
            for i, question in enumerate(chosen)
        ]
        engine = self._engine
        found = answer_logprobs(engine.loaded, engine.head, rows, self._primer)
        return torch.stack(
            [self._loss(q, logprob_K) for q, logprob_K in zip(chosen, found, strict=True)]
        ).cpu()

    def each(self, vectors: Sequence[torch.Tensor] | torch.Tensor | None) -> list[float]:
        """Return every question's loss, without gradients; ``vectors`` as in ``of``."""
        values: list[float] = []
        with torch.no_grad():
            for at in range(0, len(self.questions), _EVALUATED_TOGETHER):
                items = range(at, min(at + _EVALUATED_TOGETHER, len(self.questions)))
                some = None if vectors is None else [vectors[i] for i in items]
                values += self.of(items, some).tolist()
        return values

    def _row(self, question: Question, vector_H: torch.Tensor | None) -> Answered:
        answers = question.right[:1]
        if self._goal.mode == "mc":
            answers = (*question.right, *question.wrong)
        edits = () if vector_H is None else (self._place.edit(vector_H),)
        return Answered(question.prompt, answers, edits)

    def _loss(self, question: Question, logprob_K: torch.Tensor) -> torch.Tensor:
        if self._goal.mode == "gen":
            return -logprob_K[0] / len(question.right[0])
        right_R, wrong_W = logprob_K.split([len(question.right), len(question.wrong)])
        gap_RW = right_R[:, None] - wrong_W[None, :]
        hinge: torch.Tensor = (self._goal.margin - gap_RW).clamp(min=0).mean()
        return hinge


class Steering(Stateless):
    """The objective: the summed losses of some questions, each of weight 1."""

    def __init__(
        self, net: VectorNet, losses: Losses, bank_VH: torch.Tensor, closeness: float
    ) -> None:
        """Take the network, the fit split's losses and the vectors to draw from."""
        self._net = net
        self._losses = losses
        self._bank_VH = bank_VH
        self._closeness = closeness

    def loss(self, items: Sequence[int]) -> tuple[torch.Tensor, float]:
        """Return the summed loss of the questions ``items`` and their number."""
        # one by one, so that parts of a batch draw what the whole batch draws
        drawn = [int(torch.randint(len(self._bank_VH), ())) for _ in items]
        input_BH = self._bank_VH[drawn]
        output_BH = vectors_for(self._net, input_BH, [self._losses.questions[i] for i in items])
        far_B = (output_BH - input_BH).square().mean(dim=-1)
        total = (self._losses.of(items, output_BH) + self._closeness * far_B).sum()
        return total, float(len(items))


def vectors_for(
    net: VectorNet, vector_BH: torch.Tensor, questions: Sequence[Question]
) -> torch.Tensor:
    """Return what ``net`` makes of a vector for each question [B, H]."""
    states = [q.state for q in questions if q.state is not None] if net.reads_state else []
    result: torch.Tensor = net(vector_BH, torch.stack(states) if states else None)
    return result


def train(
    net: VectorNet,
    fit: Losses,
    select: Losses,
    *,
    bank_VH: torch.Tensor,
    vector_H: torch.Tensor,
    closeness: float,
    course: Course,
) -> Outcome:
    """Train ``net``; it ends with the weights whose vectors have the lowest loss on ``select``.

    Args:
        net: On the CPU.
        fit: Losses that are minimised.
        select: Losses that say when to stop.
        bank_VH: Vectors that are drawn from in training.
        vector_H: The vector that the network is given when it is applied, and on ``select``.
        closeness: See ``Goal``.
        course: How and where.

    Raises:
        NonFiniteError: A loss is NaN or infinite; it names the update.
    """

    def evaluate() -> tuple[float]:
        with torch.no_grad():
            given_BH = vector_H.expand(len(select.questions), -1)
            made_BH = vectors_for(net, given_BH, select.questions)
        values = select.each(made_BH)
        return (-sum(values) / len(values),)

    objective = Steering(net, fit, bank_VH, closeness)
    return Loop(net, objective, course, num_items=len(fit.questions), evaluate=evaluate).run()


def history(outcome: Outcome) -> list[dict[str, Any]]:
    """Return each look at the select split, with the mean loss of the updates since the last."""
    return [
        {"update": update, "fit_loss": fit_loss, "select_loss": -values[0]}
        for update, fit_loss, values in outcome.looks()
    ]
