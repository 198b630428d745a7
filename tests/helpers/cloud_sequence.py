"""A user who rents machines while everything fails, on a clock that a test moves.

One sequence: launch, wait, use, end or forget, each of which may be killed at any of its calls, at
a provider whose calls fail as they are drawn. A keeper reaps every five minutes of the clock, as
``cloud reap --every 5m`` does, also while the user's own command waits.
"""

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from loopback_lambda import FAULTS, KEY, Lambda, loopback_lambda

from trimtab.compute.cloud import launches
from trimtab.compute.cloud.clock import Clock
from trimtab.compute.cloud.endings import end_record
from trimtab.compute.cloud.keeper import next_look
from trimtab.compute.cloud.ledger import Copy, Ledger, Record
from trimtab.compute.cloud.money import make_offer
from trimtab.compute.cloud.providers.base import PROVIDERS, Order, Provider
from trimtab.compute.cloud.reaper import Reaper
from trimtab.compute.ssh.link import LostError
from trimtab.core.errors import StoreError, TrimtabError

KEEPER_S = 300.0
BOOT_MINUTES, IDLE_MINUTES = 20.0, 30.0
_START = 1.8e9
_TIMEOUT_S = 0.1
# how often a kind of call may fail in a row; more would outlast any margin
_LONGEST = {"launch": 3, "list": 8, "terminate": 5}


class Killed(BaseException):
    """The user's process was killed."""


class Time:
    """A clock whose sleeps take no time, and during which the keeper works."""

    def __init__(self) -> None:
        self.at = _START
        self.tick = _START
        self.keeper = None
        self.kill_after: int | None = None
        self._inside = False

    def now(self) -> float:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass; the user may be killed, and the keeper looks when it is due."""
        if self._inside:
            self.at += seconds
            return
        self.count()
        until = self.at + seconds
        while self.keeper is not None and self.tick <= until:
            self.at = max(self.at, self.tick)
            self._inside = True
            try:
                self.tick = self.at + self.keeper()
            finally:
                self._inside = False
        self.at = max(self.at, until)

    def count(self) -> None:
        """Count one call of the user's process, and kill it if that was to be its last one."""
        if self.kill_after is not None and not self._inside:
            self.kill_after -= 1
            if self.kill_after < 0:
                self.kill_after = None
                raise Killed


@dataclass
class Machines:
    """Implements ``Reach`` for machines that are not there.

    Attributes:
        time: The clock.
        lost: How often ssh fails before it works.
        broken: Whether the deadline can't be verified.
        busy_until: Until when workers give signs of life.
    """

    time: Time
    lost: int = 0
    broken: bool = False
    busy_until: float = 0.0
    deadlines: dict[str, float] = field(default_factory=dict)

    def prepare(self, record: Record, address: str, seconds: float) -> None:
        self.time.count()
        self._reach()
        if self.broken:
            raise StoreError("the deadline is not set on the machine.")
        self.deadlines[record.tag] = self.time.now() + seconds

    def is_working(self, record: Record) -> bool:
        self._reach()
        return self.time.now() < self.busy_until

    def _reach(self) -> None:
        self.lost -= 1
        if self.lost >= 0:
            raise LostError("no route to host")


@dataclass
class Outcome:
    """What became of a sequence.

    Attributes:
        problems: What must not be; empty if all is well.
        met: Faults that were met, and what else happened.
        dollars: What all machines cost.
    """

    problems: list[str]
    met: Counter
    dollars: float


def play(seed: int, folder: Path) -> Outcome:
    """Play one sequence, and return what does not hold after it."""
    rng, clock = random.Random(seed), Time()
    with loopback_lambda(
        now=clock.now, pass_time=clock.advance, boot_s=rng.choice((0, 60, 300)), hang_s=0.15
    ) as server:
        scene = Scene(rng, clock, server, Ledger(folder / "cloud"), Machines(clock))
        scene.fetch_s = 60.0 * (seed % 2)
        scene.play()
        return scene.outcome()


class Scene:
    """One sequence."""

    def __init__(
        self, rng: random.Random, clock: Time, server: Lambda, ledger: Ledger, machines: Machines
    ) -> None:
        self.rng, self.clock, self.server = rng, clock, server
        self.ledger, self.machines = ledger, machines
        self.config = {"name": "lambda", "ssh_key": "mine", "base_url": server.url}
        self.config["timeout_s"] = _TIMEOUT_S
        self.met: Counter = Counter()
        self.fetched: set[str] = set()
        self.told: list[str] = []
        self.fetch_s = 0.0
        self.reaper = Reaper(
            ledger, machines, BOOT_MINUTES, IDLE_MINUTES, self._fetch, self.told.append, self._make
        )
        clock.keeper = self._keep

    def play(self) -> None:
        """Rent one to three machines, then let the keeper see to what is left."""
        for _ in range(self.rng.randint(1, 3)):
            self._draw_faults()
            self.machines.lost = self.rng.choice((0, 0, 2, 500))
            self.machines.broken = self.rng.random() < 0.1
            if self.rng.random() < 0.6:
                self.clock.kill_after = self.rng.choice((*range(6), self.rng.randint(6, 40)))
            try:
                self._use()
            except Killed:
                self.met["kill -9"] += 1
                self._bury()
            except TrimtabError as error:
                self.met[type(error).__name__] += 1
            self.clock.kill_after = None
            self.clock.sleep(self.rng.choice((0, 900, 7200)))
        for _ in range(400):
            if not self.server.alive() and not self.ledger.open_records():
                break
            self.clock.sleep(KEEPER_S)

    def rent(self, provider: Provider, hours: float, run_dir: Path) -> Record:
        """Return a machine that is there, with a copy of a run."""
        offer = make_offer(provider.types(), "gpu_1x_a10", None, 0.75 * hours, None)
        record = launches.intend(self.ledger, offer, self.config, provider)
        record = launches.launch(self.ledger, provider, record, self.told.append)
        record = launches.wait(
            self.ledger, provider, self.machines, record, BOOT_MINUTES, self.told.append
        )
        return self.ledger.note_copy(record.tag, run_dir, Copy(there="there"))

    def outcome(self) -> Outcome:
        """Return what does not hold."""
        problems = [f"{each.name} survives" for each in self.server.alive()]
        problems += [f"{each.tag} is open in the ledger" for each in self.ledger.open_records()]
        records = {record.tag: record for record in self.ledger.records()}
        for tag in {each.name for each in self.server.rented}:
            cost, most = self.server.dollars(tag), records[tag].dollars if tag in records else 0.0
            if cost > most:
                problems.append(f"{tag} cost {cost:.3f} and not {most:.3f}")
        for record in records.values():
            late = any(line.startswith(f"{record.tag}: nothing is fetched") for line in self.told)
            if record.address is not None and record.tag not in self.fetched and not late:
                problems.append(f"{record.tag} was ended, and nothing of it fetched")
        files = [path.read_text() for path in self.ledger.folder.glob("*")]
        problems += ["the key is in a file"] * any(KEY in text for text in files)
        met = self.met + self.server.met
        return Outcome(problems, met, sum(map(self.server.dollars, records)))

    def _use(self) -> None:
        provider = self._make(self.config)
        self.clock.count()
        hours = self.rng.choice((0.5, 1.0, 3.0))
        self.clock.tick = self.clock.now()  # a launch starts a keeper
        offer = make_offer(provider.types(), "gpu_1x_a10", None, 0.75 * hours, None)
        record = launches.intend(self.ledger, offer, self.config, provider)
        self.clock.count()
        record = launches.launch(self.ledger, provider, record, lambda line: None)
        self.clock.count()
        record = launches.wait(
            self.ledger, provider, self.machines, record, BOOT_MINUTES, lambda line: None
        )
        self.machines.busy_until = self.clock.now() + 3600 * self.rng.choice((0, 0.5, 2, 9))
        self.ledger.note_copy(record.tag, Path("run"), Copy(there="there"))
        for _ in range(self.rng.choice((0, 3, 30))):
            self.clock.sleep(120)
            self.ledger.beat(record.tag, self.clock.now())
        if self.rng.random() < 0.5:
            self.met["terminate by the user"] += 1
            self._fetch(record, 60.0)
            end_record(provider, record)
            self.clock.count()
            self.ledger.note(record.tag, ended=self.clock.now(), why="by command")

    def _keep(self) -> float:
        """Reap, and return in how many seconds to do so again."""
        with suppress(TrimtabError):
            self.reaper.reap()
        return next_look(self.ledger.records(), self.clock.now(), KEEPER_S) or KEEPER_S

    def _bury(self) -> None:
        """Let what was killed be dead: in a test, the process that launched lives on."""
        for record in self.ledger.open_records():
            owner = record.owner.model_copy(update={"start": 1})
            self.ledger.note(record.tag, owner=owner.model_dump(mode="json"))

    def _fetch(self, record: Record, seconds: float) -> None:
        self.clock.advance(min(seconds, self.fetch_s))
        if not any(each.name == record.tag for each in self.server.alive()):
            self.met["fetch after the end"] += 1
            return
        self.fetched.add(record.tag)

    def _make(self, config: dict) -> Provider:
        given = {key: value for key, value in config.items() if key != "name"}
        provider = PROVIDERS.build(config["name"], given)
        provider.clock = Clock(self.clock.now, self.clock.sleep)
        order = provider.launch

        def launch(what: Order) -> str:
            """The user may die when the order is written down, and when it took effect."""
            self.clock.count()
            id_ = order(what)
            self.clock.count()
            return id_

        provider.launch = launch
        return provider

    def _draw_faults(self) -> None:
        for kind, faults in FAULTS.items():
            queue = self.server.faults[kind]
            queue.clear()
            for _ in range(self.rng.randint(0, 4)):
                queue += [None] * self.rng.randint(0, 1 if kind == "launch" else 6)
                fault = self.rng.choice(faults)
                number = 1 if kind == "launch" else self.rng.randint(1, _LONGEST[kind])
                queue += [fault] * number
                queue += [] if kind == "launch" else [None]
