"""Inference-time intervention: shift the attention heads that know best which answers are right.

Li et al., "Inference-Time Intervention: Eliciting Truthful Answers from a Language Model",
arXiv 2306.03341. A logistic probe per head, on its output at an answer's last token, tells right
from wrong answers; the heads whose probes are most accurate on held-out questions are moved along
their mass-mean shift (the mean over right answers minus that over wrong ones), in units of the
standard deviation of all activations along it. Differences: one held-out part of the fit split in
place of two folds; answers are those of contrast pairs, not every option; ties between heads go to
the lower block.

Shapes: N answers, K heads of all blocks, B blocks, A heads of a block, D head dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from trimtab.core.errors import ConfigError, DataError
from trimtab.core.keys import derive_seed
from trimtab.core.lazy import lazy
from trimtab.core.needs import Need
from trimtab.core.spec import Component
from trimtab.interventions.base import Intervention, Treatment
from trimtab.steering.additive import NamedPositions
from trimtab.steering.captures.reading import read_each
from trimtab.steering.fitted import FitContext, FitData, Fitted
from trimtab.steering.gated import GatedConfig, gated
from trimtab.steering.pairs import answer_tokens, described, pair_inputs
from trimtab.steering.room import require_room

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")

__all__ = ["Iti"]

_NEWTON_STEPS = 30
_SETTLED = 1e-8


class _Config(GatedConfig):
    """Which heads are moved, and how far.

    Attributes:
        heads: How many heads, those with the most accurate probes first.
        strength: Standard deviations; negative moves towards wrong answers, 0 is the baseline.
        positions: Where they are moved, see ``engine.request.Positions``.
        held_out: Share of the questions that probes are judged on.
        draw: Number of a draw of random directions in the same heads, as long as the shifts: the
            control. Null is the shifts themselves.
    """

    heads: int = Field(default=48, ge=1)
    strength: float = Field(default=15.0, allow_inf_nan=False)
    positions: NamedPositions = "generated"
    held_out: float = Field(default=0.2, gt=0, lt=1)
    draw: int | None = Field(default=None, ge=0)


class Iti(Intervention[_Config]):
    """Adds ``strength`` standard deviations along the mass-mean shifts of the best heads."""

    Config = _Config

    def needs(self) -> dict[str, Need]:
        """Return the fit of the heads' order and shifts."""
        component = Component(name="iti", config={"held_out": self.config.held_out})
        return {"vector": Need(component, pair_inputs()), **self.config.gate_need()}

    def check_input(self, data: FitData) -> None:
        """Raise DataError if there is no question to hold out beside those that are fitted."""
        questions = len({pair.question_id for pair in data.pairs})
        if questions < 3:
            raise DataError(f"ITI needs pairs of at least 3 questions, there are {questions}.")

    def fit(self, context: FitContext) -> Fitted:
        """Return for each block its heads' shifts [A, D], one standard deviation long.

        Tensors: ``l<block>.heads`` [A, D] and ``accuracy`` [B, A], held-out accuracy of the probes.
        """
        self.check_input(context.data["pairs"])
        state_NKD, right_N, shape = _read(context)
        held_N = self._held_out(context)
        parts = [x[mask] for mask in (~held_N, held_N) for x in (state_NKD, right_N)]
        accuracy_K = probe_accuracy(*parts)
        shift_KD = mass_mean_shift(state_NKD, right_N)
        blocks, heads = shape
        shifts = shift_KD.unflatten(0, shape).float()
        info: dict[str, Any] = {
            "method": "mass-mean shift, one standard deviation long",
            "site": "heads",
            "index": "block_0based",
            "num_heads": heads,
            "answers": {"fitted": int((~held_N).sum()), "held_out": int(held_N.sum())},
            "best_accuracy": float(accuracy_K.max()),
            "mean_accuracy": float(accuracy_K.mean()),
        }
        tensors = {f"l{block}.heads": shifts[block].contiguous() for block in range(blocks)}
        return Fitted({**tensors, "accuracy": accuracy_K.unflatten(0, shape).float()}, info)

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return one edit of each block that has a chosen head; other heads get zeros."""
        tensors = fitted["vector"].tensors
        accuracy = tensors["accuracy"]
        if self.config.heads > accuracy.numel():
            raise ConfigError(
                f"iti: heads = {self.config.heads}, and the model has {accuracy.numel()} heads."
            )
        shift = torch.stack([tensors[f"l{b}.heads"] for b in range(len(accuracy))])
        best = accuracy.flatten().argsort(descending=True, stable=True)[: self.config.heads]
        chosen = torch.zeros(accuracy.numel(), dtype=torch.bool)
        chosen[best] = True
        chosen = chosen.unflatten(0, accuracy.shape)
        added = self._direction(shift) * chosen[:, :, None]
        edits = tuple(
            rq.Edit(b, added[b].flatten(), self.config.strength, self.config.positions, "heads")
            for b in range(len(accuracy))
            if bool(chosen[b].any())
        )
        return Treatment(edits=gated(edits, self.config, fitted))

    def _direction(self, shift_BAD: torch.Tensor) -> torch.Tensor:
        if self.config.draw is None:
            return shift_BAD
        seed = derive_seed("iti", self.config.draw)
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(shift_BAD.shape, generator=generator, dtype=torch.float64)
        length = shift_BAD.double().norm(dim=-1, keepdim=True)
        random: torch.Tensor = drawn / drawn.norm(dim=-1, keepdim=True) * length
        return random.float()

    def _held_out(self, context: FitContext) -> torch.Tensor:
        """Return which answers [N] are held out: all of a question, or none."""
        questions = list(dict.fromkeys(pair.question_id for pair in context.pairs))
        generator = torch.Generator().manual_seed(derive_seed(context.seed, "iti"))
        order = torch.randperm(len(questions), generator=generator).tolist()
        count = min(max(1, round(self.config.held_out * len(questions))), len(questions) - 2)
        held = {questions[i] for i in order[:count]}
        return torch.tensor([p.question_id in held for p in context.pairs for _ in range(2)])


def _read(context: FitContext) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int]]:
    """Return head outputs at last tokens [N, K, D] in float64, which are right [N], and (B, A)."""
    engine = context.engine
    layers = tuple(range(engine.num_layers))
    requests = []
    for pair in context.pairs:
        prompt, answers = answer_tokens(context, pair)
        for right, answer in zip((True, False), answers, strict=True):
            length = len(prompt) + len(answer)
            want = rq.Activations(layers, tuple(answer), length - 1, length, "heads")
            requests.append(rq.Request((pair.id, right), tuple(prompt), want))
    asked = [pair.messages[-1].content for pair in context.pairs for _ in range(2)]
    require_room(engine, requests, asked)
    about = described(context, context.pairs, "last")
    read = {result.key: result.mean_LH for result in read_each(context, requests, about)}
    state_NBW = torch.stack([read[request.key] for request in requests])
    heads = engine.loaded.model.config.get_text_config().num_attention_heads
    right_N = torch.tensor([True, False] * len(context.pairs))
    state_NKD = state_NBW.double().unflatten(2, (heads, -1)).flatten(1, 2)
    return state_NKD, right_N, (len(layers), heads)


def mass_mean_shift(state_NKD: torch.Tensor, right_N: torch.Tensor) -> torch.Tensor:
    """Return the heads' shifts [K, D], each one standard deviation of the states along it long."""
    shift_KD = state_NKD[right_N].mean(dim=0) - state_NKD[~right_N].mean(dim=0)
    unit_KD = shift_KD / shift_KD.norm(dim=1, keepdim=True).clamp(min=1e-30)
    along_NK = (state_NKD * unit_KD).sum(dim=2)
    scaled: torch.Tensor = unit_KD * along_NK.std(dim=0, correction=0)[:, None]
    return scaled


def probe_accuracy(
    state_NKD: torch.Tensor,
    right_N: torch.Tensor,
    held_state_NKD: torch.Tensor,
    held_right_N: torch.Tensor,
) -> torch.Tensor:
    """Return each head's accuracy [K] on held-out answers of a logistic probe, all fitted at once.

    The probe minimises the summed log-loss plus half the squared norm of its weights, without a
    penalty on the intercept (scikit-learn's defaults), by damped Newton steps.
    """
    ones = torch.ones_like(state_NKD[:, :, :1])
    x_KNE = torch.cat([state_NKD, ones], dim=2).transpose(0, 1)
    sign_N = torch.where(right_N, 1.0, -1.0).double()
    penalty_E = torch.ones(x_KNE.shape[2], dtype=torch.float64)
    penalty_E[-1] = 0.0
    weight_KE = torch.zeros(x_KNE.shape[0], x_KNE.shape[2], dtype=torch.float64)

    def loss(w_KE: torch.Tensor) -> torch.Tensor:
        margin_KN = sign_N * (x_KNE @ w_KE[:, :, None])[:, :, 0]
        logloss_K = torch.nn.functional.softplus(-margin_KN).sum(dim=1)
        return logloss_K + 0.5 * (penalty_E * w_KE.square()).sum(dim=1)

    for _ in range(_NEWTON_STEPS):
        margin_KN = sign_N * (x_KNE @ weight_KE[:, :, None])[:, :, 0]
        wrong_KN = torch.sigmoid(-margin_KN)
        gradient_KE = penalty_E * weight_KE - ((sign_N * wrong_KN)[:, None] @ x_KNE)[:, 0]
        if float(gradient_KE.abs().max()) < _SETTLED:
            break
        curvature_KN = (wrong_KN * (1 - wrong_KN)).clamp(min=1e-12)
        hessian = (x_KNE.transpose(1, 2) * curvature_KN[:, None]) @ x_KNE + penalty_E.diag()
        # positive definite, and MKL's LU of many at a time hangs on some Intel processors
        factor_KEE = torch.linalg.cholesky(hessian)
        step_KE = torch.cholesky_solve(gradient_KE[:, :, None], factor_KEE)[:, :, 0]
        scale_K1 = torch.ones(len(weight_KE), 1, dtype=torch.float64)
        before_K = loss(weight_KE)
        for _ in range(_NEWTON_STEPS):
            worse_K = loss(weight_KE - scale_K1 * step_KE) > before_K
            if not bool(worse_K.any()):
                break
            scale_K1[worse_K] /= 2
        weight_KE = weight_KE - scale_K1 * step_KE
    held_NKE = torch.cat([held_state_NKD, torch.ones_like(held_state_NKD[:, :, :1])], dim=2)
    said_NK = (held_NKE * weight_KE).sum(dim=2) > 0
    return (said_NK == held_right_N[:, None]).double().mean(dim=0)
