"""Self-certainty of a language model: a score that nothing is trained for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from trimtab.core.errors import DataError, NonFiniteError
from trimtab.core.streams import Owed, in_order
from trimtab.core.types import Message
from trimtab.engine.engine import Engine
from trimtab.training.rerankers.energies import Distinct, by_length, padded

_LOGIT_ROWS = 256


class Uncertainty:
    """Minus the self-certainty of Kang et al. 2025, arXiv 2502.18581. Implements ``Energy``.

    Self-certainty is the mean, over the answer's tokens, of the cross-entropy between a uniform
    distribution and the next-token distribution at temperature 1, less the logarithm of the
    vocabulary: 0 where every token is equally likely. In nats; lower (more certain) is better.

    The problem is put as the one user turn of a chat, or as ``Q:``/``A:`` without a template, so
    the system text and the shots of another rendering are left out.
    """

    def __init__(self, engine: Engine) -> None:
        """Share the model of ``engine``, which is read without edits."""
        self._engine = engine
        self._loaded = engine.loaded

    @property
    def identity(self) -> str:
        """The model's."""
        return f"uncertainty:{self._engine.identity}"

    def score(self, problem: str, texts: Sequence[str]) -> list[float]:
        """Return the uncertainty of each text as an answer to ``problem``."""
        return in_order(self.energies([(problem, text) for text in texts]), len(texts))

    def energies(
        self, pairs: Sequence[tuple[str, str]], owed: Owed = None
    ) -> Iterator[tuple[int, float]]:
        """Yield the uncertainty of each (prompt, text) by batch; equal pairs are computed once.

        A text without tokens is judged by the distribution of its first one.

        Raises:
            DataError: A pair is longer than the model's positions.
            NonFiniteError: A value is NaN or infinite.
        """
        distinct = Distinct(pairs, owed)
        rows = [self._row(*pair) for pair in distinct.pairs]
        yield from distinct.each(self._batches(rows, distinct.owed))

    def _batches(
        self, rows: Sequence[tuple[list[int], int]], owed: Sequence[bool]
    ) -> Iterator[tuple[int, float]]:
        for batch in by_length([len(ids) for ids, _ in rows], self._loaded.device):
            if any(owed[i] for i in batch):
                values = self._batch([rows[i] for i in batch])
                if not all(map(math.isfinite, values)):
                    raise NonFiniteError(
                        "The model's logits are not finite.",
                        hint="Load it in float32 (`model.dtype`).",
                    )
                yield from zip(batch, values, strict=True)

    def _row(self, problem: str, text: str) -> tuple[list[int], int]:
        """Return token ids, and the first position whose output chooses one of the answer's."""
        renderer = self._engine.renderer
        rendering: Any = "chat" if renderer.has_template else "plain"
        messages = (Message(role="user", content=problem),)
        if not text.strip():
            prompt = list(renderer.prompt(messages, rendering))
            return prompt, len(prompt) - 1
        prompt, (answer,) = renderer.with_answers(messages, [text], rendering)
        ids = [*prompt, *answer]
        limit = self._engine.max_positions
        if limit is not None and len(ids) > limit:
            raise DataError(
                f"A problem with its answer has {len(ids)} tokens, the model has positions for "
                f"{limit}: {problem[:60]!r}.",
                hint="Give the candidates a smaller max_tokens.",
            )
        # The output at the last token chooses nothing.
        return ids[:-1], len(prompt) - 1

    def _batch(self, rows: Sequence[tuple[list[int], int]]) -> list[float]:
        device, layout = self._loaded.device, self._loaded.layout
        ids_BT = padded([ids for ids, _ in rows], device)
        length_B = torch.tensor([len(ids) for ids, _ in rows], device=device)
        mask_BT = (torch.arange(ids_BT.shape[1], device=device) < length_B[:, None]).long()
        with torch.no_grad():
            states_BTH = self._loaded.model.base_model(
                input_ids=ids_BT, attention_mask=mask_BT, use_cache=False
            ).last_hidden_state
            read = [states_BTH[row, start : len(ids)] for row, (ids, start) in enumerate(rows)]
            per_token: list[torch.Tensor] = []
            for part_NH in torch.cat(read).split(_LOGIT_ROWS):
                logits_NV = layout.logits(part_NH[None])[0].float()
                size = math.log(logits_NV.shape[-1])
                mean_N = torch.log_softmax(logits_NV, dim=-1).double().mean(dim=-1)
                per_token.append((mean_N + size).cpu())
        parts = torch.cat(per_token).split([len(one) for one in read])
        return [float(part.mean()) for part in parts]
