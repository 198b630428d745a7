"""How the records were made: what they cost, on which machine, under which code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trimtab.core.report import Spend, Stage, Usage
from trimtab.reports.data.content import Content
from trimtab.reports.data.run import RunData
from trimtab.reports.draw.format import DASH
from trimtab.reports.draw.tables import Table
from trimtab.reports.draw.values import Cell, Value
from trimtab.reports.sections.base import NoConfig, Section, View

__all__ = ["Making"]

_LIBRARIES = ("python", "torch", "transformers")


class MakingContent(Content):
    """How many records there are on spending, phases and their load; never in a summary."""

    spending: int
    stages: int
    usage: int


class Making(Section[NoConfig, MakingContent]):
    """The end of a report: nothing here is a function of the run's results."""

    Config = NoConfig
    part = "making"
    order = 200
    kept = False

    def read(self, run: RunData) -> MakingContent | None:
        """Return how many records there are; None without any."""
        made = run.making
        if not (made.spending or made.stages or made.usage):
            return None
        return MakingContent(
            spending=len(made.spending), stages=len(made.stages), usage=len(made.usage)
        )

    def tables(self, view: View[MakingContent]) -> Sequence[Table]:
        """Return what was spent, code and machine of each phase, and its speed."""
        made = view.run.making
        tables = (spending_table(made.spending), stage_table(made.stages), usage_table(made.usage))
        return [table for table in tables if table.rows]


def usage_table(phases: Sequence[Usage]) -> Table:
    """Return a row per phase and attempt, and which times are not to be quoted."""
    rows = tuple(
        (
            f"{phase.phase}, attempt {phase.attempt}" + ("" if phase.finished else ", stopped"),
            *(Value(phase.rows, form=",d"), Value(phase.seconds, form=",.1f")),
            Value(phase.tokens_per_second, form=",.0f"),
            DASH if phase.device is None else f"{phase.device}, {phase.dtype}",
            *(Value(phase.threads, form="d"), Value(phase.other_load, form=".2f")),
            Value(phase.peak_memory_mib, form=",.0f"),
        )
        for phase in phases
    )
    columns = ("phase", "rows", "seconds", "tokens/s", "on", "threads", "other load, cores")
    note = (
        "Other load: cores that other processes kept busy on average. Peak memory: of the process, "
        "since its start. A phase that was killed has no row."
    )
    disturbed = [f"{phase.phase} (attempt {phase.attempt})" for phase in phases if phase.disturbed]
    if disturbed:
        note += (
            f" Not to be quoted: the times of {', '.join(disturbed)}. Other processes were busy, "
            "and they may be several times those of a quiet machine."
        )
    return Table("speed", "Speed and load", (*columns, "peak memory, MiB"), rows, note)


def spending_table(accounts: Sequence[Spend]) -> Table:
    """Return a row per judge that asked an API, and their sum."""
    rows: list[tuple[Cell, ...]] = [
        _spent(account.name, account.requests, account.replies, account.dollars, account.unsure,
               account.cap)
        for account in accounts
    ]  # fmt: skip
    if len(accounts) > 1:
        requests, replies = sum(a.requests for a in accounts), sum(a.replies for a in accounts)
        dollars, unsure = sum(a.dollars for a in accounts), sum(a.unsure for a in accounts)
        rows.append(_spent("all", requests, replies, dollars, unsure, None))
    columns = ("judge", "requests", "replies", "dollars", "of them unsure", "cap")
    note = (
        "Dollars: what the provider said it cost, else what its token counts cost. Unsure: of "
        "requests that may have been billed and brought neither (no reply, a malformed one, a "
        "process that was killed); their worst case is counted. A reply that was paid for is kept, "
        "and never asked for again."
    )
    return Table("spending", "Spent on APIs", columns, tuple(rows), note)


def _spent(
    name: str, requests: int, replies: int, dollars: float, unsure: float, cap: float | None
) -> tuple[Cell, ...]:
    return (
        name,
        *(Value(requests, form=",d"), Value(replies, form=",d")),
        *(Value(dollars, form=".4f"), Value(unsure, form=".4f"), Value(cap, form=".2f")),
    )


def stage_table(stages: Sequence[Stage]) -> Table:
    """Return a row per phase and state: its attempts, code, libraries and machine."""
    columns = ("phase", "attempts", "trimtab", "commit", *_LIBRARIES, "machine", "threads")
    note = (
        "What each phase was done with; more is in `attempts/*/manifest.json`. Where phases differ "
        "in what may change results, the notes at the top say so."
    )
    rows = tuple(_stage(stage) for stage in stages)
    return Table("stages", "Code and environment", columns, rows, note)


def _stage(stage: Stage) -> tuple[Cell, ...]:
    state: dict[str, Any] = stage.state
    code, packages, machine = state["code"], state.get("packages", {}), state.get("machine", {})
    runs_on = [*machine.get("gpus", ()), *filter(None, [machine.get("cpu")])]
    commit = code.get("commit")
    changes = " + changes" if code.get("dirty") else ""
    return (
        stage.phase,
        ", ".join(map(str, stage.attempts)) or "this one",
        f"{code['version']}, source {code['source']}",
        f"{commit[:12]}{changes}" if commit else DASH,
        *(packages.get(name) or DASH for name in _LIBRARIES),
        ", ".join(runs_on) or DASH,
        Value(machine.get("threads"), form="d"),
    )
