"""An sshd of a test's own on loopback, with a throwaway key, whose connections can be cut."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


def missing() -> str | None:
    """Return what this machine lacks; None if all is there."""
    absent = [name for name in ("ssh", "ssh-keygen", "rsync") if shutil.which(name) is None]
    absent += [] if _sshd() else ["sshd"]
    if absent:
        return f"no {', '.join(absent)} here (Debian: openssh-server, rsync)"
    return None if os.geteuid() == 0 else "an sshd for one's own user needs root here"


@dataclass
class Sshd:
    """A server that runs.

    Attributes:
        port: Where it listens.
        options: Words for ssh that let it in.
        pid: Of the process that listens; each connection is a child of it.
        cut: How many connections were cut.
    """

    port: int
    options: list[str]
    pid: int
    cut: int = 0

    def cut_connections(self) -> int:
        """Kill the processes of all connections; return how many there were."""
        found = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[1]) == self.pid:
                    os.kill(int(path.parent.name), signal.SIGKILL)
                    found += 1
        self.cut += found
        return found


@contextmanager
def sshd() -> Iterator[Sshd]:
    """Run a server for root with a key of its own."""
    with tempfile.TemporaryDirectory(prefix="trimtab-sshd-") as name:
        folder = Path(name)
        for key in ("host", "user"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
            subprocess.run(command, check=True)
        (folder / "authorized").write_text((folder / "user.pub").read_text())
        (folder / "authorized").chmod(0o600)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\n"
            f"AuthorizedKeysFile {folder / 'authorized'}\nStrictModes no\nUsePAM no\n"
            f"PidFile {folder / 'pid'}\nPermitRootLogin prohibit-password\n"
            "PasswordAuthentication no\nMaxStartups 100\n"
        )
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # where it shuts its helpers in
        # its session of its own: what a test starts through it outlives connections, and not it
        process = subprocess.Popen(
            [str(_sshd()), "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(port)
            options = ["-i", str(folder / "user"), "-o", "StrictHostKeyChecking=no"]
            options += ["-o", f"UserKnownHostsFile={folder / 'known'}", "-o", "LogLevel=ERROR"]
            yield Sshd(port, options, process.pid)
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < end, "sshd does not listen"
        time.sleep(0.05)


def _sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
