"""``cloud types``, ``launch`` and ``wait``: prices, a typed confirmation, and what follows it."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from trimtab.cli.cloud import Cloud, dollars, hours
from trimtab.cli.terminal import complain, say, wide_console
from trimtab.compute.cloud import launches
from trimtab.compute.cloud.ledger import Record
from trimtab.compute.cloud.money import Offer, make_offer, require_caps
from trimtab.compute.cloud.providers.base import MachineType, Order
from trimtab.core import stopping
from trimtab.core.errors import ConfigError, StoreError

_HALF_A_CENT = 0.005
_KEEPER_S, _MOST_KEEPER_S, _LOOK_S = 180.0, 600.0, 0.1
_TELL_S = 10.0
# A keeper looks every 5 minutes, and fetches and ends what it finds before it looks again.
_LATELY_S = 900.0


def types(settings: Path | None) -> None:
    """Print the kinds of machine that can be rented."""
    table = Table()
    for column in ("machine", "$/hour", "GPUs", "GiB each", "CPUs", "GiB", "regions now"):
        table.add_column(column)
    for each in Cloud.read(settings).provider.types():
        gpus = f"{each.gpus} {each.gpu}" if each.gpus else ""
        sizes = [_number(size) for size in (each.gpu_memory_gib, each.cpus, each.memory_gib)]
        where = ", ".join(each.regions) or "none"
        table.add_row(each.name, f"{each.dollars_per_hour:.2f}", gpus, *sizes, where)
    wide_console().print(table)


def launch(
    settings: Path | None,
    name: str,
    region: str | None,
    max_usd: float,
    max_hours: float | None,
    yes_spend: float | None,
    *,
    dry_run: bool,
    waits: bool,
    keeper: bool,
) -> None:
    """Show a price, have it confirmed, launch a machine, and wait until it is ready."""
    require_caps(max_usd, max_hours)
    cloud = Cloud.read(settings)
    provider = cloud.provider
    offer = make_offer(provider.types(), name, region, max_usd, max_hours)
    _show(offer)
    if dry_run:
        order = Order("trimtab-...", name, offer.region, offer.type.dollars_per_hour, offer.seconds)
        say(f"{provider.describe(order)}\nNothing was launched.")
        return
    _confirm(offer, yes_spend)
    # what was confirmed is what is ordered: a price may have changed while somebody thought
    again = make_offer(provider.types(), name, offer.region, max_usd, max_hours)
    if again.type.dollars_per_hour != offer.type.dollars_per_hour:
        raise ConfigError(
            f"The price of {name} is {dollars(again.type.dollars_per_hour)} an hour now; nothing "
            "was launched.",
            hint="Give the command again.",
        )
    record = launches.intend(cloud.ledger, offer, cloud.settings.provider, provider)
    begun = stopping.going_on_with(f"trimtab cloud reap (it ends {record.tag}, if it is there)")
    with begun, _named(cloud, record):
        if keeper:
            _start_keeper(cloud, record)
        record = launches.launch(cloud.ledger, provider, record, complain)
    say(f"{record.tag} is launched ({record.id}).")
    if waits:
        _wait(cloud, record)
    else:
        say(f"`trimtab cloud wait {record.tag}` sets its deadline on it: give that soon.")


def wait(settings: Path | None, name: str | None) -> None:
    """Wait until a machine is ready; what can't be used is ended."""
    cloud = Cloud.read(settings)
    record = cloud.ledger.find(name)
    if record.ended is not None:
        raise ConfigError(f"{record.tag} has ended: {record.why}.")
    _wait(cloud, record)


def _start_keeper(cloud: Cloud, record: Record) -> None:
    """Start a process that ends what should not be there, and that outlives this one.

    Raises:
        StoreError: None can list the provider's machines; what was to be ordered is closed.
    """
    log = cloud.ledger.folder / "keeper.log"
    begun = cloud.provider.clock.now()
    command = [sys.executable, "-m", "trimtab", "cloud", "reap", "--every", "5m", *cloud.words]
    try:
        with log.open("ab") as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        _await_listing(cloud, process, begun, _most_wait(record), log)
    except BaseException as error:
        cloud.ledger.note(record.tag, ended=record.start, why="it was never ordered")
        if isinstance(error, OSError):
            raise StoreError(f"{log} can't be written: {error.strerror}.") from None
        raise
    say(f"A process here looks every 5 minutes whether machines should end; its log: {log}")


def _most_wait(record: Record) -> float:
    """Return for how many seconds at most a keeper is waited for: its machine is paid for so far.

    The first list of a provider's own program may take minutes.
    """
    return max(_KEEPER_S, min(_MOST_KEEPER_S, 0.1 * (record.deadline - record.start)))


def _await_listing(
    cloud: Cloud, process: subprocess.Popen[bytes], begun: float, most: float, log: Path
) -> None:
    """Wait until the machines are listed by a process, or by the one because of which it ended.

    That one may be on another computer with the same home: what it wrote lately counts.

    Raises:
        StoreError: The process failed, or nobody listed the machines in time.
    """
    start, told = time.monotonic(), False
    while True:
        code = process.poll()
        since = begun - _LATELY_S if code == 0 else begun
        if cloud.keeper.last_listing() >= since:
            return
        waited = time.monotonic() - start
        if code or waited > most:
            raise StoreError(
                "No process here could list the provider's machines to end them in time, so "
                f"none was launched; its log: {log}"
            )
        if waited > _TELL_S and not told:
            told = True
            say(
                "waiting until the process that ends machines in time has listed the provider's "
                f"({most / 60:.0f} minutes at most); its log: {log}"
            )
        time.sleep(_LOOK_S)


def _wait(cloud: Cloud, record: Record) -> None:
    provider = cloud.provider
    with stopping.going_on_with(f"trimtab cloud wait {record.tag}"), _named(cloud, record):
        record = launches.wait(
            cloud.ledger, provider, cloud.reach, record, cloud.settings.boot_minutes, complain
        )
    left = (record.deadline - provider.clock.now()) / 3600
    say(f"{record.tag} is ready at {record.address}, and shuts itself down in {hours(left)}.")
    if not provider.shutdown_ends_bill:
        say(
            "note: a machine that was shut down is charged until it is terminated: `trimtab cloud "
            "terminate` or `reap` does that"
        )


@contextmanager
def _named(cloud: Cloud, record: Record) -> Iterator[None]:
    """Where the block fails, name a machine that may be there: it is charged."""
    try:
        yield
    except Exception:
        ended = {each.tag for each in cloud.ledger.records() if each.ended is not None}
        if record.tag not in ended:
            complain(
                f"{record.tag} may be there, and is charged then: `trimtab cloud terminate "
                f"{record.tag}` ends it."
            )
        raise


def _show(offer: Offer) -> None:
    kind = offer.type
    say(f"{kind.name} in {offer.region}: {dollars(kind.dollars_per_hour)} an hour{_size(kind)}")
    end = offer.hours - offer.margin_hours
    say(
        f"at most {dollars(offer.dollars)}: {hours(offer.hours)} are paid for, and it is ended "
        f"after {hours(end)} at the latest"
    )


def _size(kind: MachineType) -> str:
    memory = "" if kind.gpu_memory_gib is None else f" of {kind.gpu_memory_gib:g} GiB"
    gpus = [f"{kind.gpus} {kind.gpu}{memory}"] if kind.gpus else []
    rest = [] if kind.memory_gib is None else [f"{kind.memory_gib:g} GiB"]
    return f" ({', '.join([*gpus, *rest])})" if gpus or rest else ""


def _number(size: float | None) -> str:
    return "" if size is None else f"{size:g}"


def _confirm(offer: Offer, yes_spend: float | None) -> None:
    """Return if what it may cost was confirmed; raise ConfigError if not."""
    figure = f"{offer.dollars:.2f}"
    if yes_spend is not None:
        if not offer.dollars - _HALF_A_CENT <= yes_spend < math.inf:
            raise ConfigError(
                f"--yes-spend {yes_spend:g} does not cover the {dollars(offer.dollars)} that this "
                "may cost; nothing was launched."
            )
        return
    if not sys.stdin.isatty():
        raise ConfigError(
            "Nobody can confirm this here; nothing was launched.",
            hint=f"In a script, give --yes-spend {figure}.",
        )
    say(f"Type {figure} to launch it:")
    if sys.stdin.readline().strip().removeprefix("$") != figure:
        raise ConfigError("That is not the figure; nothing was launched.")
