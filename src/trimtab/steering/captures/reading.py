"""The one door through which fits read activations: kept ones where there are some, else new ones.

Captures are kept below ``TRIMTAB_CACHE`` and found by all that determines them (``identity``). One
of several layers serves fits of some of them. What was torn or changed is never used. Nothing here
ends a fit: where captures can't be kept they are made as if there were no place for them, and a
note says why.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimtab.core.errors import ConfigError, StoreError
from trimtab.core.keys import content_key
from trimtab.core.lazy import lazy
from trimtab.core.records import write_json
from trimtab.steering.captures import identity
from trimtab.steering.captures.store import (
    ABOUT,
    ACTIVATIONS,
    GB,
    KEY_LENGTH,
    DamagedError,
    Kept,
    Store,
    name_of,
)
from trimtab.steering.fitted import FitContext

if TYPE_CHECKING:
    from trimtab.engine import request as rq
    from trimtab.engine.reading import rows as er
    from trimtab.engine.reading import whole
else:
    rq = lazy("trimtab.engine.request")
    er = lazy("trimtab.engine.reading.rows")
    whole = lazy("trimtab.engine.reading.whole")

_log = logging.getLogger(__name__)


def read_each(
    context: FitContext, requests: Sequence[rq.Request], asked: Mapping[str, Any]
) -> Iterator[rq.ActivationsResult]:
    """Yield the result of each request, in the order in which the engine gave or gives them.

    Args:
        context: The model, and who is told.
        requests: Reads of the same layers at one site.
        asked: What determines them, in words that people can read; part of the key.

    Raises:
        NonFiniteError: Names the first layer, row and position that is NaN or infinite.
    """
    with _Capture(context, requests, asked).kept() as found:
        for result in context.engine.run(requests) if found is None else found.results(requests):
            assert isinstance(result, rq.ActivationsResult)
            yield result


@contextmanager
def on_disk(
    context: FitContext,
    requests: Sequence[rq.Request],
    asked: Mapping[str, Any],
    path: Path | None = None,
    about: Mapping[str, str] | None = None,
) -> Iterator[whole.LayerRows]:
    """Yield the activations of ``requests`` on disk, row i those of request i.

    Args:
        context: The model, who is told, and where a temporary file goes.
        requests: As for ``read_each``.
        asked: As for ``read_each``.
        path: Where the file is to stay; None where nobody needs one.
        about: Metadata of the file at ``path``.

    Raises:
        NonFiniteError: As for ``read_each``.
        StoreError: The disk is full, or the folder can't be written.
    """
    layers = _want(requests).layers
    with _Capture(context, requests, asked).kept() as found:
        if found is not None and path is None:
            yield found
            return
        with ExitStack() as scratch:
            file = path or scratch.enter_context(_scratch_folder(context)) / "rows.safetensors"
            results = context.engine.run(requests) if found is None else found.results(requests)
            er.save_activations(results, requests, file, about=about, fence=context.fence)
            yield whole.LayerRows(file, layers, layers)


@contextmanager
def _scratch_folder(context: FitContext) -> Iterator[Path]:
    if context.folder is not None:
        context.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".rows-", dir=context.folder) as folder:
        yield Path(folder)


class _Capture:
    """One capture, wherever it comes from."""

    def __init__(
        self, context: FitContext, requests: Sequence[rq.Request], asked: Mapping[str, Any]
    ) -> None:
        self._context = context
        self._requests = requests
        self._asked = asked
        self._layers = _want(requests).layers

    @contextmanager
    def kept(self) -> Iterator[whole.LayerRows | None]:
        """Yield the capture from the cache, made there if need be; None if none can be kept."""
        with ExitStack() as holding:
            yield self._kept(holding)

    def _kept(self, holding: ExitStack) -> whole.LayerRows | None:
        try:
            store = Store.here()
        except ConfigError as error:
            self._tell(f"activations are not kept: {error.message}")
            return None
        if not store.is_on:
            return None
        hashed = identity.determining(self._context.engine, self._requests, self._asked)
        key = content_key(hashed, KEY_LENGTH)
        found = self._told(lambda: self._find(store, key, hashed, holding))
        if found is not None:
            return found
        return self._told(lambda: self._make(store, key, hashed, holding))

    def _make(
        self, store: Store, key: str, hashed: dict[str, Any], holding: ExitStack
    ) -> whole.LayerRows | None:
        """Make the capture, unless another process has made it meanwhile."""
        loaded = self._context.engine.loaded
        width = loaded.layout.head_width if self._is_heads else loaded.layout.hidden_size
        with store.capturing(key, self._wait):
            found = self._find(store, key, hashed, holding)
            if found is not None:
                return found
            size = whole.size_of(self._requests, width)
            lacking = store.make_room(size)
            if lacking is not None:
                what = f"activations of {len(self._requests)} rows"
                self._tell(f"{what} are not kept: they take {size / GB:.2f} GB, and {lacking}")
                return None
            with store.adding(name_of(key, self._layers)) as folder:
                results = self._context.engine.run(self._requests)
                whole.save_whole(results, self._requests, folder / ACTIVATIONS)
                about = {
                    "hashed": hashed,
                    "layers": list(self._layers),
                    "rows": len(self._requests),
                    "model": loaded.resolved.spec.id,
                }
                write_json(folder / ABOUT, about)
            return self._find(store, key, hashed, holding)

    def _find(
        self, store: Store, key: str, hashed: dict[str, Any], holding: ExitStack
    ) -> whole.LayerRows | None:
        """Return a capture that is there, held until ``holding`` ends; remove damaged ones."""
        for kept in store.with_key(key, self._layers):
            try:
                found = self._open(store, kept, hashed, holding)
            except DamagedError as error:
                self._tell(f"kept activations are damaged, and are made anew: {error.message}")
                store.discard(kept.folder)
                continue
            if found is not None:
                _log.info("activations of %d rows: %s", len(self._requests), kept.folder.name)
                return found
        return None

    def _open(
        self, store: Store, kept: Kept, hashed: dict[str, Any], holding: ExitStack
    ) -> whole.LayerRows | None:
        with ExitStack() as mine:
            if not mine.enter_context(store.holding(kept)):
                return None
            if content_key(kept.about.get("hashed"), KEY_LENGTH) != content_key(hashed, KEY_LENGTH):
                raise DamagedError(f"{kept.folder} says that it is of something else.")
            found = whole.LayerRows(kept.folder / ACTIVATIONS, kept.layers, self._layers)
            if not found.serves:
                return None
            holding.enter_context(mine.pop_all())
            return found

    @property
    def _is_heads(self) -> bool:
        return _want(self._requests).site == "heads"

    def _told(self, do: Callable[[], whole.LayerRows | None]) -> whole.LayerRows | None:
        """Return what ``do`` returns; None, and a note, if the cache can't be used."""
        try:
            return do()
        except (StoreError, OSError) as error:
            said = error.message if isinstance(error, StoreError) else str(error)
            self._tell(f"activations are not kept: {said}")
            return None

    def _wait(self) -> None:
        self._tell("another process reads the same activations; this one waits for them")

    def _tell(self, line: str) -> None:
        _log.warning("%s", line)
        self._context.note(f"note: {line}")


def _want(requests: Sequence[rq.Request]) -> rq.Activations:
    want = requests[0].want
    assert isinstance(want, rq.Activations)
    return want
