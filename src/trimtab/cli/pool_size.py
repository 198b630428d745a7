"""How many workers a run gets on this machine, and what of the machine each of them has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.compute.slurm.groups import owed_units
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError
from trimtab.models.machine import gpus, memory_quota
from trimtab.models.memory import available_ram
from trimtab.models.threads import take_readings
from trimtab.runs.store.attempts import recorded_threads
from trimtab.runs.store.run import Run
from trimtab.runs.usage.memory import planned_models

_SHARE = 0.9
"""Of the free memory, for all workers together."""

_THREADS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS",
)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What ``--workers`` says.

    Attributes:
        number: How many; None is as many as there is room for.
    """

    number: int | None

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """Read the option; raise ConfigError if it is neither ``auto`` nor a number from 1 on."""
        if text == "auto":
            return cls(None)
        if text.isascii() and text.isdigit() and 0 < int(text) <= 1000:
            return cls(int(text))
        raise ConfigError(
            f"--workers: {text!r} is no number of workers.",
            hint="Write a number from 1 to 1000, or auto.",
        )

    def __str__(self) -> str:
        return "auto" if self.number is None else str(self.number)


@dataclass(frozen=True)
class Share:
    """A machine, shared out.

    Attributes:
        slots: Variables of each worker.
        free: Bytes of memory that all may have together; None if unknown.
        why: What a person should know of it, a line each.
    """

    slots: tuple[dict[str, str], ...]
    free: int | None
    why: tuple[str, ...]


@dataclass(frozen=True)
class Machine:
    """What the choice follows from.

    Attributes:
        cores: That this process may use.
        asked: Threads of each worker that the user chose; None for no choice.
        recorded: Threads that the run began with; None for a new one.
        gpus: Names of the GPUs that may be used.
        gpu: Whether a model of the run is on one: 0 none is, 1 each has one, 2 some need several.
        free: Bytes of free memory; None if unknown.
        need: Bytes that one worker needs.
        units: Units that are owed.
    """

    cores: int
    asked: int | None
    recorded: int | None
    gpus: tuple[str, ...]
    gpu: int
    free: int | None
    need: int
    units: int


def share(run: Run, wanted: Wanted, need: int) -> Share:
    """Share out this machine; see ``share_out``."""
    models = planned_models(run)
    on_gpu = [spec for spec in models.values() if spec.device not in ("cpu", "mps")]
    readings = take_readings(new=False)
    known = [free for free in (available_ram(), memory_quota()) if free is not None]
    free = min(known, default=None)
    machine = Machine(
        cores=readings.allowed,
        asked=readings.asked,
        recorded=recorded_threads(run.dir),
        gpus=gpus() if on_gpu else (),
        gpu=0 if not on_gpu else 2 if any(spec.device_map for spec in on_gpu) else 1,
        free=None if free is None else int(free * _SHARE),
        need=need,
        units=len(owed_units(run)),
    )
    return share_out(machine, wanted)


def share_out(machine: Machine, wanted: Wanted) -> Share:
    """Choose the number of workers, and give each its threads and its GPU.

    A number that is asked for is lowered by GPUs alone, of which each worker has one; memory is
    looked at again while workers run.
    """
    limits = _limits(machine, wanted)
    number = max(1, min(limits.values()))
    threads = _threads(machine, number)
    slots = tuple(_slot(machine, index, threads) for index in range(number))
    return Share(slots, machine.free, tuple(_why(machine, wanted, number, threads, limits)))


def _limits(machine: Machine, wanted: Wanted) -> dict[str, int]:
    """Return the most workers by what limits them."""
    limits = {}
    if wanted.number is not None:
        limits["asked for"] = wanted.number
    if machine.gpu == 2:
        limits["a model that takes several GPUs"] = 1
    elif machine.gpu:
        limits[counted(len(machine.gpus), "GPU")] = max(1, len(machine.gpus))
    if wanted.number is None:
        if not machine.gpu:
            each = machine.asked or machine.recorded or 1
            limits[counted(machine.cores, "core")] = machine.cores // each
        if machine.free is not None:
            limits["memory"] = machine.free // max(machine.need, 1)
        limits[f"{counted(machine.units, 'unit')} owed"] = machine.units
    return limits


def _threads(machine: Machine, number: int) -> int:
    """Return the threads of each worker: the user's choice, or an equal share of the cores.

    A run keeps the number that it began with where every worker can have it.
    """
    if machine.asked is not None:
        return machine.asked
    share = max(1, machine.cores // number)
    return share if machine.recorded is None else min(machine.recorded, share)


def _slot(machine: Machine, index: int, threads: int) -> dict[str, str]:
    slot = thread_variables(threads)
    if machine.gpu == 1 and machine.gpus:
        slot["CUDA_VISIBLE_DEVICES"] = machine.gpus[index]
    return slot


def thread_variables(threads: int) -> dict[str, str]:
    """Return the variables by which libraries learn how many threads they have."""
    return dict.fromkeys(_THREADS, str(threads))


def _why(
    machine: Machine, wanted: Wanted, number: int, threads: int, limits: dict[str, int]
) -> Sequence[str]:
    least = min(limits, key=lambda name: limits[name])
    lines = [
        f"workers: {number} ({least}), {counted(threads, 'thread')} each; one needs about "
        f"{machine.need / 2**30:.1f} GiB, "
        + (
            "free memory is unknown"
            if machine.free is None
            else f"{machine.free / 2**30:.1f} GiB may be used"
        )
    ]
    room = number if machine.free is None else max(1, machine.free // max(machine.need, 1))
    if room < number:
        lines.append(
            f"note: memory has room for {room} of {counted(number, 'worker')}; the others start "
            "when it is known that they need less"
        )
    if number * threads > machine.cores:
        lines.append(
            f"note: {counted(number, 'worker')} with {counted(threads, 'thread')} each share "
            f"{counted(machine.cores, 'core')}"
        )
    if wanted.number is not None and number < wanted.number:
        lines.append(f"note: {number} of {wanted.number} workers, because of {least}")
    return lines
