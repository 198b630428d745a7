"""A SLURM cluster of a test's own on loopback: two virtual nodes, fake GPUs.

Each node has a host name of its own, so that a worker can't see whether one on another node lives.
It keeps no accounts unless it is asked to, see ``slurm_accounts``.
"""

import os
import secrets
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import slurm_accounts
from slurm_accounts import program

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
NODES = ("n1", "n2")


def missing(*, accounts: bool = False) -> str | None:
    """Return what a cluster, or one with accounts, lacks on this machine; None if all is there."""
    if absent := [name for name in _PROGRAMS if program(name) is None]:
        return f"SLURM is not installed here (Debian: slurm-wlm, munge): no {', '.join(absent)}"
    if accounts and (absent := slurm_accounts.absent()):
        packages = "Debian: slurmdbd, mariadb-server"
        return f"SLURM's accounts are not installed here ({packages}): no {', '.join(absent)}"
    return None if os.geteuid() == 0 else "a SLURM of one's own is started by root alone"


@dataclass
class Cluster:
    """The daemons of a cluster.

    Attributes:
        root: Where everything is.
        daemons: The daemons, by name; those of the nodes have the nodes' names.
    """

    root: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def conf(self) -> Path:
        """Return the configuration, which clients find by ``SLURM_CONF``."""
        return self.root / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of clients."""
        return {**os.environ, "SLURM_CONF": str(self.conf)}

    def start(self, name: str) -> None:
        """Start a daemon: ``munged``, ``slurmctld``, one of the accounts or that of a node."""
        command = self._command(name)
        with (self.root / "log" / f"{name}.out").open("ab") as out:
            self.daemons[name] = subprocess.Popen(
                command,
                env=self.environment | slurm_accounts.environment(self.root),
                stdout=out,
                stderr=out,
                cwd=self.root,
            )

    def kill(self, name: str) -> None:
        """SIGKILL a daemon; what it started lives on."""
        self.daemons[name].kill()
        self.daemons[name].wait()

    def lose(self, node: str) -> None:
        """SIGKILL the daemon of a node and everything that it runs, as if its power was cut."""
        self.kill(node)
        while processes := self._processes(node):
            for process in processes:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.05)

    def _processes(self, node: str) -> list[int]:
        """Return the tasks on a node and those that watch over them."""
        wanted = {f"SLURM_CONF={self.conf}".encode(), f"SLURMD_NODENAME={node}".encode()}
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                    stat = (folder / "stat").read_text().rpartition(")")[2].split()
                    if stat[0] == "Z":
                        continue
                    found.add(int(folder.name))
                    if Path("/proc", stat[1], "comm").read_text().startswith("slurmstepd"):
                        found.add(int(stat[1]))
            except OSError:
                continue
        return sorted(found)

    def _command(self, name: str) -> list[str]:
        root = self.root
        if name == "munged":
            key = ["--key-file", str(root / "munge.key"), "--socket", str(root / "munge.sock")]
            files = ["--pid-file", str(root / "munged.pid"), "--seed-file", str(root / "seed")]
            options = ["--foreground", "--force", *key, *files, "--num-threads=2"]
            return [str(program(name)), *options]
        if name in slurm_accounts.DAEMONS:
            return slurm_accounts.command(name, root)
        if name == "slurmctld":
            return [str(program(name)), "-D"]
        node = [str(program("slurmd")), "-D", "-N", name]
        named = ["unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "sh"]
        return [*named, *node] if _names_hosts() else node


@contextmanager
def cluster(*, accounts: bool = False) -> Iterator[Cluster]:
    """Run a cluster, with ``accounts`` one whose database keeps what its jobs did.

    Partition ``main``, the default, preempts jobs of ``low``, which get 20 seconds to end.
    """
    with tempfile.TemporaryDirectory(prefix="trimtab-slurm-") as name:
        one = Cluster(Path(name))
        _configure(one.root, accounts=accounts)
        try:
            one.start("munged")
            _wait_for(lambda: (one.root / "munge.sock").exists(), one.root)
            if accounts:
                _open_accounts(one)
            for daemon in ("slurmctld", *NODES):
                one.start(daemon)
            _wait_for(lambda: states(one) == {"idle"}, one.root)
            yield one
        finally:
            _cancel_all(one.environment)
            for process in reversed(one.daemons.values()):
                process.terminate()
            for process in reversed(one.daemons.values()):
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _open_accounts(one: Cluster) -> None:
    slurm_accounts.make_database(one.root)
    one.start("mariadbd")
    _wait_for(lambda: slurm_accounts.database_answers(one.root), one.root)
    one.start("slurmdbd")
    _wait_for(lambda: slurm_accounts.name_cluster(one.environment), one.root)


def states(one: Cluster) -> set[str]:
    """Return the states of the nodes; none if the controller does not answer."""
    done = subprocess.run(
        ["sinfo", "-h", "-N", "-o", "%T"], env=one.environment, capture_output=True, text=True
    )
    return set(done.stdout.split()) if done.returncode == 0 else set()


def wait_until(condition, seconds: float = 60.0, what: str = "") -> None:
    """Wait until ``condition()`` holds; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what or condition}"
        time.sleep(0.05)


def _configure(root: Path, *, accounts: bool) -> None:
    for folder in ("log", "state", *(f"state/{node}" for node in NODES)):
        (root / folder).mkdir()
    key = root / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    control, database, *ports = _free_ports(2 + len(NODES))
    storage = ["AccountingStorageType=accounting_storage/none"]
    if accounts:
        storage = slurm_accounts.configure(root, database, _host())
    gpus = [_fake_gpus(root / "dev" / node) for node in NODES]
    gres = "Gres=gpu:2" if all(gpus) else ""
    nodes = [
        f"NodeName={node} NodeHostname={_host()} NodeAddr=127.0.0.1 Port={port} CPUs=2 "
        f"RealMemory=8000 {gres} State=UNKNOWN"
        for node, port in zip(NODES, ports, strict=True)
    ]
    conf = root / "slurm.conf"
    conf.write_text("\n".join([*_settings(root, control), *storage, *nodes, *_PARTITIONS, ""]))
    if gres:
        lines = [f"NodeName={node} Name=gpu File={root}/dev/{node}/nvidia[0-1]\n" for node in NODES]
        (root / "gres.conf").write_text("".join(lines))


_PARTITIONS = (
    "PartitionName=main Nodes=n[1-2] Default=YES MaxTime=01:00:00 PriorityTier=10 "
    "PreemptMode=OFF State=UP",
    "PartitionName=low Nodes=n[1-2] MaxTime=01:00:00 PriorityTier=1 GraceTime=20 "
    "PreemptMode=REQUEUE State=UP",
)


def _settings(root: Path, port: int) -> list[str]:
    return [
        f"ClusterName={slurm_accounts.CLUSTER}",
        f"SlurmctldHost={_host()}(127.0.0.1)",
        "SlurmUser=root",
        "SlurmdUser=root",
        "AuthType=auth/munge",
        # how long a credential lives is also how long a requeued job is held
        f"AuthInfo=socket={root}/munge.sock,cred_expire=5",
        f"SlurmctldPort={port}",
        f"SlurmctldPidFile={root}/slurmctld.pid",
        f"SlurmdPidFile={root}/slurmd-%n.pid",
        f"SlurmctldLogFile={root}/log/slurmctld.log",
        f"SlurmdLogFile={root}/log/slurmd-%n.log",
        f"StateSaveLocation={root}/state",
        f"SlurmdSpoolDir={root}/state/%n",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SwitchType=switch/none",
        "MpiDefault=none",
        "ReturnToService=2",
        "SchedulerType=sched/backfill",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        "JobRequeue=1",
        "SlurmctldParameters=preempt_send_user_signal",
        "JobAcctGatherType=jobacct_gather/linux",  # kills what takes too much, without cgroups
        "JobAcctGatherFrequency=task=1",
        "JobAcctGatherParams=OverMemoryKill",
        "JobCompType=jobcomp/none",
        "KillWait=5",
        "SlurmctldTimeout=30",
        "SlurmdTimeout=8",
        "MinJobAge=300",
        "InactiveLimit=0",
        "SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1",
        "GresTypes=gpu",
    ]


def _fake_gpus(folder: Path) -> bool:
    """Make two device nodes, clones of /dev/null; return whether that is allowed here."""
    folder.mkdir(parents=True)
    try:
        for number in range(2):
            os.mknod(folder / f"nvidia{number}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError:
        return False
    return True


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _free_ports(number: int) -> list[int]:
    taken = [socket.socket() for _ in range(number)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def _names_hosts() -> bool:
    """Return whether a process may have a host name of its own here."""
    done = subprocess.run(["unshare", "--uts", "true"], capture_output=True, check=False)
    return done.returncode == 0


def _cancel_all(environment: dict[str, str]) -> None:
    """End what jobs still run: their processes would outlive the nodes."""
    subprocess.run(["scancel", "--user=root"], env=environment, capture_output=True, timeout=30)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        done = subprocess.run(["squeue", "-h"], env=environment, capture_output=True, text=True)
        if not done.stdout.strip():
            return
        time.sleep(0.2)


def _wait_for(condition, root: Path) -> None:
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            logs = [path.read_text(errors="replace")[-800:] for path in root.glob("log/*")]
            raise AssertionError("SLURM did not start:\n" + "\n".join(logs))
        time.sleep(0.05)
