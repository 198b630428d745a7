"""What a figure needs beside it: the machine's limits, what else it was doing, and fair turns.

Two sides are run in turns in one process, and the median of their ratios is the figure: absolute
times on a shared machine mean little. Load of other processes is recorded with every turn, because
one busy neighbour core costs a factor of two to ten.
"""

from __future__ import annotations

import contextlib
import gc
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from trimtab.models.machine import other_load, read_clock, usable_cores

DATA = Path("../shared/data")


def commit() -> str:
    """Return the commit that is measured, with a mark if the tree is changed."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def hardware() -> str:
    """Return the processor, its cores and torch's threads."""
    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    cpu = f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return "; ".join([cpu, *gpus])


@dataclass
class Turn:
    """One timed run of one side."""

    seconds: float
    other_load: float
    peak_mb: float | None
    gflops: float
    result: Any = field(repr=False, default=None)


def memory_mb() -> float:
    """Return the memory of this process and its workers, each page counted once."""
    workers = [process.pid for process in multiprocessing.active_children()]
    if not workers:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    total = 0
    for pid in ("self", *workers):
        # a worker may have ended since
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


class PeakMemory:
    """Samples memory; its high-water mark can't be reset everywhere. Looking costs milliseconds."""

    def __init__(self) -> None:
        self.peak = 0.0

    def __enter__(self) -> PeakMemory:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.3 if multiprocessing.active_children() else 0.05):
            self.peak = max(self.peak, memory_mb())


def timed(
    work: Callable[[], Any], dtype: torch.dtype = torch.float32, *, memory: bool = False
) -> Turn:
    """Run ``work`` once, and measure the machine's limit before and after: it drifts, too.

    Its peak memory is measured if asked for; then its time is not worth much.
    """
    gc.collect()
    before = gemm_rate(dtype)
    cores = usable_cores()
    clock = read_clock(cores)
    peak = PeakMemory()
    with peak if memory else contextlib.nullcontext():
        start = time.perf_counter()
        result = work()
        seconds = time.perf_counter() - start
    other = other_load(clock, read_clock(cores))
    assert other is not None, "this system does not say how busy it is"
    gflops = (before + gemm_rate(dtype)) / 2
    return Turn(seconds, other, peak.peak if memory else None, gflops, result)


def in_turns(
    sides: dict[str, Callable[[], Any]],
    repeats: int,
    check: Callable[[Any, Any], str] | None = None,
    dtype: torch.dtype = torch.float32,
    *,
    memory: bool = False,
) -> dict[str, list[Turn]]:
    """Run the sides in turns and print each; the first side's ratios to the others come last.

    ``check`` compares the results of the first side and of another, and says how they agree.
    """
    turns: dict[str, list[Turn]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, work in sides.items():
            turn = timed(work, dtype, memory=memory)
            turns[name].append(turn)
            peak = "" if turn.peak_mb is None else f"peak {turn.peak_mb:.0f} MB, "
            print(
                f"  {name}: {turn.seconds:.2f} s, {peak}"
                f"other load {turn.other_load:.2f} cores, machine {turn.gflops:.0f} GFLOP/s",
                flush=True,
            )
    ours, *others = sides
    for name in others:
        ratios = [b.seconds / a.seconds for a, b in zip(turns[ours], turns[name], strict=True)]
        agreement = check(turns[ours][0].result, turns[name][0].result) if check else ""
        print(f"{name} / {ours}: {statistics.median(ratios):.2f}x {agreement}", flush=True)
    return turns


def gemm_rate(dtype: torch.dtype) -> float:
    """Return GFLOP/s of products [rows, 576] x [576, 1536], weights packed: the machine's limit.

    The best of some numbers of rows: none of them is the best on every machine and format.
    """
    w = torch.randn(1536, 576).to(dtype)
    packed = torch.ops.mkldnn._reorder_linear_weight(w, None)

    def rate(rows: int) -> float:
        x = torch.randn(rows, 576).to(dtype)

        def once() -> None:
            torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")

        return 2 * rows * 576 * 1536 / _median_seconds(once, 200) / 1e9

    return max(map(rate, (128, 256, 512)))


def bandwidth(device: torch.device | str = "cpu") -> float:
    """Return GB/s of reading 512 MB, or 4 GB on an accelerator."""
    on_cpu = torch.device(device).type == "cpu"
    block = torch.ones((128 if on_cpu else 1024) * 2**20, device=device)
    # a few at a time, so that what it takes to ask for them does not count
    times = 1 if on_cpu else 10

    def read() -> None:
        for _ in range(times):
            block.sum()
        if not on_cpu:
            torch.cuda.synchronize(device)

    return times * block.nbytes / 1e9 / _median_seconds(read, 5)


def _median_seconds(work: Callable[[], Any], repeats: int = 30) -> float:
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def header(title: str) -> None:
    """Print what is measured, where."""
    print(f"{title}\n{hardware()}; torch {torch.__version__}; commit {commit()}", flush=True)


def gsm8k_prompts(renderer: Any, count: int) -> list[tuple[int, ...]]:
    """Return prompts of the first questions of GSM8K's test set, as token ids.

    They are chats, or plain questions for a model without a chat template.
    """
    from trimtab.core.types import Message

    lines = (DATA / "gsm8k" / "test.jsonl").read_text().splitlines()[:count]
    questions = [json.loads(line)["question"] for line in lines]
    rendering = "chat" if renderer.tokenizer.chat_template else "plain"
    return [
        tuple(renderer.prompt((Message(role="user", content=question),), rendering))
        for question in questions
    ]
