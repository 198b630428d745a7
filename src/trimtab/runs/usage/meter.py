"""What a phase cost and what else the machine was doing: ``attempts/<number>/usage.jsonl``.

Speed is only comparable where other processes were quiet, so each record holds both. Nothing here
enters a result, and a record that can't be written stops no phase.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from trimtab.core.errors import StoreError
from trimtab.core.records import SegmentWriter, read_lines
from trimtab.core.report import Usage
from trimtab.core.spec import ModelSpec
from trimtab.models.machine import (
    other_load,
    peak_memory,
    peak_memory_of_child,
    read_clock,
    usable_cores,
)
from trimtab.runs.store.formats import present
from trimtab.runs.usage.progress import Progress
from trimtab.runs.usage.stages import note_phase

FILE = "usage.jsonl"
_log = logging.getLogger(__name__)


class UsageMeter:
    """A progress that passes everything on, and measures each phase from start to finish."""

    def __init__(self, inner: Progress, attempt: int, path: Path) -> None:
        """Pass on to ``inner``; records go to ``path``, which must not exist."""
        self._inner, self._attempt, self._path = inner, attempt, path
        self._cores = usable_cores()
        self._writer: SegmentWriter | None = None
        self._phase: str | None = None

    def start(self, phase: str, total: int, done: int) -> None:
        """Begin to measure ``phase``; one that is open ends unfinished.

        The manifest beside the records learns of it if there is something to do.
        """
        self._end(finished=False)
        if done < total:
            self._note(phase.partition(" ")[0])
        self._phase, self._rows, self._tokens = phase, 0, 0
        self._models: list[ModelSpec] = []
        self._threads: int | None = None
        self._began = read_clock(self._cores)
        self._inner.start(phase, total, done)

    def advance(self, rows: int, tokens: int) -> None:
        """Count finished rows and their tokens."""
        self._rows += rows
        self._tokens += tokens
        self._inner.advance(rows, tokens)

    def note(self, line: str) -> None:
        """Pass a remark on."""
        self._inner.note(line)

    def finish(self) -> None:
        """End the phase."""
        self._inner.finish()
        self._end(finished=True)

    def using(self, spec: ModelSpec, threads: int) -> None:
        """Note that the phase runs a model, ``spec`` resolved, with this many threads."""
        if self._phase is not None:
            self._models.append(spec)
            self._threads = threads

    def __enter__(self) -> UsageMeter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._phase is not None:  # a bar that nobody ends leaves the terminal without a cursor
            self._inner.finish()
        self._end(finished=False)
        if self._writer is not None:
            self._writer.close()

    def _end(self, *, finished: bool) -> None:
        if self._phase is None:
            return
        phase, self._phase = self._phase, None
        if finished and not self._rows:
            return  # nothing was owed
        now, peak = read_clock(self._cores), peak_memory()
        peak = None if peak is None else max(peak, peak_memory_of_child())
        load = other_load(self._began, now)
        self._write(
            Usage(
                attempt=self._attempt,
                phase=phase,
                finished=finished,
                seconds=round(now.time - self._began.time, 3),
                rows=self._rows,
                tokens=self._tokens,
                threads=self._threads,
                other_load=None if load is None else round(load, 3),
                peak_memory_mib=None if peak is None else round(peak / 2**20, 1),
                device=_joined([spec.device for spec in self._models]),
                dtype=_joined([spec.dtype for spec in self._models]),
            )
        )

    def _note(self, phase: str) -> None:
        try:
            note_phase(self._path.parent, phase)
        except StoreError as error:
            _log.warning("that %s begins is not recorded: %s", phase, error)

    def _write(self, record: Usage) -> None:
        try:
            if self._writer is None:
                self._writer = SegmentWriter(self._path)
            self._writer.append([record])
        except StoreError as error:
            self._writer = None
            _log.warning("the usage of %s is not recorded: %s", record.phase, error)


def usage_file(run_dir: Path, attempt: int) -> Path:
    """Return where an attempt's records go."""
    return run_dir / "attempts" / f"{attempt:04d}" / FILE


def read(run_dir: Path) -> list[Usage]:
    """Return the records of all attempts, in order; torn and damaged lines are left out."""
    return [
        record
        for path in sorted((run_dir / "attempts").glob("*"))
        for path in [present(path, FILE)]
        if path.is_file()
        for record in read_lines(path, Usage)
    ]


def speed_line(records: Sequence[Usage]) -> str:
    """Return one line on one attempt: what each phase took, on what, and what else was running.

    Judges of the same name (energies of several kinds) are one phase here.
    """
    seconds_of: dict[str, float] = {}
    speed_of: dict[str, str] = {}
    for record in records:
        seconds_of[record.phase] = seconds_of.get(record.phase, 0.0) + record.seconds
        if record.tokens_per_second is not None:
            speed_of[record.phase] = f", {record.tokens_per_second:,.0f} tokens/s"
    parts = [
        f"{phase} {seconds:,.1f} s{speed_of.get(phase, '')}"
        for phase, seconds in seconds_of.items()
    ]
    ran = next((r for r in records if r.device is not None), None)
    if ran is not None:
        parts.append(f"{ran.device} {ran.dtype}, threads: {ran.threads}")
    loads = [(r.other_load, r.seconds) for r in records if r.other_load is not None]
    seconds = sum(s for _, s in loads)
    if seconds > 0:
        parts.append(f"other load {sum(x * s for x, s in loads) / seconds:.1f} cores")
    peaks = [r.peak_memory_mib for r in records if r.peak_memory_mib is not None]
    if peaks:
        parts.append(f"peak memory {max(peaks):,.0f} MiB")
    return "speed: " + "; ".join(parts)


def disturbance(records: Sequence[Usage]) -> str | None:
    """Return the line that says which times are not to be quoted; None if all are good."""
    busiest: dict[str, float] = {}
    for record in records:
        if record.disturbed and record.other_load is not None:
            busiest[record.phase] = max(busiest.get(record.phase, 0.0), record.other_load)
    if not busiest:
        return None
    phases = [f"{phase} ({cores:.1f} cores)" for phase, cores in busiest.items()]
    return (
        f"Other processes were busy during {', '.join(phases)}: these times are not to be quoted, "
        "the run may have been several times slower than on a quiet machine. Results are the same."
    )


def _joined(names: Sequence[str]) -> str | None:
    return ", ".join(dict.fromkeys(names)) or None
