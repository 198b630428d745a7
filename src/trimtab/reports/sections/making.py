"""How the records were made: what they cost, on which machine, under which code."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.reports.data.source import LoadLike, SpendLike, StageLike
from trimtab.reports.draw.format import DASH
from trimtab.reports.draw.tables import Table


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


def spending_table(accounts: Sequence[SpendLike]) -> Table:
    """Return a row per judge that asked an API, and their sum."""
    rows: list[tuple[str, ...]] = [
        (
            account.name,
            f"{account.requests:,}",
            f"{account.replies:,}",
            f"{account.dollars:.4f}",
            f"{account.unsure:.4f}",
            _number(account.cap, ".2f"),
        )
        for account in accounts
    ]
    if len(accounts) > 1:
        sums = (sum(a.requests for a in accounts), sum(a.replies for a in accounts))
        dollars = (sum(a.dollars for a in accounts), sum(a.unsure for a in accounts))
        counted = (f"{n:,}" for n in sums)
        rows.append(("all", *counted, *(f"{n:.4f}" for n in dollars), DASH))
    columns = ("judge", "requests", "replies", "dollars", "of them unsure", "cap")
    note = (
        "Dollars: what the provider said it cost, else what its token counts cost. Unsure: of "
        "requests that may have been billed and brought neither (no reply, a malformed one, a "
        "process that was killed); their worst case is counted. A reply that was paid for is kept, "
        "and never asked for again."
    )
    return Table("spending", "Spent on APIs", columns, tuple(rows), note)


def stage_table(stages: Sequence[StageLike]) -> Table:
    """Return a row per phase and state: its attempts, code, libraries and machine."""
    rows = []
    for stage in stages:
        state = stage.state
        code, packages = state["code"], state.get("packages", {})
        machine = state.get("machine", {})
        runs_on = [*machine.get("gpus", ()), *filter(None, [machine.get("cpu")])]
        commit = code.get("commit")
        rows.append(
            (
                stage.phase,
                ", ".join(map(str, stage.attempts)) or "this one",
                f"{code['version']}, source {code['source']}",
                (commit[:12] + (" + changes" if code.get("dirty") else "")) if commit else DASH,
                *(packages.get(name) or DASH for name in _LIBRARIES),
                ", ".join(runs_on) or DASH,
                _number(machine.get("threads"), "d"),
            )
        )
    columns = ("phase", "attempts", "trimtab", "commit", *_LIBRARIES, "machine", "threads")
    note = (
        "What each phase was done with; more is in `attempts/*/manifest.json`. Where phases differ "
        "in what may change results, the notes at the top say so."
    )
    return Table("stages", "Code and environment", columns, tuple(rows), note)


_LIBRARIES = ("python", "torch", "transformers")


def _number(value: float | None, form: str) -> str:
    return DASH if value is None else format(value, form)
