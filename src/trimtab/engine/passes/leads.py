"""Starts that groups of prompts have in common, computed once for each way they are acted on.

A primer is what *all* prompts begin with where nothing acts. A search asks few-shot prompts under
many edits, some of every position, beside a condition with an instruction in front: nothing is left
for a primer, and yet the examples are the same for all problems of a trial.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from trimtab.engine.batching.segments import Segment, chunks
from trimtab.engine.batching.shared_prefixes import PrefixGroup, prefix_groups
from trimtab.engine.passes.cache import PrefixCache
from trimtab.engine.passes.passes import Pass, Past, Store
from trimtab.engine.passes.primer import Primer
from trimtab.engine.request import Request
from trimtab.models.load import LoadedModel

_WORTH_LEADING = 64
"""Tokens beyond the primer; for fewer, one part more to attend to at every step costs more."""


class Leads:
    """Shared starts on top of a primer; prompts that share none have an empty one.

    Attributes:
        cache: Their keys and values; None where no start is worth sharing.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        requests: Sequence[Request],
        primer: Primer,
        most_tokens: int,
    ) -> None:
        """Compute the starts of the requests' prompts, in all at most ``most_tokens`` of them."""
        self._start = primer.length
        self._stop_of = _stops(requests, primer.length, most_tokens)
        self._row_of: dict[Hashable, int] = {}
        self.cache: PrefixCache | None = None
        if not self._stop_of:
            return
        first: list[Request] = []
        for request in requests:
            what = _what(self._segment(request))
            if what not in self._row_of:
                self._row_of[what] = len(first)
                first.append(request)
        layout = loaded.layout
        self.cache = PrefixCache(layout.num_layers, len(first), layout.devices)
        segments = [self._segment(request) for request in first]
        done: list[int] = []
        for some in chunks(segments, most_tokens):
            pasts = primer.pasts([first[i].adapter for i in some])
            store = Store(self.cache, some, list(done))
            Pass(loaded, [segments[i] for i in some], pasts, store).run()
            done += some

    def stop(self, request: Request) -> int:
        """Return where the shared start of a prompt ends."""
        return self._stop_of.get(request.prompt, self._start)

    def rows(self, requests: Sequence[Request | None]) -> list[int]:
        """Return the row of the cache of each request; one that is None reads any."""
        return [0 if r is None else self._row_of[_what(self._segment(r))] for r in requests]

    def pasts(self, requests: Sequence[Request]) -> tuple[Past, ...]:
        """Return the starts as what comes before the rest of the requests' prompts."""
        return () if self.cache is None else (Past(self.cache, self.rows(requests)),)

    def _segment(self, request: Request) -> Segment:
        return _segment(request, self._start, self.stop(request))


def _segment(request: Request, start: int, stop: int) -> Segment:
    tokens = request.prompt[start:stop]
    return Segment(tokens, start, len(request.prompt), request.edits, request.adapter)


def _what(segment: Segment) -> Hashable:
    return segment.tokens, tuple(segment.acts())


def _stops(requests: Sequence[Request], start: int, most_tokens: int) -> dict[tuple[int, ...], int]:
    """Return where the start of each prompt ends that shares one with others.

    Groups that save most come first; those whose starts, once for each way in which they are acted
    on, no longer fit into ``most_tokens`` are left out.
    """
    asked: dict[tuple[int, ...], list[Request]] = {}
    for request in requests:
        asked.setdefault(request.prompt, []).append(request)
    prompts = list(asked)

    def saved(group: PrefixGroup) -> int:
        return (len(group.members) - 1) * (group.prefix - start)

    found: dict[tuple[int, ...], int] = {}
    for group in sorted(prefix_groups(prompts, start), key=saved, reverse=True):
        if len(group.members) < 2 or group.prefix - start < _WORTH_LEADING:
            continue
        mine = [prompts[i] for i in group.members]
        ways = {_what(_segment(r, start, group.prefix)) for p in mine for r in asked[p]}
        needed = len(ways) * (group.prefix - start)
        if needed <= most_tokens:
            most_tokens -= needed
            found |= dict.fromkeys(mine, group.prefix)
    return found
