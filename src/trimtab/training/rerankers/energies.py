"""Energy models of every kind, behind one interface: ``energies(pairs)``, lower is better.

A kind prepares pairs (token ids, hidden states, counts) and turns prepared pairs into a tensor of
energies; training and scoring share both. Scoring sorts by length and pads within a batch only, so
an energy changes by no more than rounding with what it is scored beside.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from trimtab.core.errors import DataError, ModelError, NonFiniteError
from trimtab.core.keys import derive_seed
from trimtab.core.streams import Owed, in_order, is_owed
from trimtab.core.types import Energy, Message
from trimtab.engine.batching.allocator import suit_changing_shapes
from trimtab.engine.reading.gradients import last_hidden
from trimtab.engine.request import Activations, ActivationsResult, Request
from trimtab.models.nets.networks import Encoder, Head
from trimtab.models.nets.verifier import Verifier
from trimtab.models.pairs import PairTokenizer, render_pair
from trimtab.training.rerankers import surface
from trimtab.training.rerankers.config import Ablation

if TYPE_CHECKING:
    from trimtab.engine.engine import Engine

PairText = tuple[str, str]
# Tokens per batch, padding included. Larger ones leave a core's cache: 8192 take 1.4 times as long.
_CPU_BATCH_TOKENS = 2048
_BATCH_TOKENS = 16384


class EnergyModel(ABC):
    """Implements ``core.types.Energy``.

    Attributes:
        kind: Name of the kind.
        module: What is trained.
        identity: Kind and hash; set when the model is complete.
        cut: Pairs so far that did not fit whole.
        others: Problems that may stand in for another, when what a question adds is measured.
    """

    kind: str
    module: nn.Module

    def __init__(self) -> None:
        """Start unnamed."""
        self.identity = self.kind
        self.cut = 0
        self.others: Sequence[str] = ()

    @abstractmethod
    def prepare(self, pairs: Sequence[PairText]) -> list[Any]:
        """Return what ``forward`` needs of each pair."""

    @abstractmethod
    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        """Return the energies [B] of prepared pairs, with gradients where they are asked for."""

    def lengths(self, prepared: Sequence[Any]) -> list[int]:
        """Return the tokens that ``forward`` computes for each prepared pair."""
        return [1] * len(prepared)

    def energies(self, pairs: Sequence[PairText], owed: Owed = None) -> Iterator[tuple[int, float]]:
        """Yield the energy of each (problem, text), batch by batch; equal pairs are computed once.

        Raises:
            NonFiniteError: An energy is NaN or infinite.
        """
        distinct = Distinct(pairs, owed)
        yield from distinct.each(self._batches(self.prepare(distinct.pairs), distinct.owed))

    def score(self, problem: str, texts: Sequence[str]) -> list[float]:
        """Return the energy of each text as an answer to ``problem``."""
        return in_order(self.energies([(problem, text) for text in texts]), len(texts))

    def of_prepared(self, prepared: Sequence[Any]) -> list[float]:
        """Return the energies of prepared pairs, in batches of like lengths."""
        return in_order(self._batches(prepared, None), len(prepared))

    def _batches(self, prepared: Sequence[Any], owed: Owed) -> Iterator[tuple[int, float]]:
        """Yield energies with their numbers; batches of which none is owed are left out."""
        self.module.eval()
        for batch in by_length(self.lengths(prepared), next(self.module.parameters()).device):
            if any(is_owed(owed, i) for i in batch):
                with torch.no_grad():
                    energy_B = self.forward([prepared[i] for i in batch]).cpu().double()
                values = energy_B.tolist()
                if not all(map(math.isfinite, values)):
                    raise NonFiniteError(
                        f"The energy model {self.identity} gives an energy that is not finite.",
                        hint="Train it in float32, with a lower learning_rate.",
                    )
                yield from zip(batch, values, strict=True)


class Distinct:
    """The different ones among pairs, and which of them are owed.

    Attributes:
        pairs: They, in the order of their first occurrence.
        owed: Whether any of the pairs that are equal to each is owed.
    """

    def __init__(self, pairs: Sequence[PairText], owed: Owed) -> None:
        """Number ``pairs``."""
        self._numbers: dict[PairText, list[int]] = {}
        for number, pair in enumerate(pairs):
            numbers = self._numbers.setdefault(pair, [])
            if is_owed(owed, number):
                numbers.append(number)
        self.pairs = list(self._numbers)
        self.owed = [bool(numbers) for numbers in self._numbers.values()]

    def each(self, results: Iterable[tuple[int, float]]) -> Iterator[tuple[int, float]]:
        """Yield the values of different pairs as those of all owed pairs that are equal to them."""
        for i, value in results:
            yield from ((number, value) for number in self._numbers[self.pairs[i]])


def by_length(lengths: Sequence[int], device: torch.device) -> list[list[int]]:
    """Cut rows, longest first, into batches of as many tokens, with padding, as suit ``device``."""
    most = _CPU_BATCH_TOKENS if device.type == "cpu" else _BATCH_TOKENS
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batches: list[list[int]] = []
    for i in order:
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > most:
            batches.append([])
        batches[-1].append(i)
    return batches


def padded(rows: Sequence[Sequence[int]], device: torch.device) -> torch.Tensor:
    """Return token ids [B, T], padded with 0 on the right."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)


class EncoderEnergy(EnergyModel):
    """An encoder with a tokenizer of its own."""

    kind = "encoder"
    module: Encoder

    def __init__(self, module: Encoder, tokenizer: PairTokenizer, device: torch.device) -> None:
        """Take the parts; the module is moved to ``device``."""
        super().__init__()
        suit_changing_shapes()
        self.module = module.to(device)
        self.tokenizer = tokenizer
        self.device = device

    def prepare(self, pairs: Sequence[PairText]) -> list[Any]:
        """Return token ids, and count the pairs that were cut."""
        found = self.tokenizer.encode([render_pair(*pair) for pair in pairs])
        self.cut += sum(tokens.cut > 0 for tokens in found)
        return list(found)

    def lengths(self, prepared: Sequence[Any]) -> list[int]:
        """Return the numbers of tokens."""
        return [len(one.ids) for one in prepared]

    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        """Return energies [B]."""
        lengths = torch.tensor([len(one.ids) for one in prepared], device=self.device)
        starts = torch.tensor([one.answer_from for one in prepared], device=self.device)
        ids_BT = padded([one.ids for one in prepared], self.device)
        energy_B: torch.Tensor = self.module(ids_BT, lengths, starts)
        return energy_B


class HeadEnergy(EnergyModel):
    """A small network on the hidden states of the model that wrote the candidates.

    Reads the output of one block: the mean over the answer's tokens, and its last token, of the
    chat (or, without a template, ``Q:``/``A:``) rendering of problem and answer, no edits.
    """

    kind = "head"
    module: Head

    def __init__(self, module: Head, engine: Engine, layer: int) -> None:
        """Take the parts; ``layer`` is a 0-based block."""
        super().__init__()
        self.module = module
        self.engine = engine
        self.layer = layer

    def prepare(self, pairs: Sequence[PairText]) -> list[Any]:
        """Return the states [2 * hidden] of each pair."""
        return [states[0] for states in hidden_states(self.engine, pairs, (self.layer,))]

    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        """Return energies [B]."""
        energy_B: torch.Tensor = self.module(torch.stack(list(prepared)))
        return energy_B


def hidden_states(
    engine: Engine, pairs: Sequence[PairText], layers: tuple[int, ...]
) -> list[torch.Tensor]:
    """Return for each pair float32 [layers, 2 * hidden]: mean and last token of the answer.

    An answer without tokens has the state of the prompt's last token, which it leaves as it is.

    Raises:
        DataError: A pair is longer than the model's positions.
    """
    renderer = engine.renderer
    rendering: Any = "chat" if renderer.has_template else "plain"
    requests, rows = [], range(len(pairs))
    for row, (problem, text) in zip(rows, pairs, strict=True):
        messages = (Message(role="user", content=problem),)
        if text.strip():
            prompt, (answer,) = renderer.with_answers(messages, [text], rendering)
        else:
            prompt, answer = renderer.prompt(messages, rendering), []
        stop = len(prompt) + len(answer)
        if engine.max_positions is not None and stop > engine.max_positions:
            raise DataError(
                f"A problem with its answer has {stop} tokens, the model has positions for "
                f"{engine.max_positions}: {problem[:60]!r}.",
                hint="Give the candidates a smaller max_tokens.",
            )
        start = len(prompt) if answer else stop - 1
        want = Activations(layers, tuple(answer), start, stop, each=True)
        requests.append(Request(row, tuple(prompt), want))
    found: dict[Hashable, torch.Tensor] = {}
    for result in engine.run(requests):
        assert isinstance(result, ActivationsResult) and result.each_PLH is not None
        found[result.key] = torch.cat([result.mean_LH, result.each_PLH[-1]], dim=-1)
    return [found[row] for row in rows]


class LoraEnergy(EnergyModel):
    """A language model with LoRA and an energy from the last token's state.

    The model is the one that others use, too: it runs through the engine with the verifier's
    adapter, each pair whole, so that gradients reach every factor.
    """

    kind = "lora"
    module: Verifier

    def __init__(self, module: Verifier, engine: Engine) -> None:
        """Take the parts; the verifier is one of the engine's model."""
        super().__init__()
        loaded = engine.loaded
        self.module = module
        self.loaded = loaded
        limit = loaded.model.config.get_text_config().max_position_embeddings
        self._limit = int(limit) if limit else None

    def prepare(self, pairs: Sequence[PairText]) -> list[Any]:
        """Return token ids: BOS if the model has one, question, answer, end of text.

        Raises:
            DataError: A pair is longer than the model's positions.
            ModelError: The model has no token that ends a text.
        """
        encode = self.loaded.renderer.encode
        bos, eos = self.loaded.tokenizer.bos_token_id, self.loaded.tokenizer.eos_token_id
        if eos is None:
            raise ModelError("The model has no end-of-text token for a verifier to read at.")
        rows = []
        for problem, text in pairs:
            pair = render_pair(problem, text)
            body = [*encode(pair.question), *encode(pair.answer), eos]
            rows.append(body if bos is None or body[:1] == [bos] else [bos, *body])
        longest = max(map(len, rows), default=0)
        if self._limit is not None and longest > self._limit:
            raise DataError(
                f"A pair has {longest} tokens, the verifier has positions for {self._limit}.",
                hint="Give the candidates a smaller max_tokens.",
            )
        return rows

    def lengths(self, prepared: Sequence[Any]) -> list[int]:
        """Return the numbers of tokens."""
        return [len(one) for one in prepared]

    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        """Return energies [B]."""
        rows = [tuple(row) for row in prepared]
        hidden_BH = last_hidden(self.loaded, rows, self.module.adapter)
        energy_B: torch.Tensor = self.module(hidden_BH.to(self.loaded.device))
        return energy_B


class SurfaceEnergy(EnergyModel):
    """A linear model of a text's length or format: no reranker worth its name is worse."""

    module: Head

    def __init__(self, module: Head, kind: surface.Kind) -> None:
        """Take the parts; ``kind`` is ``length`` or ``format``."""
        self.kind = kind
        super().__init__()
        self.module = module

    def prepare(self, pairs: Sequence[PairText]) -> list[Any]:
        """Return the counts of each text; the problem is not looked at."""
        return [torch.tensor(surface.FEATURES[self._what()](text)) for _, text in pairs]

    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        """Return energies [B]."""
        energy_B: torch.Tensor = self.module(torch.stack(list(prepared)))
        return energy_B

    def _what(self) -> surface.Kind:
        return "length" if self.kind == "length" else "format"


class Ablated:
    """An energy model that is shown something else than the pair. Implements ``Energy``."""

    def __init__(self, model: Energy, ablation: Ablation, others: Sequence[str]) -> None:
        """Wrap ``model``; ``others`` are problems to put in the place of the right one."""
        self._model = model
        self._ablation = ablation
        self._others = others

    @property
    def identity(self) -> str:
        """The model's, and the ablation."""
        return f"{self._model.identity}:{self._ablation}"

    def energies(self, pairs: Sequence[PairText], owed: Owed = None) -> Iterator[tuple[int, float]]:
        """Yield the energies of the changed pairs."""
        return self._model.energies([self._changed(*pair) for pair in pairs], owed)

    def score(self, problem: str, texts: Sequence[str]) -> list[float]:
        """Return the energies of the changed texts or problem."""
        return in_order(self.energies([(problem, text) for text in texts]), len(texts))

    def _changed(self, problem: str, text: str) -> PairText:
        """Return the changed pair, which depends on the pair alone."""
        if self._ablation == "question_removed":
            return "", text
        if self._ablation == "question_shuffled":
            others = [other for other in self._others if other != problem]
            if not others:
                raise DataError("question_shuffled needs a second problem in the select split.")
            return others[derive_seed("other", problem) % len(others)], text
        if self._ablation == "answer_permuted":
            parts = text.split()
            random.Random(derive_seed("permuted", text)).shuffle(parts)
            return problem, " ".join(parts)
        return problem, text
