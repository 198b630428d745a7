"""Choose a layer on the select split: three scores per layer, all from one capture pass.

- ``probe``: accuracy on select answers of a logistic probe that was fitted on fit answers.
- ``transfer``: cosine between the mean differences of the fit and of the select split. It is
  reliability measured across splits: near 1 where both find the same direction.
- ``lens``: how far the fit vector, added to the mean state and read by the final norm and the head
  (a logit lens), raises the tokens of select's positive answers above those of its negative ones,
  in standard deviations over the vocabulary. After arXiv 2604.15557, where such access to the
  logits predicts what steering does; their measure is another.

Each layer is ranked by each score, and the layer with the best mean rank is chosen, the earlier one
of equals. No test sample is ever seen: the fit is given none.

Shapes: N pairs, H hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from trimtab.core.counted import counted
from trimtab.core.lazy import lazy
from trimtab.steering import estimators
from trimtab.steering.fitted import FitContext
from trimtab.steering.pairs import PairRows, answer_tokens

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

_SCORES = ("probe", "transfer", "lens")


@dataclass(frozen=True)
class LayerScore:
    """What speaks for one layer, measured on the select split.

    Attributes:
        layer: 0-based block.
        probe: Accuracy in [0, 1]; chance is 1/2.
        transfer: Cosine of the fit and the select vector.
        lens: Mean effect on the answers' tokens through the logit lens, in standard deviations.
        mean_rank: Mean of the three ranks, 1 is best.
    """

    layer: int
    probe: float
    transfer: float
    lens: float
    mean_rank: float = 0.0


def choose_layer(
    context: FitContext,
    fit: PairRows,
    select: PairRows,
    estimator: estimators.Estimator,
) -> dict[str, Any]:
    """Return the ``chosen`` block, ``why``, and the ``scores`` of all, as JSON.

    Args:
        context: The model.
        fit: Pairs that vectors and probes are fitted on, at every candidate layer.
        select: Pairs that they are scored on, at the same layers.
        estimator: What makes the vectors.
    """
    favoured = [_tokens(context, pair) for pair in select.pairs]
    scores = []
    for layer in fit.layers:
        positive_NH, negative_NH = fit.answers(layer)
        vector_H = estimators.direction(estimator, positive_NH, negative_NH)
        held_out = select.answers(layer)
        probe = estimators.fit_probe(positive_NH, negative_NH)
        other_H = estimators.mean_difference(held_out[0] - held_out[1])
        middle_H = torch.cat([positive_NH, negative_NH]).mean(dim=0)
        scores.append(
            LayerScore(
                layer,
                probe.accuracy(*held_out),
                float(torch.nn.functional.cosine_similarity(vector_H, other_H, dim=0)),
                _lens(context, middle_H, vector_H, favoured),
            )
        )
    ranked = rank(scores)
    best = min(ranked, key=lambda score: (score.mean_rank, score.layer))
    return {
        "chosen": best.layer,
        "split": "select",
        "num_pairs": len(select.pairs),
        "num_questions": len(set(select.questions)),
        "why": _why(best, ranked, len(set(select.questions))),
        "scores": {
            str(s.layer): {k: v for k, v in asdict(s).items() if k != "layer"} for s in ranked
        },
    }


def rank(scores: Sequence[LayerScore]) -> list[LayerScore]:
    """Return ``scores`` with their mean ranks; equal scores share the mean of their ranks."""
    total = dict.fromkeys((score.layer for score in scores), 0.0)
    for name in _SCORES:
        for score in scores:
            value = getattr(score, name)
            better = sum(getattr(other, name) > value for other in scores)
            equal = sum(getattr(other, name) == value for other in scores)
            total[score.layer] += better + (equal + 1) / 2
    return [
        LayerScore(s.layer, s.probe, s.transfer, s.lens, total[s.layer] / len(_SCORES))
        for s in scores
    ]


def _why(best: LayerScore, ranked: Sequence[LayerScore], num_questions: int) -> str:
    top = {name: max(ranked, key=lambda s: getattr(s, name)) for name in _SCORES}
    questions = counted(num_questions, "question")
    return (
        f"block {best.layer} has the best mean rank ({best.mean_rank:.1f} of {len(ranked)}) on "
        f"{questions} of the select split: probe accuracy {best.probe:.3f} (best "
        f"{top['probe'].probe:.3f} at block {top['probe'].layer}), cosine of fit and select vector "
        f"{best.transfer:.3f} (best {top['transfer'].transfer:.3f} at block "
        f"{top['transfer'].layer}), logit lens {best.lens:+.3f} (best {top['lens'].lens:+.3f} at "
        f"block {top['lens'].layer})"
    )


def _tokens(context: FitContext, pair: Any) -> tuple[list[int], list[int]]:
    _, (positive, negative) = answer_tokens(context, pair)
    return positive, negative


def _lens(
    context: FitContext,
    middle_H: torch.Tensor,
    vector_H: torch.Tensor,
    favoured: Sequence[tuple[list[int], list[int]]],
) -> float:
    """Return the mean effect of the vector on positive above negative answers' tokens."""
    loaded = context.engine.loaded
    states_2H = torch.stack([middle_H + vector_H, middle_H - vector_H]).to(loaded.dtype)
    logits_2V = loaded.layout.lens(states_2H[:, None])[:, 0].double().cpu()
    effect_V = (logits_2V[0] - logits_2V[1]) / 2
    effect_V = (effect_V - effect_V.mean()) / effect_V.std().clamp(min=1e-30)
    gains = [
        float(effect_V[positive].mean() - effect_V[negative].mean())
        for positive, negative in favoured
    ]
    return sum(gains) / len(gains)
