"""A model on this machine: voices in one batch, the words of a single one as they are chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from trimtab.chat.partner import BASE, Answer, Asked, Messages
from trimtab.core.errors import ConfigError
from trimtab.core.lazy import lazy
from trimtab.core.types import Rendering, SamplingParams
from trimtab.interventions.base import Treatment

if TYPE_CHECKING:
    from trimtab.engine import request as rq
    from trimtab.engine.engine import Engine
else:
    rq = lazy("trimtab.engine.request")

_NEXT_TURN = "\nQ:"
"""Where a model without a chat template begins to ask itself."""
_HALF_A_CHARACTER = "\ufffd"


class LocalPartner:
    """An engine, and the treatments under which it is asked."""

    def __init__(self, engine: Engine, treatments: Mapping[str, Treatment]) -> None:
        """Keep them; the model as it is comes last, under the name ``base``."""
        self._engine = engine
        self._treatments = {**treatments, BASE: Treatment()}

    @property
    def identity(self) -> str:
        """Hash of the model's weights, tokenizer and template."""
        return self._engine.identity

    @property
    def voices(self) -> tuple[str, ...]:
        """The treatments' names, and ``base``."""
        return tuple(self._treatments)

    @property
    def _rendering(self) -> Rendering:
        return "chat" if self._engine.renderer.has_template else "plain"

    def answers(self, asked: Asked, say: Callable[[str], None]) -> Iterator[tuple[str, Answer]]:
        """Yield each voice's answer; see ``Partner``."""
        alone = len(asked.messages) == 1
        sampling = self._sampling(asked.sampling)
        teller = _Teller(say, sampling.stop) if alone else None
        requests = [
            self._request(voice, messages, asked, sampling, teller)
            for voice, messages in asked.messages.items()
        ]
        for result in self._engine.run(requests):
            assert isinstance(result, rq.TextResult) and isinstance(result.key, str)
            text = result.text.strip()
            if teller is not None:
                teller.end(result.text)
            yield result.key, Answer(text, result.finish_reason, len(result.tokens))

    def _sampling(self, sampling: SamplingParams) -> SamplingParams:
        if self._rendering == "chat":
            return sampling
        return sampling.model_copy(update={"stop": (*sampling.stop, _NEXT_TURN)})

    def _request(
        self,
        voice: str,
        messages: Messages,
        asked: Asked,
        sampling: SamplingParams,
        teller: _Teller | None,
    ) -> rq.Request:
        treatment = _at(self._treatments[voice], asked.strength, voice)
        shown = treatment.prompt(messages)
        prompt = tuple(self._engine.renderer.prompt(shown, self._rendering))
        limit, needed = self._engine.max_positions, len(prompt) + sampling.max_tokens
        if limit is not None and needed > limit:
            raise ConfigError(
                f"The conversation has {len(prompt)} tokens; with an answer of up to "
                f"{sampling.max_tokens} it needs {needed}, and the model has {limit}.",
                hint="/reset begins a new one, /max N asks for shorter answers.",
            )
        watch = None if teller is None else teller.tell
        want = rq.Text(sampling, asked.seed, treatment.dynamic, watch)
        return rq.Request(voice, prompt, want, treatment.edits, treatment.adapter)


class _Teller:
    """Says what is new of a text that grows, and nothing that may still be cut off or completed."""

    def __init__(self, say: Callable[[str], None], stops: tuple[str, ...]) -> None:
        self._say, self._stops = say, stops
        self._told = 0

    def tell(self, text: str) -> None:
        """Say what is certain of ``text``."""
        for stop in self._stops:
            sizes = (n for n in range(len(stop), 0, -1) if text.endswith(stop[:n]))
            text = text[: len(text) - next(sizes, 0)]
        self._more(text.rstrip().rstrip(_HALF_A_CHARACTER))

    def end(self, text: str) -> None:
        """Say the rest of the whole text."""
        self._more(text.rstrip())

    def _more(self, text: str) -> None:
        new = text[self._told :]
        if new:
            self._say(new.lstrip() if not self._told else new)
            self._told = len(text)


def _at(treatment: Treatment, strength: float, voice: str) -> Treatment:
    """Return a treatment whose edits and adapter are multiplied by ``strength``."""
    if strength == 1.0:
        return treatment
    if treatment.dynamic is not None:
        raise ConfigError(
            f"{voice!r} chooses its strength anew at every token, so it has none to multiply.",
            hint="Use /strength 1.",
        )
    edits = tuple(replace(edit, strength=edit.strength * strength) for edit in treatment.edits)
    adapter = treatment.adapter
    if adapter is not None:
        adapter = adapter.scaled(strength) if strength else None
    return replace(treatment, edits=edits if strength else (), adapter=adapter)
