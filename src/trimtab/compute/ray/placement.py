"""What a worker asks a cluster for, and how many of them its nodes have room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trimtab.core.counted import counted

Node = Mapping[str, float]
"""What a node has in all, by Ray's names: ``CPU``, ``GPU``, and ``memory`` in bytes."""


@dataclass(frozen=True)
class Request:
    """What one worker needs of a node.

    Attributes:
        cpus: Processor cores, and so threads.
        gpus: GPUs.
        memory: Bytes of main memory.
    """

    cpus: int
    gpus: int
    memory: int

    def __str__(self) -> str:
        gpus = f", {counted(self.gpus, 'GPU')}" if self.gpus else ""
        return f"{counted(self.cpus, 'CPU')}{gpus} and {self.memory / 2**30:.1f} GiB of memory"

    @property
    def amounts(self) -> dict[str, float]:
        """What is asked for, by Ray's names."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return {name: amount for name, amount in asked.items() if amount}


def room(nodes: Sequence[Node], request: Request) -> int:
    """Return how many workers nodes have room for that do nothing else."""
    return sum(
        min(int(node.get(name, 0) // amount) for name, amount in request.amounts.items())
        for node in nodes
    )


def lacking(nodes: Sequence[Node], request: Request) -> str:
    """Return why no node has room for a worker, in a few words; nodes are those of ``room``."""
    for name, amount in request.amounts.items():
        most = max((node.get(name, 0) for node in nodes), default=0)
        if most < amount:
            shown = f"{most / 2**30:.1f} GiB of memory" if name == "memory" else f"{most:g} {name}s"
            return f"the most that one has is {shown}"
    return "none has all of that at once"
