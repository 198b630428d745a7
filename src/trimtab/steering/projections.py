"""How far along a vector the states of an answer lie, read with the model as it was asked.

The text is read again, under the prompt, edits and adapter that it was written with; states of the
vector's block are averaged over its tokens (none of the prompt's) and projected onto the unit
vector, as Chen et al. 2025, arXiv 2507.21509, monitor a trait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from trimtab.core.errors import ConfigError
from trimtab.core.keys import content_key
from trimtab.core.lazy import lazy
from trimtab.core.streams import Owed
from trimtab.core.types import Message, Rendering

if TYPE_CHECKING:
    import torch

    from trimtab.engine import request as rq
    from trimtab.engine.engine import Engine
    from trimtab.models import lowrank
else:
    torch = lazy("torch")
    rq = lazy("trimtab.engine.request")


@dataclass(frozen=True)
class Asked:
    """How a model was asked for an answer.

    Attributes:
        messages: What it was asked, a trigger or a system prompt among it.
        rendering: How they became a prompt.
        preamble: Few-shot text of renderings that are not chat.
        edits: What was added to activations.
        adapter: What changed its weights.
    """

    messages: tuple[Message, ...]
    rendering: Rendering
    preamble: str = ""
    edits: tuple[rq.Edit, ...] = ()
    adapter: lowrank.Adapter | None = None


@dataclass(frozen=True, eq=False)
class Span:
    """Tokens whose states are read, as a model wrote them.

    Attributes:
        prompt: Token ids in front.
        tokens: Token ids that are read; none can't be.
        adapter: What changed the model's weights.
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    adapter: lowrank.Adapter | None = None


@runtime_checkable
class Projecting(Protocol):
    """What reads answers and says where they lie."""

    def projections(
        self, rows: Sequence[tuple[Asked, str]], owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Yield the projection of each text with its number; None where a row is too long.

        See ``core.streams`` for what is owed. Texts are not blank.
        """
        ...


class Projector:
    """Projects the states of one block onto a unit vector."""

    def __init__(self, engine: Engine, layer: int, vector_H: torch.Tensor) -> None:
        """Take the model, the 0-based block and the vector [H].

        Raises:
            ConfigError: The vector is zero or of another width, or there is no such block.
        """
        norm = float(vector_H.double().norm())
        if norm == 0.0 or len(vector_H) != engine.hidden_size or layer >= engine.num_layers:
            raise ConfigError(
                f"Nothing can be projected on this vector: block {layer} of {engine.num_layers}, "
                f"length {norm:g}, {len(vector_H)} numbers where the model has "
                f"{engine.hidden_size}."
            )
        self._engine = engine
        self._layer = layer
        self._unit_H = vector_H.double().cpu() / norm

    @property
    def identity(self) -> str:
        """Hash of block and direction."""
        return content_key([self._layer, self._unit_H.tolist()])

    def of_spans(self, spans: Sequence[Span]) -> list[float | None]:
        """Return the mean projection over each span's tokens; None of a span without any."""
        requests = [
            self._reading(number, span.prompt, span.tokens, adapter=span.adapter)
            for number, span in enumerate(spans)
            if span.tokens
        ]
        found = dict(self._projected(requests))
        return [found.get(number) for number in range(len(spans))]

    def projections(
        self, rows: Sequence[tuple[Asked, str]], owed: Owed = None
    ) -> Iterator[tuple[int, float | None]]:
        """Yield the mean projection over a text's tokens, in the unit of the residual stream."""
        requests = []
        for number, (asked, text) in enumerate(rows):
            wanted = owed is None or owed[number]
            request = self._request(number, asked, text, wanted)
            if request is not None:
                requests.append(request)
            elif wanted:
                yield number, None
        yield from self._projected(requests)

    def _projected(self, requests: Sequence[rq.Request]) -> Iterator[tuple[int, float]]:
        for result in self._engine.run(requests):
            assert isinstance(result, rq.ActivationsResult) and isinstance(result.key, int)
            yield result.key, float(result.mean_LH[0].double() @ self._unit_H)

    def _request(self, number: int, asked: Asked, text: str, owed: bool) -> rq.Request | None:
        # what a plain prompt puts between `A:` and the answer, the model wrote itself
        said = text.lstrip() if asked.rendering == "plain" else text
        prompt, (answer,) = self._engine.renderer.with_answers(
            asked.messages, [said], asked.rendering, asked.preamble
        )
        length, limit = len(prompt) + len(answer), self._engine.max_positions
        if limit is not None and length > limit:
            return None
        how = (asked.edits, asked.adapter, owed)
        return self._reading(number, tuple(prompt), tuple(answer), *how)

    def _reading(
        self,
        number: int,
        prompt: tuple[int, ...],
        tokens: tuple[int, ...],
        edits: tuple[rq.Edit, ...] = (),
        adapter: lowrank.Adapter | None = None,
        owed: bool = True,
    ) -> rq.Request:
        length = len(prompt) + len(tokens)
        want = rq.Activations((self._layer,), tokens, len(prompt), length)
        return rq.Request(number, prompt, want, edits, adapter, owed)
