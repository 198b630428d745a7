"""What a provider of machines can do. Money is guarded elsewhere, for all of them alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import ValidationError

from trimtab.compute.cloud.clock import Clock
from trimtab.compute.cloud.errors import UnansweredError
from trimtab.compute.ssh.hosts import Host
from trimtab.core.folder import Folder
from trimtab.core.spec import Spec

C = TypeVar("C", bound=Spec)
State = Literal["starting", "active", "ending", "ended"]


@dataclass(frozen=True)
class MachineType:
    """A kind of machine that can be rented.

    Attributes:
        name: As the provider calls it.
        dollars_per_hour: Its price.
        gpus: How many GPUs it has.
        gpu: What they are called; empty if there are none.
        gpu_memory_gib: Memory of each GPU in GiB; None if the provider does not say.
        memory_gib: Main memory in GiB; None if the provider does not say.
        cpus: Processor cores; None if the provider does not say.
        regions: Where it can be had now.
    """

    name: str
    dollars_per_hour: float
    gpus: int
    gpu: str
    gpu_memory_gib: float | None
    memory_gib: float | None
    cpus: int | None
    regions: tuple[str, ...]


@dataclass(frozen=True)
class Order:
    """One machine.

    Attributes:
        tag: Name that it is to have; no other ever has it.
        type: Name of its kind.
        region: Where.
        dollars_per_hour: The most that it may cost.
        seconds: After which time the provider is to end it, if it can do so by itself.
    """

    tag: str
    type: str
    region: str
    dollars_per_hour: float
    seconds: float


@dataclass(frozen=True)
class Instance:
    """A machine that the provider lists.

    Attributes:
        id: Names it in later calls.
        tag: Its name.
        state: ``starting``, ``active``, ``ending`` or ``ended``; all but the last may be charged.
        address: Where ssh finds it; None if that is not known yet.
        dollars_per_hour: What the provider says it costs; None if it does not say.
        auto_stop: Whether the provider's own auto-stop is set; None if it has none.
    """

    id: str
    tag: str
    state: State
    address: str | None = None
    dollars_per_hour: float | None = None
    auto_stop: bool | None = None


class Provider(ABC, Generic[C]):
    """One provider, as it was configured.

    Attributes:
        Config: What there is to configure.
        user: Whom ssh logs in as; None leaves that to ssh's configuration.
        console: Where a person ends instances by hand.
        shutdown_ends_bill: Whether a machine that was shut down from within costs nothing more.
    """

    Config: type[C]
    user: ClassVar[str | None] = None
    console: ClassVar[str]
    shutdown_ends_bill: ClassVar[bool] = False

    def __init__(self, config: C) -> None:
        """Keep the configuration; ``clock`` may be replaced before the first call."""
        self.config = config
        self.clock = Clock()

    @abstractmethod
    def types(self) -> list[MachineType]:
        """Return the kinds of machine, cheapest first.

        Raises:
            ConfigError: The key is refused, or the provider's program is not here.
            UnansweredError: The provider gives no answer.
        """

    @abstractmethod
    def launch(self, order: Order) -> str:
        """Have one machine started, and return its id.

        Raises:
            RefusedError: None was started.
            UncertainError: One may have been, or more.
            ConfigError: The key is refused; none was started.
        """

    @abstractmethod
    def describe(self, order: Order) -> str:
        """Return what ``launch`` would send, as a person reads it."""

    @abstractmethod
    def instances(self) -> list[Instance]:
        """Return every machine of the account that has not ended; raise as ``types`` does."""

    @abstractmethod
    def terminate(self, ids: Sequence[str]) -> None:
        """Ask that machines be ended; whether they were, ``instances`` tells.

        Raises:
            RefusedError: The provider refuses.
            UncertainError: It may have heard.
        """

    def key(self) -> str:
        """Return the key that calls are made with; empty if the provider's own program has it.

        Raises:
            ConfigError: The environment holds none.
        """
        return ""

    def host(self, address: str, host: Host) -> Host:
        """Return how ssh reaches a machine: ``host``, with its address filled in.

        Raises:
            UnansweredError: What the provider says is no address.
        """
        at = address if self.user is None or "@" in address else f"{self.user}@{address}"
        try:
            return Host.model_validate(host.model_dump() | {"address": at})
        except ValidationError:
            raise UnansweredError(f"{address!r} is no address of a machine.") from None


PROVIDERS: Folder[Provider[Spec]] = Folder("compute/cloud/providers", "cloud provider")
