"""What the run cost and how quiet the machine was: the one table that is not about results."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports._format import DASH
from trimtab.reports._source import LoadLike
from trimtab.reports.tables import Table


def speed_table(loads: Sequence[LoadLike]) -> Table:
    """Return a row per phase and attempt, and which times are not to be quoted."""
    rows = []
    for load in loads:
        where = DASH if load.device is None else f"{load.device}, {load.dtype}"
        rows.append(
            (
                f"{load.phase}, attempt {load.attempt}" + ("" if load.finished else ", stopped"),
                f"{load.rows:,}",
                f"{load.seconds:,.1f}",
                _number(load.tokens_per_second, ",.0f"),
                where,
                _number(load.threads, "d"),
                _number(load.other_load, ".2f"),
                _number(load.peak_memory_mib, ",.0f"),
            )
        )
    columns = ("phase", "rows", "seconds", "tokens/s", "on", "threads", "other load, cores")
    note = (
        "Other load: cores that other processes kept busy on average. Peak memory: of the process, "
        "since its start. A phase that was killed has no row."
    )
    disturbed = [f"{load.phase} (attempt {load.attempt})" for load in loads if load.disturbed]
    if disturbed:
        note += (
            f" Not to be quoted: the times of {', '.join(disturbed)}. Other processes were busy, "
            "and they may be several times those of a quiet machine."
        )
    return Table("speed", "Speed and load", (*columns, "peak memory, MiB"), tuple(rows), note)


def _number(value: float | None, form: str) -> str:
    return DASH if value is None else format(value, form)
