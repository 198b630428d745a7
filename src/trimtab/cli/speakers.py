"""Chat models that a command is given: a model as in an experiment file, or an endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.cli.terminal import complain
from trimtab.clients.budget import SPEND, Ledger
from trimtab.clients.http import HttpChat
from trimtab.core.config import validate
from trimtab.core.errors import ConfigError
from trimtab.core.lazy import lazy
from trimtab.core.spec import Endpoint, ModelSpec
from trimtab.core.types import Chat
from trimtab.core.yaml_file import parse_yaml
from trimtab.datasets.building.replies import Speaker
from trimtab.models import threads
from trimtab.models.load import resolve
from trimtab.runs.work.engines import EnginePool

if TYPE_CHECKING:
    from trimtab.engine import chat as engine_chat
else:
    engine_chat = lazy("trimtab.engine.chat")


class Speakers:
    """Opens chat models; they share loaded models, and a ledger in the folder of the output."""

    def __init__(self, folder: Path, max_dollars: float | None) -> None:
        """Name the ledger, ``spend.jsonl``; ``max_dollars`` caps all that it ever spends."""
        self.ledger = Ledger(folder / SPEND)
        self._max_dollars = max_dollars
        self._pool = EnginePool(telling=complain)

    def of(self, given: str, given_as: str) -> Speaker:
        """Return a model by its id or folder, or an endpoint by a YAML mapping.

        Raises:
            ConfigError: It is no endpoint, or a paid one without a cap.
            ModelError: There is no such model.
        """
        if given.lstrip().startswith("{"):
            endpoint = validate(Endpoint, parse_yaml(given, given_as), given_as)
            return self.api(endpoint, given_as)
        resolved = resolve(ModelSpec(id=given))
        return Speaker(
            resolved.spec.id,
            resolved.identity,
            lambda: self._local(resolved.spec, resolved.identity),
        )

    def api(self, endpoint: Endpoint, given_as: str) -> Speaker:
        """Return an endpoint's model; raise ConfigError for a paid one without a cap."""
        self.capped(endpoint, given_as)
        return Speaker(
            endpoint.model, endpoint.identity, lambda: HttpChat(endpoint, self.ledger, given_as)
        )

    def capped(self, endpoint: Endpoint, given_as: str) -> None:
        """Cap what is spent; raise ConfigError for a paid endpoint that nothing caps."""
        if self._max_dollars is not None:
            self.ledger.set_cap(self._max_dollars)
        elif endpoint.price != "free" and endpoint.max_dollars is None:
            raise ConfigError(
                f"{given_as}: {endpoint.model!r} costs money, and nothing says how much may be "
                "spent.",
                hint="Give --max-dollars.",
            )

    def _local(self, spec: ModelSpec, identity: str) -> Chat:
        self._pool.threads = threads.choose(threads.take_readings()).count
        return engine_chat.LocalChat(self._pool.engine(spec, identity))
