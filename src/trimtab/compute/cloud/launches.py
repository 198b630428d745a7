"""A machine is launched: written down, ordered once, found again, and made ready.

An order is sent a second time only where the first certainly had no effect. Where that is not
certain the provider's list tells, by the name that no other machine ever has. A machine that costs
more than was shown, or a second one of the name, is ended at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trimtab.compute.cloud.endings import end, end_unusable, with_tag
from trimtab.compute.cloud.errors import RefusedError, UnansweredError, UncertainError
from trimtab.compute.cloud.ledger import Ledger, Record
from trimtab.compute.cloud.machine import Reach
from trimtab.compute.cloud.money import Offer
from trimtab.compute.cloud.providers.base import Instance, Order, Provider
from trimtab.compute.cloud.settings import fingerprint
from trimtab.compute.ssh.link import LostError
from trimtab.core.errors import ConfigError, StoreError, TrimtabError
from trimtab.runs.store.processes import Process

Tell = Callable[[str], None]

_FIRST_LOOK_S, _LOOK_S = 2.0, 10.0
_LOOKS = 12
_CENT = 0.005


def order_of(record: Record, now: float) -> Order:
    """Return what a provider is asked for."""
    return Order(
        tag=record.tag,
        type=record.type,
        region=record.region,
        dollars_per_hour=record.dollars_per_hour,
        seconds=record.deadline - now,
    )


def intend(ledger: Ledger, offer: Offer, config: dict[str, Any], provider: Provider[Any]) -> Record:
    """Write down what is about to be ordered, and return it.

    Args:
        ledger: Where.
        offer: What was confirmed.
        config: The provider's name and configuration.
        provider: The same, built.

    Raises:
        ConfigError: The environment holds no key.
        StoreError: It can't be written down.
    """
    now = provider.clock.now()
    deadline = now + offer.seconds
    record = Record(
        tag=ledger.new_tag(deadline),
        provider=config,
        account=fingerprint(config, provider),
        type=offer.type.name,
        region=offer.region,
        dollars_per_hour=offer.type.dollars_per_hour,
        dollars=offer.dollars,
        hours=offer.hours,
        start=now,
        deadline=deadline,
        owner=Process.current(),
    )
    ledger.begin(record)
    return record


def launch(ledger: Ledger, provider: Provider[Any], record: Record, tell: Tell) -> Record:
    """Order what was written down, and return it with its id.

    Raises:
        RefusedError: There is none: the provider refused.
        ConfigError: There is none: the key is refused, or the provider's program is not here.
        StoreError: It is not known whether there is one, or it costs more than was shown and was
            ended; the message says which.
    """
    try:
        id_: str | None = provider.launch(order_of(record, provider.clock.now()))
    except (RefusedError, ConfigError):
        ledger.note(record.tag, ended=provider.clock.now(), why="the provider refused")
        raise
    except UncertainError as error:
        tell(f"{error.message} The provider's list tells whether it was launched.")
        id_ = None
    if id_ is not None:
        record = ledger.note(record.tag, id=id_)
    found = _settle(ledger, provider, record)
    if found is None:
        if id_ is not None:  # its list is behind: `wait` looks again
            return record
        raise StoreError(
            f"Nobody can say whether {record.tag} was launched: it was not listed for "
            f"{_LOOK_S * _LOOKS / 60:.0f} minutes.",
            hint="`trimtab cloud reap` ends it should it appear; launch another one after that.",
        )
    return ledger.note(record.tag, id=found.id)


def _settle(ledger: Ledger, provider: Provider[Any], record: Record) -> Instance | None:
    """Return the one machine of the name, when it is listed; end others, and one too expensive."""
    for _ in range(_LOOKS):
        ledger.beat(record.tag, provider.clock.now())
        try:
            found = with_tag(provider, record.tag)
        except UnansweredError:
            found = []
        if found:
            kept = next((each for each in found if each.id == record.id), found[0])
            _check_price(ledger, provider, record, found)
            surplus = [each.id for each in found if each is not kept]
            if surplus:
                end(provider, surplus)
            return kept
        provider.clock.sleep(_LOOK_S)
    return None


def _check_price(
    ledger: Ledger, provider: Provider[Any], record: Record, found: list[Instance]
) -> None:
    prices = [each.dollars_per_hour for each in found if each.dollars_per_hour is not None]
    if max(prices, default=0.0) > record.dollars_per_hour + _CENT:
        end(provider, [each.id for each in found])
        ledger.note(record.tag, ended=provider.clock.now(), why="it cost more than was shown")
        raise StoreError(
            f"{record.tag} costs ${max(prices):.2f} an hour, and ${record.dollars_per_hour:.2f} "
            "was shown; it was ended.",
            hint="Launch again: the price is shown anew.",
        )


def wait(
    ledger: Ledger,
    provider: Provider[Any],
    reach: Reach,
    record: Record,
    boot_minutes: float,
    tell: Tell,
) -> Record:
    """Wait until a machine is there, set its deadline on it, and prepare it; else end it.

    Args:
        ledger: The ledger.
        provider: Whose it is.
        reach: How it is reached.
        record: The machine.
        boot_minutes: How long that may take from now on.
        tell: Told what a person should know.

    Raises:
        StoreError: It never came, or could not be prepared; it was ended, if that could be, as it
            is where anything else is raised.
    """
    clock = provider.clock
    fault: Exception | None = None
    until = min(clock.now() + 60 * boot_minutes, record.deadline)
    reason, pause = "it is not listed", _FIRST_LOOK_S
    while clock.now() < until:
        ledger.beat(record.tag, clock.now())
        try:
            instance = _the_one(provider, record)
            reason = _look_at(instance, record)
            if not reason and instance is not None and instance.address is not None:
                reach.prepare(record, instance.address, record.deadline - clock.now())
                return ledger.note(record.tag, id=instance.id, address=instance.address)
        except (UnansweredError, LostError) as error:
            reason = error.message
        except TrimtabError as error:
            reason = error.message
            break
        except Exception as error:  # whatever it is: what nobody can use is charged
            reason, fault = repr(error), error
            break
        clock.sleep(pause)
        pause = min(2 * pause, _LOOK_S)
    tell(f"{record.tag} is not usable, and is ended: {reason}")
    if end_unusable(provider, ledger.read(record.tag), tell):
        ledger.note(record.tag, ended=clock.now(), why=f"not usable: {reason}"[:300])
    if fault is not None:
        raise fault
    raise StoreError(f"{record.tag} could not be used: {reason}")


def _the_one(provider: Provider[Any], record: Record) -> Instance | None:
    """Return the machine of the name; end all others of that name."""
    found = with_tag(provider, record.tag)
    kept = next((each for each in found if each.id == record.id), found[0] if found else None)
    surplus = [each.id for each in found if each is not kept]
    if surplus:
        end(provider, surplus)
    return kept


def _look_at(instance: Instance | None, record: Record) -> str:
    """Return why a machine can't be used yet; empty if it can."""
    if instance is None:
        return "it is not listed"
    if instance.state != "active" or instance.address is None:
        return f"it is {instance.state}"
    if instance.auto_stop is False:
        raise StoreError("the provider did not set its auto-stop.")
    price = instance.dollars_per_hour
    if price is not None and price > record.dollars_per_hour + _CENT:
        raise StoreError(f"it costs ${price:.2f} an hour, more than was shown.")
    return ""
