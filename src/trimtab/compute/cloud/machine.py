"""A rented machine over ssh: its deadline is set on it, and verified; it is prepared and asked."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from trimtab.compute.cloud.ledger import Ledger, Record
from trimtab.compute.cloud.providers.base import Provider
from trimtab.compute.cloud.settings import Machine, build
from trimtab.compute.ssh.hosts import Host
from trimtab.compute.ssh.link import Link
from trimtab.compute.ssh.transfers import RemoteCopy
from trimtab.core.errors import ConfigError, StoreError, TrimtabError
from trimtab.core.spec import Spec

_SILENCE_S = 600.0

# The shell's own name marks the process, so that what is verified is this timer and no other.
_SET = """
mkdir -p {folder} || exit 1
file={folder}/{mark}.pid
if [ -f "$file" ]; then kill "$(cat "$file")" 2>/dev/null; fi
setsid nohup sh -c 'sleep "$1"; shift; exec "$@"' {mark} {seconds} {command} \
    </dev/null >/dev/null 2>&1 &
echo $! >"$file"
"""
_SEE = """
pid=$(cat {folder}/{mark}.pid) && kill -0 "$pid" && tr '\\0' ' ' <"/proc/$pid/cmdline"
"""


class Reach(Protocol):
    """What is done on machines; tests bring one without any."""

    def prepare(self, record: Record, address: str, seconds: float) -> None:
        """Set a machine's deadline, verify it, and run the commands that prepare it.

        Raises:
            LostError: ssh does not reach it, yet or any more.
            StoreError: The deadline can't be set or verified, or a command failed.
        """

    def is_working(self, record: Record) -> bool:
        """Return whether workers give signs of life there; raise as ``prepare`` does."""


class SshReach:
    """Implements ``Reach`` with the system's own ssh."""

    def __init__(self, ledger: Ledger, machine: Machine) -> None:
        """Reach nothing yet; raise ConfigError if ssh can't be told where the ledger is."""
        self._ledger, self._machine = ledger, machine
        _option(ledger.folder.resolve())

    def host(self, record: Record, address: str | None = None) -> Host:
        """Return how ssh reaches a machine.

        Raises:
            StoreError: Its address is not known.
        """
        address = address or record.address
        if address is None:
            raise StoreError(
                f"{record.tag} is not ready.", hint=f"`trimtab cloud wait {record.tag}` waits."
            )
        keys = _option(self._ledger.known_hosts(record.tag).resolve())
        trusted = ("-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={keys}")
        provider: Provider[Spec] = build(record.provider)
        plain = self._machine.model_dump(exclude={"setup", "shutdown"})
        host = provider.host(address, Host.model_validate(plain))
        # the first value of an option counts for ssh: the user's own come first
        return host.model_copy(update={"options": (*host.options, *trusted)})

    def prepare(self, record: Record, address: str, seconds: float) -> None:
        """Set a machine's deadline, verify it, and run the commands that prepare it."""
        host = self.host(record, address)
        shell = Link(host.model_copy(update={"command": ("sh",)}))
        mark = f"deadline-{record.tag}"
        about = {"folder": _quoted(host.folder), "mark": mark}
        command = shlex.join(self._machine.shutdown)
        shell.ask("-c", _SET.format(**about, seconds=max(1, int(seconds)), command=command))
        seen = shell.ask("-c", _SEE.format(**about))
        if mark not in seen or self._machine.shutdown[-1] not in seen:
            raise StoreError(f"{record.tag}: the deadline is not set on the machine.")
        if self._machine.setup:
            # whole before any of it runs, so that no command reads the lines that follow it
            text = "\n".join(("{", "set -e", *self._machine.setup, "} </dev/null", ""))
            shell.ask("-s", text=text)
        Link(host).ask("--version")

    def is_working(self, record: Record) -> bool:
        """Return whether workers give signs of life there."""
        for run_dir in record.copies:
            standing = self.noted_copy(record, run_dir).look()
            if standing.running and standing.silence < _SILENCE_S:
                return True
        return False

    def copy(self, record: Record, run_dir: Path) -> RemoteCopy:
        """Return a run's copy on a machine; raise StoreError if its address is not known."""
        return RemoteCopy.of(run_dir, self.host(record))

    def noted_copy(self, record: Record, run_dir: str) -> RemoteCopy:
        """Return a copy that a record names; the run here may be gone. Errors as `copy`."""
        there = record.copies[run_dir].there
        return RemoteCopy.at(Path(run_dir), self.host(record), there)

    def words(self, record: Record, more: Sequence[str]) -> list[str]:
        """Return the command that logs in, or that runs ``more`` there."""
        host = self.host(record)
        port = [] if host.port is None else ["-p", str(host.port)]
        return ["ssh", *port, *host.options, host.address, *([shlex.join(more)] if more else [])]


def fetch_copies(ledger: Ledger, reach: SshReach, record: Record, now: float) -> list[str]:
    """Fetch what every copy on a machine has; return what failed, a line each."""
    failed = []
    for name, copy in record.copies.items():
        try:
            reach.noted_copy(record, name).fetch(Path(name))
            ledger.note_copy(record.tag, Path(name), copy.model_copy(update={"fetched": now}))
        except TrimtabError as error:
            failed.append(f"{name}: {error.message}")
    return failed


def _option(path: Path) -> str:
    """Return a path as the value of one of ssh's options, which is split, and expanded.

    Raises:
        ConfigError: ssh has no way to write it.
    """
    text = str(path)
    if not text.isprintable() or "${" in text:
        raise ConfigError(
            f"ssh can't be told of the path {text!r}.",
            hint="Set TRIMTAB_HOME to a folder without control characters and `${` in its path.",
        )
    for char, written in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%")):
        text = text.replace(char, written)
    return f'"{text}"'


def _quoted(folder: str) -> str:
    """Return a folder for a shell; a tilde stands for the home directory there."""
    return folder if folder == "~" else shlex.quote(folder)
