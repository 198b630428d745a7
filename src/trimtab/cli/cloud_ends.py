"""``cloud status``, ``terminate`` and ``reap``: what is there, what it costs, and its end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from rich.table import Table

from trimtab.cli.cloud import Cloud, dollars, hours, used
from trimtab.cli.terminal import complain, say, wide_console
from trimtab.cli.work import parse_duration
from trimtab.compute.cloud.endings import end_record
from trimtab.compute.cloud.ledger import Record, deadline_of
from trimtab.compute.cloud.machine import fetch_copies
from trimtab.compute.cloud.reaper import Reaper
from trimtab.compute.cloud.settings import build
from trimtab.core.errors import HeldError, StoreError, TrimtabError
from trimtab.core.locks import locked

_STOP_S = 60.0


def status(settings: Path | None) -> None:
    """Print the machines that may be there, with what they cost."""
    cloud = Cloud.read(settings)
    records = {record.tag: record for record in cloud.ledger.records()}
    provider = cloud.provider
    listed = {each.tag: each for each in provider.instances() if deadline_of(each.tag) is not None}
    now = provider.clock.now()
    table = Table()
    for column in ("machine", "kind", "state", "$/hour", "so far", "at most", "ends in", "used"):
        table.add_column(column)
    rows = 0
    for tag in dict.fromkeys([*(t for t, r in records.items() if r.ended is None), *listed]):
        record, instance = records.get(tag), listed.get(tag)
        state: str = "not listed" if instance is None else instance.state
        rows += 1
        if record is None:
            left = ((deadline_of(tag) or now) - now) / 3600
            table.add_row(tag, "", f"{state}, of another ledger", "", "", "", hours(left), "")
            continue
        state += "" if record.address else ", not ready"
        state += " although it was ended" if record.ended is not None else ""
        used = f"{hours((now - cloud.ledger.last_beat(tag)) / 3600)} ago"
        table.add_row(
            tag, record.type, state, f"{record.dollars_per_hour:.2f}", dollars(record.cost(now)),
            dollars(record.dollars), hours((record.deadline - now) / 3600), used,
        )  # fmt: skip
    if rows:
        wide_console().print(table)
    else:
        say("No machine is there.")
    spent = sum(record.cost(now) for record in records.values())
    say(f"all machines of this ledger, {len(records)} so far: at most {dollars(spent)}")


def terminate(settings: Path | None, name: str | None, *, force: bool) -> None:
    """End a machine when what it has done is here."""
    cloud = Cloud.read(settings)
    terminate_record(cloud, cloud.ledger.find(name).tag, force=force)


def terminate_record(cloud: Cloud, tag: str, *, force: bool) -> None:
    """Stop workers, fetch what they have done, end a machine, and see that it ended.

    Raises:
        HeldError: Another process ends it, and it is not forced.
        StoreError: Results could not be fetched, and it is not forced; or it did not end.
    """
    with ExitStack() as stack:
        stack.enter_context(used(cloud, cloud.ledger.read(tag)))
        try:
            with suppress(StoreError):  # a full disk here keeps no machine alive
                stack.enter_context(locked(cloud.ledger.end_lock(tag), wait=False))
        except HeldError:
            if not force:
                raise HeldError(
                    f"Another process fetches from {tag}, and ends it.",
                    hint="`trimtab cloud status` tells when it has ended; `--force` ends it all "
                    "the same.",
                ) from None
        _end(cloud, tag, force=force)


def _end(cloud: Cloud, tag: str, *, force: bool) -> None:
    record = cloud.ledger.read(tag)
    provider = build(record.provider)
    if record.ended is None and record.address is not None:
        _stop_workers(cloud, record)
        failed = fetch_copies(cloud.ledger, cloud.reach, record, time.time())
        for line in failed:
            complain(f"not fetched: {line}")
        if failed and not force:
            raise StoreError(
                f"{tag} was not ended: what it has done could not be fetched.",
                hint=f"Try again, or give it up: `trimtab cloud terminate {tag} --force`.",
            )
    end_record(provider, record)
    if record.ended is None:
        record = cloud.ledger.note(tag, ended=provider.clock.now(), why="by command")
    say(f"{tag} has ended; it cost at most {dollars(record.cost(provider.clock.now()))}.")


def reap(settings: Path | None, every: str | None) -> None:
    """End what nobody uses and what is over its time; at one provider again and again, if asked."""
    cloud = Cloud.read(settings)
    pause = parse_duration(every, "--every")
    reaper = Reaper(
        ledger=cloud.ledger,
        reach=cloud.reach,
        boot_minutes=cloud.settings.boot_minutes,
        idle_minutes=cloud.settings.idle_minutes,
        fetch=_fetcher(cloud),
        tell=complain,
    )
    if pause is None:
        number = reaper.reap([cloud.settings.provider])
        say(f"{number} ended; {len(cloud.ledger.open_records())} may be there.")
        return
    try:
        cloud.keeper.keep(reaper, pause)
    except HeldError:
        say("Another process looks at this provider with this key.")


def _fetcher(cloud: Cloud) -> Callable[[Record, float], None]:
    """Return what fetches from a machine for so long and no longer: its time is money."""

    def fetch(record: Record, seconds: float) -> None:
        command = [sys.executable, "-m", "trimtab", "cloud", "fetch", record.tag, *cloud.words]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            complain(f"{record.tag}: fetching took longer than {seconds:.0f} s")
            return
        if done.returncode:
            complain(f"{record.tag}: not all could be fetched")

    return fetch


def _stop_workers(cloud: Cloud, record: Record) -> None:
    """Ask the workers of a machine to end, and wait a little for their last rows."""
    until = time.monotonic() + _STOP_S
    for run_dir in record.copies:
        with suppress(TrimtabError):  # what can't be reached is told when it is fetched
            copy = cloud.reach.noted_copy(record, run_dir)
            if copy.look().running:
                copy.ask("stop")
            while copy.look().running and time.monotonic() < until:
                time.sleep(1)
