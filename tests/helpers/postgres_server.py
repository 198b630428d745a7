"""A PostgreSQL server of a test's own on a loopback port, and why there is none."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

USER, PASSWORD = "me", "s3cret-word"


def missing() -> str | None:
    """Return what a server or its client lacks on this machine; None if all is there."""
    if _programs() is None:
        return "PostgreSQL's server (initdb, pg_ctl) is not installed"
    if find_spec("psycopg") is None:
        return "psycopg, the driver of PostgreSQL, is not installed"
    return None


@contextmanager
def server() -> Iterator[str]:
    """Run a server that wants a password; yield its address with it."""
    programs = _programs()
    assert programs is not None
    # PostgreSQL refuses to run as root, and pytest's folders are closed to other users
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="trimtab-postgres-") as name:
        folder = Path(name)
        secret, data = folder / "password", folder / "data"
        secret.write_text(PASSWORD)
        data.mkdir()
        if user is not None:
            for path in (folder, secret, data):
                shutil.chown(path, user)

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), "-D", str(data), *arguments]
            subprocess.run(command, user=user, check=True, cwd=folder, stdout=subprocess.DEVNULL)

        run("initdb", "-U", USER, "-A", "scram-sha-256", "--pwfile", str(secret), "-N")
        port = _free_port()
        settings = f"-c listen_addresses=127.0.0.1 -c fsync=off -p {port} -k ''"
        run("pg_ctl", "-o", settings, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")


def know_the_password() -> None:
    """Let this process's client know it, as a user's ``PGPASSWORD`` does."""
    os.environ["PGPASSWORD"] = PASSWORD


def _programs() -> Path | None:
    """Return the folder of the server's programs, which Debian leaves out of PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    whole = [f for f in folders if (f / "initdb").exists() and (f / "pg_ctl").exists()]
    return whole[-1] if whole else None


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
