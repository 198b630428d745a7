"""A SLURM cluster of a test's own on loopback: two virtual nodes, fake GPUs, no accounting."""

import os
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
_NODES = ("n1", "n2")


def missing() -> str | None:
    """Return what a cluster lacks on this machine; None if all is there."""
    absent = [name for name in _PROGRAMS if _program(name) is None]
    if absent:
        return f"SLURM is not installed here (Debian: slurm-wlm, munge): no {', '.join(absent)}"
    return None if os.geteuid() == 0 else "a SLURM of one's own is started by root alone"


@contextmanager
def cluster() -> Iterator[Path]:
    """Run a cluster; yield its configuration, which clients find by ``SLURM_CONF``.

    Partition ``main``, the default, preempts jobs of ``low``, which get 5 seconds to end.
    """
    with tempfile.TemporaryDirectory(prefix="trimtab-slurm-") as name:
        root = Path(name)
        conf = _configure(root)
        environment = {**os.environ, "SLURM_CONF": str(conf)}
        started: list[subprocess.Popen[bytes]] = []

        def start(program: str, *arguments: str) -> None:
            command = [str(_program(program)), *arguments]
            with (root / "log" / f"{program}.out").open("ab") as out:
                started.append(
                    subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=root)
                )

        try:
            key = ("--key-file", str(root / "munge.key"), "--socket", str(root / "munge.sock"))
            files = ("--pid-file", str(root / "munged.pid"), "--seed-file", str(root / "seed"))
            start("munged", "--foreground", "--force", *key, *files, "--num-threads=2")
            _wait_for(lambda: (root / "munge.sock").exists(), root)
            start("slurmctld", "-D", "-c")
            for node in _NODES:
                start("slurmd", "-D", "-N", node)
            _wait_for(lambda: _states(environment) == {"idle"}, root)
            yield conf
        finally:
            _cancel_all(environment)
            for process in reversed(started):
                process.terminate()
            for process in reversed(started):
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def wait_until(condition, seconds: float = 60.0, what: str = "") -> None:
    """Wait until ``condition()`` holds; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what or condition}"
        time.sleep(0.05)


def _program(name: str) -> str | None:
    """Return the path of a program; a user's PATH need not have those of administrators."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _configure(root: Path) -> Path:
    for folder in ("log", "state", *(f"state/{node}" for node in _NODES)):
        (root / folder).mkdir()
    key = root / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    control, *ports = _free_ports(1 + len(_NODES))
    gpus = [_fake_gpus(root / "dev" / node) for node in _NODES]
    gres = "Gres=gpu:2" if all(gpus) else ""
    nodes = [
        f"NodeName={node} NodeHostname={_host()} NodeAddr=127.0.0.1 Port={port} CPUs=2 "
        f"RealMemory=8000 {gres} State=UNKNOWN"
        for node, port in zip(_NODES, ports, strict=True)
    ]
    conf = root / "slurm.conf"
    conf.write_text("\n".join([*_settings(root, control), *nodes, *_PARTITIONS, ""]))
    if gres:
        lines = [
            f"NodeName={node} Name=gpu File={root}/dev/{node}/nvidia[0-1]\n" for node in _NODES
        ]
        (root / "gres.conf").write_text("".join(lines))
    return conf


_PARTITIONS = (
    "PartitionName=main Nodes=n[1-2] Default=YES MaxTime=01:00:00 PriorityTier=10 "
    "PreemptMode=OFF State=UP",
    "PartitionName=low Nodes=n[1-2] MaxTime=01:00:00 PriorityTier=1 GraceTime=20 "
    "PreemptMode=REQUEUE State=UP",
)


def _settings(root: Path, port: int) -> list[str]:
    return [
        "ClusterName=test",
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
        "JobAcctGatherType=jobacct_gather/none",
        "AccountingStorageType=accounting_storage/none",
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


def _states(environment: dict[str, str]) -> set[str]:
    done = subprocess.run(
        ["sinfo", "-h", "-N", "-o", "%T"], env=environment, capture_output=True, text=True
    )
    return set(done.stdout.split()) if done.returncode == 0 else set()


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
