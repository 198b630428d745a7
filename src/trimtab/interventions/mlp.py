"""Learned steering: a small network makes the vector that is added, trained through the edit.

The network is given a steering vector and returns one of the same length. In training the vector is
drawn from a bank (means over random subsets of the questions), so that the network sees how a
vector varies with the questions it is made from; applied, it is given the vector of all questions,
the one that ``caa`` adds. An untrained network returns what it is given, so everything that
training does is measured from that constant vector.

- ``mode: mc`` minimises a hinge on log P(right) - log P(wrong) of each question's answers,
  ``mode: gen`` the negative log-likelihood per token of the best answers.
- ``input: vector``: one learned vector for all rows. ``input: prompt``: the network also reads the
  state of the prompt's last token at the edited block, so every row has a vector of its own, which
  stays the same while the row is written or scored.

The nearest published relative is HyperSteer (arXiv 2506.03292), whose hypernetwork reads a text
with a transformer of its own and is trained on a language-modelling loss; here the network is one
hidden layer, reads one state and a vector, and turns that vector. The bank, the hinge and the kept
length are ours.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from trimtab.core.errors import DataError
from trimtab.core.lazy import lazy
from trimtab.core.needs import Need
from trimtab.core.spec import Component
from trimtab.core.training import Training
from trimtab.core.types import ContrastPair
from trimtab.core.workload import Workload, tokens_of
from trimtab.interventions.base import Intervention, Treatment
from trimtab.interventions.caa import CaaConfig, about_fit, candidates, choose
from trimtab.steering.additive import layer_of, strength_in_units, vector_at
from trimtab.steering.fitted import FitContext, FitData, Fitted
from trimtab.steering.gated import gated
from trimtab.steering.pairs import pair_inputs, read_pairs, require_two

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
    from trimtab.interventions import _learning as learning
    from trimtab.models.nets import networks
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")
    learning = lazy("trimtab.interventions._learning")
    networks = lazy("trimtab.models.nets.networks")

__all__ = ["Mlp"]

_NET = "net."


class NetTraining(Training):
    """Steps and rates of a small network; ``batch`` and ``micro_batch`` count questions."""

    steps: PositiveInt | None = 100
    micro_batch: PositiveInt | None = 2
    learning_rate: PositiveFloat = 1e-3
    warmup: float = Field(default=0.1, ge=0, lt=1)
    evaluate_every: PositiveInt | None = 10
    patience: PositiveInt | None = 4


class MlpConfig(CaaConfig):
    """What is learned, where and how strongly the vector is added.

    Attributes:
        mode: ``mc`` or ``gen``.
        input: What the network reads beside the vector: nothing (``vector``) or the ``prompt``.
        trained_at: Strength, in ``unit``, at which the network is trained; null takes ``strength``.
        margin: Of the hinge, in nats.
        closeness: Weight of the mean squared difference between output and input vector.
        vectors: Vectors in the bank that training draws from.
        size: Questions per vector; above what there is, it is lowered to that.
        inner: Width of the network's hidden layer.
        training: Steps and rates.
        shuffled: The control of ``input: prompt``: each row's vector is made of another row's
            prompt.
    """

    mode: Literal["mc", "gen"]
    input: Literal["vector", "prompt"] = "vector"
    trained_at: float | None = Field(default=None, allow_inf_nan=False)
    margin: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    closeness: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    vectors: int = Field(default=32, ge=1)
    size: int = Field(default=50, ge=1)
    inner: int = Field(default=64, ge=1)
    training: NetTraining = NetTraining()
    shuffled: bool = False

    @model_validator(mode="after")
    def _makes_sense(self) -> MlpConfig:
        if self.layer != "auto" and set(self.layers) - {self.layer}:
            raise ValueError("a network is trained at one block: `layers` is for `layer: auto`")
        if not self.training_strength:
            raise ValueError(
                "a network can't be trained at strength 0: name the strength in `trained_at`"
            )
        if self.mode == "gen" and "margin" in self.model_fields_set:
            raise ValueError("`margin` is for mode mc")
        if self.shuffled and self.input == "vector":
            raise ValueError("`shuffled` is for input prompt: no prompt is read without it")
        return self

    @property
    def training_strength(self) -> float:
        """Strength, in ``unit``, at which the network is trained."""
        return self.strength if self.trained_at is None else self.trained_at

    def fitted_with(self) -> dict[str, Any]:
        """Return what determines the network: never the strength at which it is applied."""
        names = ("mode", "input", "unit", "positions", "margin", "closeness", "vectors", "size")
        dumped = self.model_dump(mode="json", include={*names, "inner", "training"})
        mine = {name: dumped[name] for name in (*names, "inner", "training")}
        if self.mode == "gen":
            del mine["margin"]
        mine["training"] = self.training.model_dump(mode="json", exclude_defaults=True)
        return {**super().fitted_with(), **mine, "trained_at": self.training_strength}


class Mlp(Intervention[MlpConfig]):
    """Adds a learned vector, the same one to all rows or one per prompt."""

    Config = MlpConfig

    def needs(self) -> dict[str, Need]:
        """Return the fit of the network, which the select split stops."""
        component = Component(name="mlp", config=self.config.fitted_with())
        return {"vector": Need(component, pair_inputs(select=True)), **self.config.gate_need()}

    def check_input(self, data: FitData) -> None:
        """Raise DataError for fewer than two pairs, or an answer that is empty."""
        require_two(data.pairs)
        for pair in data.pairs:
            if not (pair.positive.strip() and pair.negative.strip()):
                raise DataError(f"Contrast pair {pair.id!r} has an empty answer.")

    def workload(self, data: Mapping[str, FitData]) -> Workload:
        """Return what the network's training computes: every answer behind its question."""
        training = self.config.training
        each, select = (_tokens(part.pairs) for part in data.values())
        updates = training.num_steps(len(each))
        mean = sum(each) / max(1, len(each))
        looks = updates / (training.evaluate_every or training.steps_per_epoch(len(each)))
        learned = updates * min(training.batch, len(each)) * mean
        return Workload(updates, learned, looks * sum(select))

    def fit(self, context: FitContext) -> Fitted:
        """Return the constant vector, the network and what it makes, and how it was trained."""
        config = self.config
        with ExitStack() as stack:
            rows = stack.enter_context(
                read_pairs(
                    context,
                    context.pairs,
                    candidates(config, context),
                    config.read,
                    keep_as="activations",
                    drop_nonfinite=config.drop_nonfinite,
                )
            )
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="training-"))
            choice = choose(config, context, rows)
            layer = candidates(config, context)[0] if choice is None else choice["chosen"]
            found = learning.learn(
                context, config, rows, layer, Path(context.folder or scratch) / "training"
            )
        about = about_fit(context, config, rows, choice)
        net = {f"{_NET}{name}": value for name, value in found.net.state_dict().items()}
        return Fitted(
            {**found.tensors, **net},
            {**about, "layers": {str(layer): found.about}, "learned": found.learned},
        )

    def treat(self, fitted: Mapping[str, Fitted]) -> Treatment:
        """Return one edit: the learned vector, or how each row's is made of its prompt."""
        learned = fitted["vector"]
        config, layer = self.config, layer_of(self.config, learned)
        given_H = vector_at(learned, layer)
        raw = strength_in_units(config, learned)["raw"]
        if config.input == "vector":
            learned_H = learned.tensors[f"l{layer}.learned"]
            edit = rq.Edit(layer, learned_H, raw, config.positions)
        else:
            vector_of = maker(self._net(learned), given_H)
            source = rq.FromPrompt(layer, vector_of, of_partner=config.shuffled)
            edit = rq.Edit(layer, given_H, raw, config.positions, source=source)
        return Treatment(edits=gated((edit,), config, fitted))

    def controls(self) -> dict[str, Component]:
        """Return the constant vector, a random one of its length, and shuffled prompts."""
        config = self.config
        if config.shuffled:
            return {}
        names = ("layer", "strength", "unit", "positions")
        where: dict[str, Any] = {name: getattr(config, name) for name in names}
        gate = {} if config.gate is None else {"gate": config.gate.model_dump(mode="json")}
        caa = {k: v for k, v in CaaConfig.fitted_with(config).items() if k != "layer"}
        if not config.layers:
            del caa["layers"]
        like = Component(name="caa", config={**where, "strength": 0.0, **caa})
        found = {
            "constant vector": Component(name="caa", config={**where, **caa, **gate}),
            "random": Component(name="random", config={**where, "like": like, **gate}),
        }
        if config.input == "prompt":
            mine = config.model_dump(mode="json", exclude_defaults=True)
            found["shuffled prompts"] = Component(name="mlp", config={**mine, "shuffled": True})
        return found

    def zeroed(self) -> dict[str, Any]:
        """Return strength 0 of the same network."""
        return {"strength": 0.0, "trained_at": self.config.training_strength}

    def strengths(self, fitted: Mapping[str, Fitted]) -> dict[str, float]:
        """Return the strength as ``raw``, ``unit`` and ``relative``."""
        return strength_in_units(self.config, fitted["vector"])

    def _net(self, fitted: Fitted) -> networks.VectorNet:
        tensors = {
            name.removeprefix(_NET): value
            for name, value in fitted.tensors.items()
            if name.startswith(_NET)
        }
        inner, hidden = tensors["first.weight"].shape[0], tensors["shift"].shape[0]
        net = networks.VectorNet(hidden, inner, reads_state=self.config.input == "prompt")
        net.load_state_dict(tensors)
        return net.eval()


def maker(net: networks.VectorNet, given_H: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function from a prompt's state [H] to its vector [H], one row at a time."""

    def vector_of(state_H: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            made_1H: torch.Tensor = net(given_H[None], state_H[None])
        return made_1H[0]

    return vector_of


def _tokens(pairs: Sequence[ContrastPair]) -> list[float]:
    """Return about how many tokens each question has with all its answers."""
    questions: dict[str, dict[str, float]] = defaultdict(dict)
    for pair in pairs:
        questions[pair.question_id][""] = tokens_of(pair.messages, pair.preamble)
        for answer in (pair.positive, pair.negative):
            questions[pair.question_id][answer] = tokens_of((), answer)
    return [sum(parts.values()) for parts in questions.values()]
