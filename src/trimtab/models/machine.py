"""What this process may use of the machine, and what others use: read from the system, no torch.

Where a system does not say (macOS has no ``/proc``), the answer is None, never 0.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
_CPUS = Path("/sys/devices/system/cpu")
_MOST_SECONDS = 30.0
_IDLE, _IOWAIT, _STEAL = 3, 4, 7


@dataclass(frozen=True)
class Clock:
    """What was used up to one moment.

    Attributes:
        time: Seconds of a steady clock.
        all: Processor seconds that all processes had of some cores; None if unknown. Time that a
            hypervisor gave to other machines counts.
        own: Processor seconds of this process and of all that it started, directly or not.
    """

    time: float
    all: float | None
    own: float


def read_clock(cores: Iterable[int], proc: Path = _PROC) -> Clock:
    """Read the clock of ``cores`` (numbers as in ``usable_cores``)."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    below = sum(ticks for _, ticks in _alive_below(os.getpid(), proc)) / os.sysconf("SC_CLK_TCK")
    return Clock(time.monotonic(), _busy_seconds(cores, proc), own + below)


def other_load(before: Clock, after: Clock) -> float | None:
    """Return how many cores other processes kept busy on average; None if unknown."""
    seconds = after.time - before.time
    if before.all is None or after.all is None or seconds <= 0:
        return None
    return max(0.0, (after.all - before.all) - (after.own - before.own)) / seconds


def _busy_seconds(cores: Iterable[int], proc: Path) -> float | None:
    lines = _lines(proc / "stat")
    wanted = {f"cpu{core}" for core in cores}
    ticks = [line.split()[1:] for line in lines if line.split(" ", 1)[0] in wanted]
    if len(ticks) < len(wanted) or not wanted:
        return None
    busy = 0
    for core in ticks:
        fields = [int(value) for value in core[: _STEAL + 1]]
        busy += sum(fields) - fields[_IDLE] - fields[_IOWAIT]
    return busy / os.sysconf("SC_CLK_TCK")


def _alive_below(pid: int, proc: Path) -> list[tuple[Path, int]]:
    """Return the living descendants of ``pid``: their folders, and the ticks they used.

    Ticks are with those of their own children that have ended. Empty where there is no ``/proc``.
    """
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in proc.glob("[0-9]*/stat"):
        # a name may hold anything, ")" too; a process that ended meanwhile has no line
        fields = " ".join(_lines(path)).rpartition(")")[2].split()
        if len(fields) > 14:
            parents[int(path.parent.name)] = int(fields[1])
            ticks[int(path.parent.name)] = sum(map(int, fields[11:15]))
    found, above = [], {pid}
    while above:
        above = {child for child, parent in parents.items() if parent in above}
        found += [(proc / str(child), ticks[child]) for child in sorted(above)]
    return found


def usable_cores() -> frozenset[int]:
    """Return the numbers of the logical cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(os.getpid()))
    return frozenset(range(os.cpu_count() or 1))


def cpu_name(proc: Path = _PROC) -> str | None:
    """Return the processor's name; None where the system keeps no such file."""
    named = [line for line in _lines(proc / "cpuinfo") if line.startswith("model name")]
    return named[0].partition(":")[2].strip() if named else None


def count_physical(cores: Iterable[int], cpus: Path = _CPUS) -> int:
    """Return how many physical cores the logical ``cores`` belong to; each counts if unknown."""
    siblings = set()
    for core in cores:
        lines = _lines(cpus / f"cpu{core}" / "topology" / "thread_siblings_list")
        siblings.add(lines[0] if lines else str(core))
    return len(siblings)


def cpu_quota(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> float | None:
    """Return the smallest limit, in cores, that control groups set; None without a limit."""
    found = []
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        # the second version has one hierarchy without a name; in the first, "cpu" has its own
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = cgroups / controllers
        for name in ("", *Path(path).parts[1:]):
            # in a container the path may be the host's, which is not there: the root is
            folder = folder / name
            found.append(_limit(folder))
    return min((limit for limit in found if limit is not None), default=None)


def _limit(folder: Path) -> float | None:
    fields = " ".join(_lines(folder / "cpu.max")).split()
    if not fields:
        fields = [*_lines(folder / "cpu.cfs_quota_us"), *_lines(folder / "cpu.cfs_period_us")]
    if len(fields) < 2 or not fields[0].isdigit() or not fields[1].isdigit():
        return None  # "max" and -1 are no limit
    return int(fields[0]) / int(fields[1])


def memory_quota(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """Return the bytes of memory that control groups leave to this process; None without a limit.

    What files take of it that nobody has read lately is left: the kernel lets go of that first.
    """
    found = []
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        folder = cgroups / controllers
        for name in ("", *Path(path).parts[1:]):
            folder = folder / name
            found.append(_memory_left(folder))
    return min((left for left in found if left is not None), default=None)


def _memory_left(folder: Path) -> int | None:
    for limit, used, word in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        numbers = [*_lines(folder / limit), *_lines(folder / used)]
        if len(numbers) == 2 and numbers[0].isdigit() and numbers[1].isdigit():
            stat = dict(line.split(" ", 1) for line in _lines(folder / "memory.stat"))
            return max(0, int(numbers[0]) - int(numbers[1]) + int(stat.get(word, 0)))
    return None  # "max" is no limit


def gpus() -> tuple[str, ...]:
    """Return what names the GPUs of NVIDIA that this process may use; no library is loaded."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1"))
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_MOST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip().isdigit())


def peak_memory(proc: Path = _PROC) -> int | None:
    """Return the most resident memory, in bytes, that this process has had so far."""
    found = _most_resident(proc / "self")
    if found is not None or proc != _PROC or os.uname().sysname != "Darwin":
        return found
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes, there


def _most_resident(process: Path) -> int | None:
    for line in _lines(process / "status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def peak_memory_of_child(proc: Path = _PROC) -> int:
    """Return the most resident memory, in bytes, that one child has had so far; 0 without."""
    unit = 1 if os.uname().sysname == "Darwin" else 1024
    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    alive = [_most_resident(process) or 0 for process, _ in _alive_below(os.getpid(), proc)]
    return max([ended, *alive])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
