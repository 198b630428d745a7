"""A bank of vectors: many of them, each from a random subset of the questions, from one capture.

A single vector hides how much it owes to the questions it was made from. Here the activations of
every contrast pair are read once and stay on disk; from them come ``vectors`` vectors at each of
``sizes``, each from that many questions drawn without replacement. An experiment applies several of
them, and its report gives the mean over vectors, their spread, and an interval that covers both
questions and vectors.

With the bank are kept: mean pairwise cosine and the reliability curve, measured and as the law
predicts; how many questions give a vector the cosine 0.9 and 0.95 with the population's; and per
pair of the select split its steerability, the slope of log P(positive) - log P(negative) over
multiples of the vector, with the share of pairs that are steered the wrong way (Tan et al. 2024,
arXiv 2407.12404, on the letters of A/B questions; here on whole answers, summed over tokens).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from trimtab.core.errors import ConfigError
from trimtab.core.keys import derive_seed
from trimtab.core.lazy import lazy
from trimtab.core.needs import Need
from trimtab.core.spec import Component
from trimtab.core.types import ContrastPair
from trimtab.interventions.base import Intervention, Treatment
from trimtab.interventions.caa import CaaConfig, about_fit, candidates, choose
from trimtab.steering import estimators
from trimtab.steering import reliability as trust
from trimtab.steering.additive import layer_of, strength_in_units
from trimtab.steering.fitted import FitContext, FitData, Fitted
from trimtab.steering.gated import gated
from trimtab.steering.pairs import PairRows, answer_tokens, pair_inputs, read_pairs, require_two
from trimtab.steering.room import require_room

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")

__all__ = ["Bank"]

_GOALS = (0.9, 0.95)
_SIZES = (10, 20, 50, 100, 200)
"""Where the reliability curve is measured, besides the sizes of the bank itself."""
_POSITIONS: Literal["generated"] = "generated"
"""Where vectors are added to measure steerability: the whole answer, whatever a cell edits."""


class _Config(CaaConfig):
    """Which vectors are made, and which one is added.

    Attributes:
        sizes: Questions per vector; a size above what there is is lowered to that.
        vectors: Vectors at each size.
        size: Which of ``sizes`` the added vector has.
        vector: Which of the vectors at that size is added, from 0.
        multipliers: Multiples of the vector of all questions at which steerability is measured.
        steerability_on: Split whose pairs it is measured on; null leaves it out. On ``fit`` the
            pairs are those that made the vector.
        steerability_pairs: Most pairs it is measured on, the first ones.
    """

    sizes: tuple[int, ...] = _SIZES
    vectors: int = Field(default=8, ge=2)
    size: int | None = None
    vector: int = Field(default=0, ge=0)
    multipliers: tuple[float, ...] = (-1.0, -0.5, 0.0, 0.5, 1.0)
    steerability_on: Literal["select", "fit"] | None = "select"
    steerability_pairs: int = Field(default=100, ge=1)

    @field_validator("sizes")
    @classmethod
    def _positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or min(value) < 1 or len(set(value)) < len(value):
            raise ValueError("sizes must be distinct and at least 1")
        return tuple(sorted(value))

    @field_validator("multipliers")
    @classmethod
    def _a_slope(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < max(2, len(value)) or not all(map(math.isfinite, value)):
            raise ValueError("multipliers must be two or more distinct finite numbers")
        return value

    @model_validator(mode="after")
    def _in_the_bank(self) -> _Config:
        if self.size is not None and self.size not in self.sizes:
            raise ValueError(f"size = {self.size} is none of the sizes {list(self.sizes)}")
        if self.vector >= self.vectors:
            raise ValueError(f"vector = {self.vector}, but there are {self.vectors} of them")
        return self

    def fitted_with(self) -> dict[str, Any]:
        """Return what determines the bank: never which vector of it is added."""
        names = ("sizes", "vectors", "multipliers", "steerability_on", "steerability_pairs")
        dumped = self.model_dump(mode="json")
        return {**super().fitted_with(), **{name: dumped[name] for name in names}}


class Bank(Intervention[_Config]):
    """Adds one vector of a bank; cells that add others share the bank."""

    Config = _Config

    def needs(self) -> dict[str, Need]:
        """Return the fit of the bank; the select split chooses a layer and shows steerability."""
        config = self.config
        component = Component(name="bank", config=config.fitted_with())
        selects = config.layer == "auto" or config.steerability_on == "select"
        return {"vector": Need(component, pair_inputs(select=selects)), **config.gate_need()}

    def check_input(self, data: FitData) -> None:
        """Raise DataError for fewer than two pairs."""
        require_two(data.pairs)

    def fit(self, context: FitContext) -> Fitted:
        """Return the vectors at each layer, and how far they can be trusted."""
        config, layers = self.config, candidates(self.config, context)
        with read_pairs(
            context,
            context.pairs,
            layers,
            config.read,
            keep_as="activations",
            drop_nonfinite=config.drop_nonfinite,
        ) as rows:
            choice = choose(config, context, rows)
            kept = layers if choice is None else (choice["chosen"],)
            tensors: dict[str, torch.Tensor] = {}
            about: dict[str, Any] = {}
            for layer in kept:
                made, about[str(layer)] = _bank_at(context, config, rows, layer)
                tensors |= made
            return Fitted(tensors, {**about_fit(context, config, rows, choice), "layers": about})

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return one edit: the chosen vector of the chosen size."""
        bank = fitted["vector"]
        layer = layer_of(self.config, bank)
        vector = self._vector(bank, layer)
        raw = strength_in_units(self.config, bank, vector)["raw"]
        edit = rq.Edit(layer, vector, raw, self.config.positions)
        return Treatment(edits=gated((edit,), self.config, fitted))

    def strengths(self, fitted: Mapping[str, Fitted]) -> dict[str, float]:
        """Return the strength as ``raw``, ``unit`` and ``relative``."""
        bank = fitted["vector"]
        vector = self._vector(bank, layer_of(self.config, bank))
        return strength_in_units(self.config, bank, vector)

    def _vector(self, fitted: Fitted, layer: int) -> torch.Tensor:
        size = self.config.sizes[-1] if self.config.size is None else self.config.size
        name = f"l{layer}.bank.{size}"
        if name not in fitted.tensors:
            known = ", ".join(sorted(key for key in fitted.tensors if ".bank." in key))
            raise ConfigError(f"The bank holds no vectors {name}; it holds {known}.")
        return fitted.tensors[name][self.config.vector]


def _bank_at(
    context: FitContext, config: _Config, rows: PairRows, layer: int
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return one layer's tensors, and what is known of them."""
    positive_NH, negative_NH = rows.answers(layer)
    positive_MH = estimators.by_question(positive_NH, rows.questions)
    negative_MH = estimators.by_question(negative_NH, rows.questions)
    whole_H = estimators.direction(config.estimator, positive_MH, negative_MH).float()
    norm = rows.residual_norm(layer)
    tensors = {f"l{layer}.direction": whole_H, f"l{layer}.residual_norm": torch.tensor(norm)}
    sizes = []
    for asked in config.sizes:
        chosen = subsets(len(positive_MH), asked, config.vectors, context.seed)
        vectors_VH = torch.stack(
            [
                estimators.direction(config.estimator, positive_MH[some], negative_MH[some])
                for some in chosen
            ]
        )
        tensors[f"l{layer}.bank.{asked}"] = vectors_VH.float()
        sizes.append(
            {
                "asked": asked,
                "used": len(chosen[0]),
                "share": len(chosen[0]) / len(positive_MH),
                "mean_cosine": trust.mean_cosine(vectors_VH),
            }
        )
    difference_MH = positive_MH - negative_MH
    found = trust.reliability(difference_MH, context.seed)
    rho = found.mean_cosine
    curve = trust.reliability_curve(difference_MH, (*config.sizes, *_SIZES), context.seed)
    return tensors, {
        "vector_norm": float(whole_H.norm()),
        "residual_norm": norm,
        "reliability": found.as_dict(),
        "curve": [asdict(point) for point in curve],
        "questions_needed": {
            str(goal): None if rho is None else trust.questions_needed(rho, goal) for goal in _GOALS
        },
        "vectors": config.vectors,
        "sizes": sizes,
        "steerability": _steerability(context, config, layer, whole_H, rows),
    }


def subsets(num: int, size: int, count: int, seed: int) -> list[torch.Tensor]:
    """Return ``count`` sets of ``size`` indices below ``num``, each drawn without replacement.

    A size above ``num`` is lowered to it: all sets are then the same. Which sets are drawn depends
    on the seed, the size and the number of the set, not on how many others there are.
    """
    size = min(size, num)
    return [
        torch.randperm(
            num, generator=torch.Generator().manual_seed(derive_seed("bank", seed, size, k))
        )[:size]
        for k in range(count)
    ]


def _steerability(
    context: FitContext, config: _Config, layer: int, vector_H: torch.Tensor, rows: PairRows
) -> dict[str, Any] | None:
    """Return the slope per pair and the share of pairs that are steered the wrong way."""
    if config.steerability_on is None:
        return None
    pairs = context.select if config.steerability_on == "select" else rows.pairs
    pairs = pairs[: config.steerability_pairs]
    gaps = _gaps(context, config, layer, vector_H, pairs)
    slopes = {pair: slope(config.multipliers, values) for pair, values in gaps.items()}
    values = list(slopes.values())
    mean = math.fsum(values) / len(values)
    return {
        "split": config.steerability_on,
        "num_pairs": len(values),
        "multipliers": list(config.multipliers),
        "positions": _POSITIONS,
        "unit": "nats per multiple of the vector",
        "mean": mean,
        "sd": math.sqrt(math.fsum((v - mean) ** 2 for v in values) / max(1, len(values) - 1)),
        "anti_steered": sum(v < 0 for v in values) / len(values),
        "slopes": slopes,
    }


def _gaps(
    context: FitContext,
    config: _Config,
    layer: int,
    vector_H: torch.Tensor,
    pairs: Sequence[ContrastPair],
) -> dict[str, list[float]]:
    """Return log P(positive) - log P(negative) of each pair at each multiplier, in nats."""
    edits = [rq.Edit(layer, vector_H, m, _POSITIONS) for m in config.multipliers]
    requests = []
    for pair in pairs:
        prompt, answers = answer_tokens(context, pair)
        want = rq.Options(tuple(map(tuple, answers)))
        requests += [
            rq.Request((pair.id, i), tuple(prompt), want, (edit,) if edit.strength else ())
            for i, edit in enumerate(edits)
        ]
    asked = [pair.messages[-1].content for pair in pairs for _ in edits]
    require_room(context.engine, requests, asked)
    gaps = {pair.id: [0.0] * len(edits) for pair in pairs}
    for result in context.engine.run(requests):
        assert isinstance(result, rq.OptionsResult) and isinstance(result.key, tuple)
        pair_id, i = result.key
        gaps[pair_id][i] = result.logprobs[0] - result.logprobs[1]
    return gaps


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the least-squares slope of ``y`` over ``x``."""
    middle, height = math.fsum(x) / len(x), math.fsum(y) / len(y)
    spread = math.fsum((a - middle) ** 2 for a in x)
    return math.fsum((a - middle) * (b - height) for a, b in zip(x, y, strict=True)) / spread
