"""What all prompts begin with, computed once: few-shot examples, a rubric."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.engine.acts.adapters import distinct
from trimtab.engine.batching.segments import Segment, chunks, common_prefix
from trimtab.engine.passes.cache import PrefixCache
from trimtab.engine.passes.passes import Pass, Past, Store
from trimtab.engine.request import Request
from trimtab.models.load import LoadedModel
from trimtab.models.lowrank import Adapter


class Primer:
    """What all prompts have in common (a few-shot preamble, a rubric), once for each adapter."""

    def __init__(
        self,
        loaded: LoadedModel,
        requests: Sequence[Request],
        most_tokens: int | None = None,
        length: int | None = None,
    ) -> None:
        """Compute the common start of the requests' prompts, if it is worth it.

        Args:
            loaded: The model.
            requests: Whose prompts begin alike.
            most_tokens: So many are computed at a time; None is all.
            length: Of the start, where it is known already.
        """
        rows = [(request.prompt, request.edits) for request in requests]
        self.length = common_prefix(rows) if length is None else length
        self.cache: PrefixCache | None = None
        adapters: list[Adapter | None] = [*distinct(r.adapter for r in requests).values()]
        if any(r.adapter is None for r in requests):
            adapters.append(None)
        self._row_of = {None if a is None else a.key: row for row, a in enumerate(adapters)}
        if self.length:
            num_rows = len(adapters)
            self.cache = PrefixCache(loaded.layout.num_layers, num_rows, loaded.layout.devices)
            prompt = requests[0].prompt
            segments = [Segment(prompt[: self.length], 0, len(prompt), (), a) for a in adapters]
            done: list[int] = []
            for some in chunks(segments, most_tokens or num_rows * self.length):
                store = Store(self.cache, some, list(done))
                Pass(loaded, [segments[i] for i in some], (), store).run()
                done += some

    def rows(self, adapters: Sequence[Adapter | None]) -> list[int]:
        """Return the row of the cache that holds it as computed with each of the adapters."""
        nobody = self._row_of.get(None, 0)  # a row without a request reads any
        return [nobody if a is None else self._row_of[a.key] for a in adapters]

    def pasts(self, adapters: Sequence[Adapter | None]) -> tuple[Past, ...]:
        """Return it as the past of segments with these adapters."""
        return () if self.cache is None else (Past(self.cache, self.rows(adapters)),)
