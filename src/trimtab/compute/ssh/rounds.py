"""Hosts work on copies of a run, each on its share of the units, round after round.

In a round what each host has is fetched, and it is given the run as it is here. It does of its
share what is ready, and what it has done is fetched every few minutes, verified and merged. What
waits for another host's share is done in a later round. The truth stands in the run here: a host
that is lost, or this process, costs what was not fetched, and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.compute.ssh.hosts import Host, Hosts
from trimtab.compute.ssh.link import LostError
from trimtab.compute.ssh.state import Standing
from trimtab.compute.ssh.transfers import RemoteCopy
from trimtab.core.errors import JudgeError, StoreError
from trimtab.core.stopping import LEFT

_SILENCE_S = 120.0
_FIRST_WAIT_S, _MOST_WAIT_S = 1.0, 60.0
_LOOK_S = 15.0
_ATTEMPTS = 1000


@dataclass
class _Member:
    """A host, and what is known of it."""

    copy: RemoteCopy
    share: int
    working: bool = True
    lost_since: float | None = None
    wait_s: float = _FIRST_WAIT_S
    next_look: float = 0.0
    next_fetch: float = 0.0
    told_silence: bool = False

    @property
    def host(self) -> Host:
        return self.copy.host


@dataclass(frozen=True)
class Work:
    """What hosts are told.

    Attributes:
        run_dir: The run.
        hosts: The file of hosts.
        options: Returns what each start is told, besides its share; may raise what ends the work.
        owed: Returns how much is owed that hosts can do; 0 is nothing.
        tell: Told what a person should know, a line each.
        check: Raises HeldError if another process took this work over; asked before each step.
    """

    run_dir: Path
    hosts: Hosts
    options: Callable[[], Sequence[str]]
    owed: Callable[[], int]
    tell: Callable[[str], None]
    check: Callable[[], None]
    first_attempt: list[int] = field(default_factory=lambda: [0])


def work(task: Work) -> None:
    """Have the hosts do what is owed.

    Raises:
        HeldError: Another process took this over.
        StoreError: No host can be reached for long, or a whole round brought nothing.
        ConfigError: A host has no trimtab, or other code.
        JudgeError: A judge fails on the hosts.
    """
    members = [_Member(RemoteCopy.of(task.run_dir, host), 0) for host in task.hosts.hosts]
    while before := task.owed():
        alive = [member for member in members if not _is_given_up(task, member)]
        if not alive:
            raise StoreError(
                "No host could be reached for "
                f"{task.hosts.patience_minutes:g} minutes; what was fetched counts.",
                hint="Give the same command again when they are there.",
            )
        ends = _round(task, alive)
        failed = [end for end in ends if end.code not in (0, LEFT)]
        if task.owed() == before and len(ends) == len(alive):
            said = next((end.line for end in failed if end.line), "what is left can't be done")
            kind = JudgeError if any(e.code == JudgeError.exit_code for e in failed) else StoreError
            raise kind(f"The hosts came no further: {said}")


def _is_given_up(task: Work, member: _Member) -> bool:
    since = member.lost_since
    return since is not None and time.monotonic() - since > 60 * task.hosts.patience_minutes


def _round(task: Work, members: Sequence[_Member]) -> list[Standing]:
    """Start every host that has no workers, and follow all to their end; return how they ended."""
    for index, member in enumerate(members):
        member.share, member.working = index, False
        member.next_look = member.next_fetch = 0.0
    first = max(_last_attempt(task.run_dir), task.first_attempt[0]) // _ATTEMPTS + 1
    task.first_attempt[0] = (first + len(members)) * _ATTEMPTS
    ends: list[Standing] = []
    open_members = list(members)
    while open_members:
        for member in list(open_members):
            if _is_given_up(task, member):
                task.tell(f"{member.host.address} is given up for now.")
                open_members.remove(member)
            elif time.monotonic() >= member.next_look:
                attempt = (first + member.share) * _ATTEMPTS
                end = _step(task, member, len(members), attempt)
                if end is not None:
                    ends.append(end)
                    open_members.remove(member)
        time.sleep(0.1)
    return ends


def _step(task: Work, member: _Member, number: int, attempt: int) -> Standing | None:
    """Start a host's workers, or look at them; return how they ended, if they have."""
    task.check()
    try:
        standing: Standing | None = member.copy.look()
        assert standing is not None
        if not standing.running and not member.working:
            _start(task, member, number, attempt)
            standing = None
        else:
            if not member.working:
                task.tell(f"{member.host.address}: workers are there already; they are followed")
            member.working = True
            _watch(task, member, standing)
            due = time.monotonic() >= member.next_fetch
            if not standing.running or due:
                _fetch(task, member)
                member.next_fetch = time.monotonic() + 60 * task.hosts.fetch_minutes
    except LostError as error:
        _lose(task, member, error)
        return None
    if member.lost_since is not None:
        task.tell(f"{member.host.address} is there again.")
    member.lost_since, member.wait_s = None, _FIRST_WAIT_S
    member.next_look = time.monotonic() + min(_LOOK_S, 60 * task.hosts.fetch_minutes)
    return None if standing is None or standing.running else standing


def _start(task: Work, member: _Member, number: int, attempt: int) -> None:
    """Copy the run to a host, and start its workers, which go on without a connection."""
    _tell_fetched(task, member, member.copy.push(task.run_dir))
    task.check()  # copying takes long
    words = ["--share", f"{member.share}/{number}", "--workers", member.host.workers]
    words += ["--attempts-from", str(attempt), *task.options()]
    member.copy.start(*words)
    member.working = True
    task.tell(f"{member.host.address}: started; the run is in {member.copy.there}")
    member.next_fetch = time.monotonic() + 60 * task.hosts.fetch_minutes


def _watch(task: Work, member: _Member, standing: Standing) -> None:
    silent = standing.running and standing.silence > _SILENCE_S
    if silent and not member.told_silence:
        task.tell(
            f"{member.host.address}: its workers gave no sign of life for {standing.silence:.0f} s"
        )
    member.told_silence = silent


def _fetch(task: Work, member: _Member) -> None:
    _tell_fetched(task, member, member.copy.fetch(task.run_dir))


def _tell_fetched(task: Work, member: _Member, taken: int) -> None:
    if taken:
        task.tell(f"{member.host.address}: {taken} files fetched, {task.owed()} rows owed")


def _lose(task: Work, member: _Member, error: LostError) -> None:
    if member.lost_since is None:
        task.tell(f"{error.message}; trying again")
        member.lost_since = time.monotonic()
    member.next_look = time.monotonic() + member.wait_s
    member.wait_s = min(2 * member.wait_s, _MOST_WAIT_S)


def _last_attempt(run_dir: Path) -> int:
    names = [path.name for path in (run_dir / "attempts").glob("[0-9]*")]
    return max((int(name) for name in names if name.isdigit()), default=0)
