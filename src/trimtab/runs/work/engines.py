"""Loaded models of one process: each is loaded once, and shared by all who name the same one."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from trimtab.core.errors import ModelError
from trimtab.core.lazy import lazy
from trimtab.core.spec import ModelSpec
from trimtab.core.types import Embedder

if TYPE_CHECKING:
    import torch

    from trimtab.engine import engine as engines
    from trimtab.models import load
else:
    torch = lazy("torch")
    engines = lazy("trimtab.engine.engine")
    load = lazy("trimtab.models.load")

_log = logging.getLogger(__name__)


class EnginePool:
    """Hands out engines and sentence encoders; the subject and a judge may be the same object."""

    def __init__(
        self,
        threads: int | None = None,
        using: Callable[[ModelSpec, int], None] | None = None,
        telling: Callable[[str], None] | None = None,
    ) -> None:
        """Start with nothing loaded.

        Args:
            threads: Threads that torch has whenever a model is handed out; None leaves them be.
            using: Told of each model that is handed out (resolved), and of the threads.
            telling: Told in a line of each model before it is loaded, which may take minutes, and
                of what ``say`` is given.
        """
        self.threads = threads
        self._using = using
        self._telling = telling
        self._engines: dict[tuple[str, str], engines.Engine] = {}
        self._encoders: dict[str, Embedder] = {}

    def engine(self, spec: ModelSpec, identity: str) -> engines.Engine:
        """Return the engine of ``spec``; raise ModelError if its content is not ``identity``."""
        self._set_threads()
        key = (identity, spec.dtype)
        if key not in self._engines:
            self.say(f"loading the model {spec.id} ({spec.dtype})")
            _log.info("loading the model %s (%s)", spec.id, identity)
            self._engines[key] = engines.Engine(load.load_model(self._resolve(spec, identity)))
        self._tell(self._engines[key].loaded.resolved.spec)
        return self._engines[key]

    def encoder(
        self, spec: ModelSpec, identity: str, load_as: Callable[[load.ResolvedModel], Embedder]
    ) -> Embedder:
        """Return the encoder of ``spec``, loaded by ``load_as`` when it is first asked for.

        Raises:
            ModelError: As ``engine``.
        """
        self._set_threads()
        if identity not in self._encoders:
            self.say(f"loading the encoder {spec.id}")
            _log.info("loading the encoder %s (%s)", spec.id, identity)
            self._encoders[identity] = load_as(self._resolve(spec, identity))
        self._tell(spec)
        return self._encoders[identity]

    @property
    def loaded(self) -> set[str]:
        """Identities of the models that are loaded now."""
        return {identity for identity, _ in self._engines} | set(self._encoders)

    def keep_only(self, identities: set[str]) -> None:
        """Free every model but those with these identities, before others are loaded."""
        self._engines = {k: v for k, v in self._engines.items() if k[0] in identities}
        self._encoders = {k: v for k, v in self._encoders.items() if k in identities}
        gc.collect()

    def say(self, line: str) -> None:
        """Tell whoever watches something worth a line."""
        if self._telling is not None:
            self._telling(line)

    def _set_threads(self) -> None:
        if self.threads is not None:
            torch.set_num_threads(self.threads)

    def _tell(self, spec: ModelSpec) -> None:
        if self._using is not None:
            self._using(spec, torch.get_num_threads())

    def _resolve(self, spec: ModelSpec, identity: str) -> load.ResolvedModel:
        resolved = load.resolve(spec)
        if resolved.identity != identity:
            raise ModelError(
                f"The model {spec.id!r} is not what this run was planned with: its weights, "
                f"tokenizer or template changed ({identity} -> {resolved.identity}).",
                hint="Restore the files, or start a new run.",
            )
        return resolved
