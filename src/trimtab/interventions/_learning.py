"""Fit the network of the intervention ``mlp``, and measure it on the select split.

Shapes: N questions, V vectors of the bank, H hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import DataError
from trimtab.core.keys import content_key, derive_seed
from trimtab.core.lazy import lazy
from trimtab.core.types import ContrastPair, Message
from trimtab.interventions.bank import subsets
from trimtab.interventions.random import random_like
from trimtab.steering import estimators
from trimtab.steering.captures.reading import read_each
from trimtab.steering.fitted import FitContext
from trimtab.steering.pairs import PairRows, described
from trimtab.steering.partners import partners
from trimtab.steering.reliability import reliability
from trimtab.steering.room import require_room

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
    from trimtab.engine.acts import prompted
    from trimtab.interventions.mlp import MlpConfig
    from trimtab.models.nets import networks
    from trimtab.training import course, steering
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")
    prompted = lazy("trimtab.engine.acts.prompted")
    networks = lazy("trimtab.models.nets.networks")
    course = lazy("trimtab.training.course")
    steering = lazy("trimtab.training.steering")


@dataclass(frozen=True, eq=False)
class Learned:
    """What a fit made.

    Attributes:
        net: The trained network.
        tensors: Vectors of the layer.
        about: What ``artifact.json`` says of the layer.
        learned: What it says of the training, with each select question's losses.
    """

    net: networks.VectorNet
    tensors: dict[str, torch.Tensor]
    about: dict[str, Any]
    learned: dict[str, Any]


def learn(
    context: FitContext, config: MlpConfig, rows: PairRows, layer: int, folder: Path
) -> Learned:
    """Train a network at ``layer`` on the fit split, stopped by the select split.

    Args:
        context: The model and both splits.
        config: What to learn.
        rows: Activations of the fit split's pairs.
        layer: 0-based block.
        folder: Of the training's checkpoints.
    """
    given_H, bank_VH, residual, about = _vectors(context, config, rows, layer)
    place = _place(config, layer, residual)
    goal = steering.Goal(config.mode, config.margin, config.closeness)
    net = _new_net(context, config)
    asked = [questions(context, pairs, layer, net) for pairs in (rows.pairs, context.select)]
    if net.reads_state:
        net.standardise(torch.stack([q.state for q in asked[0] if q.state is not None]))
    fit, select = (steering.Losses(context.engine, goal, place, some) for some in asked)
    data = [list(rows.pairs), list(context.select), context.rendering, context.seed]
    outcome = steering.train(
        net,
        fit,
        select,
        bank_VH=bank_VH,
        vector_H=given_H,
        closeness=config.closeness,
        course=course.Course(
            settings=config.training,
            folder=folder,
            seed=context.seed,
            identity=content_key([context.engine.identity, config.fitted_with(), layer, *data]),
            tell=context.note,
            fence=context.fence,
        ),
    )
    tensors = {
        f"l{layer}.direction": given_H,
        f"l{layer}.residual_norm": torch.tensor(residual),
    }
    if not net.reads_state:
        with torch.no_grad():
            tensors[f"l{layer}.learned"] = net(given_H[None], None)[0]
    learned = {
        "mode": config.mode,
        "input": config.input,
        "trained_at": config.training_strength,
        "unit": config.unit,
        "margin": config.margin if config.mode == "mc" else None,
        "parameters": sum(p.numel() for p in net.parameters()),
        "fit_questions": len(fit.questions),
        **_told(outcome),
        "select": {
            "items": [q.id for q in select.questions],
            "questions": [_question(context.select, q.id) for q in select.questions],
            "losses": _compared(context, net, select, given_H, layer),
        },
    }
    return Learned(net, tensors, about, learned)


def questions(
    context: FitContext, pairs: Sequence[ContrastPair], layer: int, net: networks.VectorNet
) -> list[steering.Question]:
    """Return the questions of ``pairs`` with all their answers, in order of first appearance.

    Raises:
        DataError: There is none.
    """
    groups: dict[tuple[str, tuple[Message, ...], str], list[ContrastPair]] = {}
    for pair in pairs:
        key = (pair.question_id, tuple(pair.messages), pair.preamble)
        groups.setdefault(key, []).append(pair)
    if not groups:
        raise DataError("Learned steering needs contrast pairs of the fit and of the select split.")
    found = [_question_of(context, group) for group in groups.values()]
    asked = [group[0].messages[-1].content for group in groups.values()]
    require_room(context.engine, list(map(_scored, found)), asked)
    if not net.reads_state:
        return found
    read = partial(read_each, context, asked=described(context, pairs, "last token of the prompt"))
    states = prompted.last_states({q.prompt: {layer} for q in found}, read)
    return [
        steering.Question(q.id, q.prompt, q.right, q.wrong, states[q.prompt, layer]) for q in found
    ]


def _question_of(context: FitContext, group: Sequence[ContrastPair]) -> steering.Question:
    first = group[0]
    right = list(dict.fromkeys(pair.positive for pair in group))
    wrong = list(dict.fromkeys(pair.negative for pair in group))
    prompt, answers = context.engine.renderer.with_answers(
        first.messages, [*right, *wrong], context.rendering, first.preamble
    )
    if not all(answers):
        raise DataError(f"Contrast pair {first.id!r} has an empty answer.")
    tokens = [tuple(answer) for answer in answers]
    return steering.Question(
        first.id, tuple(prompt), tuple(tokens[: len(right)]), tuple(tokens[len(right) :])
    )


def _scored(question: steering.Question) -> rq.Request:
    return rq.Request(question.id, question.prompt, rq.Options((*question.right, *question.wrong)))


def _question(pairs: Sequence[ContrastPair], item: str) -> str:
    return next(pair.question_id for pair in pairs if pair.id == item)


def _vectors(
    context: FitContext, config: MlpConfig, rows: PairRows, layer: int
) -> tuple[torch.Tensor, torch.Tensor, float, dict[str, Any]]:
    """Return the vector of all pairs [H], the bank [V, H], the residual norm, and what is known."""
    positive_NH, negative_NH = rows.answers(layer)
    given_H = estimators.direction(config.estimator, positive_NH, negative_NH).float()
    by_question = [
        estimators.by_question(some, rows.questions) for some in (positive_NH, negative_NH)
    ]
    drawn = subsets(len(by_question[0]), config.size, config.vectors, context.seed)
    bank_VH = torch.stack(
        [
            estimators.direction(config.estimator, by_question[0][some], by_question[1][some])
            for some in drawn
        ]
    ).float()
    if not (given_H.norm() > 0 and (bank_VH.norm(dim=1) > 0).all()):
        raise DataError(
            f"A vector of layer {layer} is zero: positive and negative answers do not differ."
        )
    residual = rows.residual_norm(layer)
    found = reliability(by_question[0] - by_question[1], context.seed)
    about = {
        "vector_norm": float(given_H.norm()),
        "residual_norm": residual,
        "reliability": found.as_dict(),
    }
    return given_H, bank_VH, residual, about


def _place(config: MlpConfig, layer: int, residual: float) -> steering.Place:
    if config.unit == "raw":
        return steering.Place(layer, config.positions, None, config.training_strength)
    length = config.training_strength * (residual if config.unit == "relative" else 1.0)
    return steering.Place(layer, config.positions, length)


def _new_net(context: FitContext, config: MlpConfig) -> networks.VectorNet:
    """Draw weights from a stream of their own, and leave torch's as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(context.seed, "weights"))
        reads = config.input == "prompt"
        return networks.VectorNet(context.engine.hidden_size, config.inner, reads_state=reads)


def _told(outcome: course.Outcome) -> dict[str, Any]:
    return {
        "updates": outcome.steps,
        "ended_by": outcome.reason,
        "best_update": outcome.best_step,
        "history": steering.history(outcome),
    }


def _compared(
    context: FitContext,
    net: networks.VectorNet,
    select: steering.Losses,
    given_H: torch.Tensor,
    layer: int,
) -> dict[str, list[float]]:
    """Return each select question's loss without a vector, with controls, and with the network."""
    asked = list(select.questions)
    given_NH = given_H.expand(len(asked), -1)
    with torch.no_grad():
        found = {
            "none": select.each(None),
            "constant": select.each(given_NH),
            "random": select.each(random_like(given_H, layer, 0).expand(len(asked), -1)),
            "learned": select.each(steering.vectors_for(net, given_NH, asked)),
        }
        if net.reads_state:
            other = partners([q.id for q in asked], context.seed)
            by_id = {q.id: q for q in asked}
            swapped = [by_id[other[q.id]] for q in asked]
            found["shuffled"] = select.each(steering.vectors_for(net, given_NH, swapped))
    return found
