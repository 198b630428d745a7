"""What ssh and rsync, the system's own, are asked. Nothing of a run is known here."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from trimtab.compute.ssh.hosts import Host
from trimtab.core.errors import ConfigError, StoreError

_SSH_LOST = 255
_RSYNC_LOST = (10, 12, 30, 35, 255)
_NO_COMMAND = 127
_SECONDS_OF_SILENCE = 60
_OPTIONS = (
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15",
    "-o", "ServerAliveCountMax=3",
)  # fmt: skip


class LostError(StoreError):
    """The connection to a host could not be made, or broke."""


class Link:
    """A host, reached anew for each call."""

    def __init__(self, host: Host) -> None:
        """Reach nothing yet."""
        self.host = host
        port = () if host.port is None else ("-p", str(host.port))
        self._ssh = ("ssh", *_OPTIONS, *port, *host.options)

    def ask(self, *words: str, text: str = "") -> str:
        """Call trimtab on the host and return what it says.

        Args:
            words: What it is asked; every process of both machines can see them.
            text: What it can read from its standard input, which nobody else sees.

        Raises:
            LostError: The connection could not be made, or broke.
            ConfigError: There is no such command there, or ssh is not on this machine.
            StoreError: The command failed; the message is what it said.
        """
        remote = shlex.join([*self.host.command, *words])
        done = _call([*self._ssh, self.host.address, remote], text)
        if done.returncode == _SSH_LOST:
            raise self._lost(done)
        if done.returncode == _NO_COMMAND:
            raise ConfigError(
                f"{self.host.address} has no {self.host.command[0]!r}: {_last(done.stderr)}.",
                hint="Install trimtab there, or name it by `command` in the hosts file.",
            )
        if done.returncode:
            raise StoreError(
                f"{self.host.address}: {_last(done.stderr or done.stdout).removeprefix('error: ')}"
            )
        return done.stdout

    def push(self, folder: Path, there: str, exclude: Sequence[str]) -> None:
        """Copy what is in a folder into one of the host; raise as ``ask`` does.

        The files take their places when all have arrived: a connection that breaks leaves there
        what was there, and not rows that were replaced beside scores of the old ones.
        """
        target = f"{self.host.address}:{there}/"
        self._copy(f"{folder.resolve()}/", target, exclude, "--delay-updates")

    def fetch(self, there: str, folder: Path, exclude: Sequence[str]) -> None:
        """Copy what is in a folder of the host into one here; raise as ``ask`` does."""
        self._copy(f"{self.host.address}:{there}/", f"{folder.resolve()}/", exclude)

    def _copy(self, source: str, target: str, exclude: Sequence[str], *more: str) -> None:
        out = [f"--exclude={pattern}" for pattern in exclude]
        command = ["rsync", "-a", "-s", "--partial-dir=.rsync-partial", *more, *out]
        command += [f"--timeout={_SECONDS_OF_SILENCE}", "-e", shlex.join(self._ssh), source, target]
        done = _call(command)
        if done.returncode in _RSYNC_LOST:
            raise self._lost(done)
        # 24: a file went away while it was copied, as half written ones do; sums tell the rest
        if done.returncode not in (0, 24):
            raise StoreError(f"rsync with {self.host.address} failed: {_last(done.stderr)}")

    def _lost(self, done: subprocess.CompletedProcess[str]) -> LostError:
        return LostError(
            f"{self.host.address} can't be reached: {_last(done.stderr) or 'no reason given'}"
        )


def _call(command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise ConfigError(
            f"There is no {command[0]} on this machine.", hint="Install it: runs are copied by it."
        ) from None


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
