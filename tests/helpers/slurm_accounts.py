"""The accounts of a SLURM of a test's own: slurmdbd, and a MariaDB that listens on a file alone."""

import os
import shutil
import subprocess
from pathlib import Path

CLUSTER = "test"
DAEMONS = ("mariadbd", "slurmdbd")
_PROGRAMS = (*DAEMONS, "mariadb-install-db", "mariadb-admin", "sacct", "sacctmgr")


def program(name: str) -> str | None:
    """Return the path of a program; a user's PATH need not have those of administrators."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def absent() -> list[str]:
    """Return which programs are not on this machine."""
    return [name for name in _PROGRAMS if program(name) is None]


def environment(root: Path) -> dict[str, str]:
    """Return the variables by which slurmdbd finds its database."""
    return {"MYSQL_UNIX_PORT": str(_socket(root))}


def configure(root: Path, port: int, host: str) -> list[str]:
    """Write slurmdbd's settings; return those of the cluster that uses it."""
    munge = root / "munge.sock"
    path = root / "slurmdbd.conf"
    lines = [
        "AuthType=auth/munge",
        f"AuthInfo=socket={munge}",
        f"DbdHost={host}",
        "DbdAddr=127.0.0.1",
        f"DbdPort={port}",
        f"PidFile={root}/slurmdbd.pid",
        f"LogFile={root}/log/slurmdbd.log",
        "SlurmUser=root",
        "StorageType=accounting_storage/mysql",
        "StorageHost=localhost",
        "StorageUser=root",
        "StorageLoc=slurm_acct_db",
    ]
    path.write_text("\n".join([*lines, ""]))
    path.chmod(0o600)
    return [
        "AccountingStorageType=accounting_storage/slurmdbd",
        "AccountingStorageHost=127.0.0.1",
        f"AccountingStoragePort={port}",
        # this link does not read AuthInfo: without it the controller waits for ever
        f"AccountingStoragePass={munge}",
    ]


def make_database(root: Path) -> None:
    """Make an empty database."""
    where = ["--no-defaults", "--user=root", f"--datadir={root}/database"]
    options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    made = [str(program("mariadb-install-db")), *where, *options]
    subprocess.run(made, check=True, capture_output=True, timeout=120)


def command(name: str, root: Path) -> list[str]:
    """Return what starts a daemon in the foreground."""
    if name == "slurmdbd":
        return [str(program(name)), "-D"]
    where = [f"--datadir={root}/database", f"--socket={_socket(root)}"]
    own = ["--user=root", "--skip-networking", f"--pid-file={root}/mariadb.pid"]
    return [str(program(name)), "--no-defaults", *where, *own, "--innodb-buffer-pool-size=64M"]


def database_answers(root: Path) -> bool:
    """Whether the database is there."""
    ask = [str(program("mariadb-admin")), "--no-defaults", f"--socket={_socket(root)}", "ping"]
    return subprocess.run(ask, capture_output=True, timeout=30).returncode == 0


def name_cluster(environment: dict[str, str]) -> bool:
    """Enter the cluster into the accounts; return whether that was possible already."""
    told = ["sacctmgr", "-i", "add", "cluster", CLUSTER]
    done = subprocess.run(told, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode == 0


def _socket(root: Path) -> Path:
    return root / "database.sock"
