"""Dynamic Activation Composition: steering whose strength is chosen anew for every token.

Scalena, Sarti and Nissim, "Multi-property Steering of Large Language Models with Dynamic Activation
Composition", BlackboxNLP 2024, arXiv 2406.17563. What is added differs from step to step of the
answer; how much follows from how far the full strength would move the next token's distribution
(see ``engine.request.DynamicStrength``). Presets, each of whose knobs can be overruled:

``released``: the authors' code. All attention heads of every block, one difference per step, from
answers that the model wrote after few-shot prompts of the two kinds; the divergence is divided by
the number of tokens that it is measured on. ``paper``: the same without that division, as printed.
``wisent``: one block's residual stream, one difference for all steps, the divergence the other way
round, the token that crosses ``top_p`` left out; there read from the contrast pairs' answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from trimtab.core.counted import counted
from trimtab.core.errors import DataError
from trimtab.core.keys import derive_seed
from trimtab.core.lazy import lazy
from trimtab.core.needs import Need
from trimtab.core.spec import Component, Spec
from trimtab.core.types import ContrastPair, Message, SamplingParams
from trimtab.interventions.base import Intervention, Treatment
from trimtab.steering.captures.reading import read_each
from trimtab.steering.fitted import FitContext, FitData, Fitted
from trimtab.steering.pairs import described, pair_inputs
from trimtab.steering.room import require_room

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")

__all__ = ["Dac"]

_RELEASED: dict[str, Any] = {
    "site": "heads",
    "per_step": True,
    "source": "generated",
    "inclusive": True,
    "per_token": True,
    "reverse": False,
}
_PRESETS: dict[str, dict[str, Any]] = {
    "released": _RELEASED,
    "paper": {**_RELEASED, "per_token": False},
    "wisent": {
        "site": "residual",
        "per_step": False,
        "source": "answers",
        "inclusive": False,
        "per_token": False,
        "reverse": True,
    },
}


class _Config(Spec):
    """What is added, and what its strength follows.

    Attributes:
        preset: Where the knobs that are left null come from.
        layer: 0-based block; null takes all of them.
        site: ``heads`` or ``residual``.
        per_step: A difference for each step of the answer, or one for all.
        source: ``generated``: answers that the model writes after ``shots`` examples of each kind;
            ``answers``: those of the contrast pairs.
        num_prompts: Few-shot prompts drawn, with replacement.
        shots: Examples in front of each.
        steps: Tokens of an answer that are read; nothing is added after as many, if ``per_step``.
        probe: Strength at which the effect on the distribution is measured.
        most: Largest strength.
        top_p: Mass of the likeliest tokens that the divergence is measured on.
        inclusive: The token that crosses ``top_p`` is among them.
        per_token: Divide the divergence by their number.
        reverse: KL(steered || unsteered) in place of KL(unsteered || steered).
    """

    preset: Literal["released", "paper", "wisent"] = "released"
    layer: int | None = Field(default=None, ge=0)
    site: Literal["heads", "residual"] | None = None
    per_step: bool | None = None
    source: Literal["generated", "answers"] | None = None
    num_prompts: int = Field(default=30, ge=1)
    shots: int = Field(default=4, ge=0)
    steps: int = Field(default=30, ge=1)
    probe: float = Field(default=2.0, gt=0)
    most: float = Field(default=2.0, ge=0)
    top_p: float = Field(default=0.5, gt=0, le=1)
    inclusive: bool | None = None
    per_token: bool | None = None
    reverse: bool | None = None

    @model_validator(mode="after")
    def _one_block_of_the_residual_stream(self) -> _Config:
        if self.knob("site") == "residual" and self.layer is None:
            raise ValueError("site `residual` needs a `layer`")
        return self

    def blocks(self) -> tuple[int, ...]:
        """Return the block that is named; none if all of them are taken."""
        return () if self.layer is None else (self.layer,)

    def knob(self, name: str) -> Any:
        """Return a knob's value, from the preset if it is null."""
        value = getattr(self, name)
        return _PRESETS[self.preset][name] if value is None else value


class Dac(Intervention[_Config]):
    """Adds per-step differences of two kinds of answers, at strengths that the model decides."""

    Config = _Config
    OUTPUTS = ("text",)

    def needs(self) -> dict[str, Need]:
        """Return the fit of the differences."""
        names = ("layer", "num_prompts", "shots", "steps")
        fixed = {name: getattr(self.config, name) for name in names}
        knobs = {name: self.config.knob(name) for name in ("site", "per_step", "source")}
        component = Component(name="dac", config={**fixed, **knobs})
        return {"vector": Need(component, pair_inputs())}

    def check_input(self, data: FitData) -> None:
        """Raise DataError if the pairs are too few, or can't be rendered as worked examples."""
        pairs, rendering = data.pairs, data.rendering
        if len(pairs) < 2:
            raise DataError(f"DAC needs at least 2 contrast pairs, there are {len(pairs)}.")
        shots = self.config.shots if self.config.knob("source") == "generated" else 0
        if shots and rendering == "verbatim":
            raise DataError(
                f"dac: shots = {shots}, and a verbatim prompt has no room for worked examples.",
                hint="Use `shots: 0` or `source: answers`, or another rendering.",
            )
        questions = len({pair.question_id for pair in pairs})
        if questions <= shots:
            raise DataError(
                f"dac: shots = {shots}, and the contrast pairs are of "
                f"{counted(questions, 'question')}: an example must be another question's.",
                hint="Lower `shots`, raise the task's limit, or use `source: answers`.",
            )

    def fit(self, context: FitContext) -> Fitted:
        """Return for each block the differences [steps, width], and how many answers reach each."""
        self.check_input(context.data["pairs"])
        every = range(context.engine.num_layers)
        layers = every if self.config.layer is None else (self.config.layer,)
        answers = self._generated if self.config.knob("source") == "generated" else self._given
        sums, counts = {}, {}
        for kind in (True, False):
            sums[kind], counts[kind] = self._read(context, answers(context, kind), tuple(layers))
        num_steps = int(min((counts[kind] > 0).sum() for kind in (True, False)))
        if self.config.knob("per_step"):
            means = {k: sums[k][:num_steps] / counts[k][:num_steps, None, None] for k in sums}
        else:
            means = {k: sums[k].sum(0, keepdim=True) / counts[k].sum() for k in sums}
        difference_MLW = (means[True] - means[False]).float()
        return Fitted(
            tensors={
                f"l{x}.steps": difference_MLW[:, i].contiguous() for i, x in enumerate(layers)
            },
            info={
                "method": "per-step mean difference",
                "site": self.config.knob("site"),
                "index": "block_0based",
                "answers": {"positive": counts[True].tolist(), "negative": counts[False].tolist()},
            },
        )

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return the one property that was fitted, at a strength of its own for each token."""
        site, tensors = self.config.knob("site"), fitted["vector"].tensors
        steps = {int(name[1:].partition(".")[0]): t for name, t in tensors.items()}
        dynamic = rq.DynamicStrength(
            properties=({(layer, site): steps[layer] for layer in sorted(steps)},),
            names=("positive - negative answers",),
            constant=not self.config.knob("per_step"),
            probe=self.config.probe,
            most=self.config.most,
            top_p=self.config.top_p,
            inclusive=self.config.knob("inclusive"),
            per_token=self.config.knob("per_token"),
            reverse=self.config.knob("reverse"),
        )
        return Treatment(dynamic=dynamic)

    def zeroed(self) -> dict[str, Any]:
        """Return what bounds the strength to 0."""
        return {"most": 0.0}

    def _given(self, context: FitContext, positive: bool) -> Iterator[tuple[Sequence[int], ...]]:
        """Yield (prompt, answer) of the contrast pairs."""
        for pair in context.pairs:
            text = pair.positive if positive else pair.negative
            prompt, (answer,) = context.engine.renderer.with_answers(
                pair.messages, [text], context.rendering, pair.preamble
            )
            yield prompt, answer

    def _generated(
        self, context: FitContext, positive: bool
    ) -> Iterator[tuple[Sequence[int], ...]]:
        """Yield (prompt, what the model writes) of few-shot prompts of one kind."""
        drawing = np.random.default_rng(derive_seed(context.seed, "dac"))
        sampling = SamplingParams(max_tokens=self.config.steps)
        requests, questions = [], []
        for number in range(self.config.num_prompts):
            asked = context.pairs[int(drawing.integers(len(context.pairs)))]
            others = [p for p in context.pairs if p.question_id != asked.question_id]
            chosen = [
                others[i] for i in drawing.choice(len(others), self.config.shots, replace=False)
            ]
            messages = (*_shots(chosen, positive), *asked.messages)
            prompt = context.engine.renderer.prompt(messages, context.rendering, asked.preamble)
            requests.append(rq.Request(number, tuple(prompt), rq.Text(sampling)))
            questions.append(asked.messages[-1].content)
        require_room(context.engine, requests, questions)
        for result in context.engine.run(requests):
            assert isinstance(result, rq.TextResult) and isinstance(result.key, int)
            yield requests[result.key].prompt, result.tokens

    def _read(
        self,
        context: FitContext,
        rows: Iterator[tuple[Sequence[int], ...]],
        layers: tuple[int, ...],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sums [steps, layers, width] of activations, step by step, and their number."""
        requests = []
        for number, (prompt, answer) in enumerate(rows):
            # the last token of an answer chooses nothing that was read
            read = min(self.config.steps, len(answer))
            start = len(prompt) - 1
            want = rq.Activations(
                layers, tuple(answer), start, start + read, self.config.knob("site"), each=True
            )
            requests.append(rq.Request(number, tuple(prompt), want))
        shown = [context.engine.renderer.decode(request.prompt) for request in requests]
        require_room(context.engine, requests, shown)
        total: torch.Tensor | None = None
        count = torch.zeros(self.config.steps)
        about = {
            **described(context, context.pairs, "each step"),
            "source": self.config.knob("source"),
        }
        for result in read_each(context, requests, about):
            assert result.each_PLH is not None
            each = result.each_PLH.double()
            if total is None:
                total = torch.zeros((self.config.steps, *each.shape[1:]), dtype=torch.float64)
            total[: len(each)] += each
            count[: len(each)] += 1
        assert total is not None
        return total, count


def _shots(pairs: Sequence[ContrastPair], positive: bool) -> Iterator[Message]:
    """Yield the turns of worked examples; system turns of theirs are left out."""
    for pair in pairs:
        yield from (m for m in pair.messages if m.role != "system")
        yield Message(role="assistant", content=pair.positive if positive else pair.negative)
