"""What SLURM's own commands are asked and told. Nothing of a run is known here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.core.errors import ConfigError, StoreError

_MOST_SECONDS = 60.0
_ENDED = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "COMPLETING", "DEADLINE", "FAILED", "NODE_FAIL",
    "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT",
)  # fmt: skip
_ASKED = ("--job-name=", "--cpus-per-task=", "--mem=", "--time=", "--gres=")
_QUEUE = "%i|%A|%j|%T|%r|%S|%N|%E|%U"


class UnreachableError(StoreError):
    """SLURM's commands are not on this machine, or its controller does not answer."""


@dataclass(frozen=True)
class QueuedJob:
    """What squeue says of a job, or of one element of a job array.

    Attributes:
        id: As people write it, ``12`` or ``12_3``.
        number: The id of this element alone, by which it is cancelled and requeued.
        name: Its name.
        state: In SLURM's words, e.g. ``RUNNING``.
        reason: Why it is pending, in SLURM's words.
        start: When it began or may begin, in the cluster's time; ``N/A`` if that is not known.
        node: Where it runs.
        dependency: What it waits for, as it was asked for.
        user: Number of the user whose it is.
    """

    id: str
    number: str
    name: str
    state: str
    reason: str
    start: str
    node: str
    dependency: str
    user: str


@dataclass(frozen=True)
class EndedJob:
    """What sacct says of a job, or of one element of a job array, that has ended.

    Attributes:
        id: As people write it.
        state: In SLURM's words.
        code: Exit code and signal, ``1:0``.
        starts: How often it was started.
    """

    id: str
    state: str
    code: str
    starts: int


def test_only(script: str) -> str:
    """Return what SLURM says of a script, without submitting it: when and where it would start.

    Raises:
        ConfigError: SLURM refuses it.
        UnreachableError: SLURM can't be asked.
    """
    done = _call(["sbatch", "--test-only"], script)
    if done.returncode:
        raise _refused(done, script)
    return _said(done)


def submit(script: str, after: Sequence[str]) -> str:
    """Submit a script, which begins when the jobs ``after`` have ended, and return the job's id.

    Raises:
        ConfigError: SLURM refuses it.
        UnreachableError: SLURM can't be asked.
    """
    # how they end does not matter: what is done stands on the disk, and nowhere else
    waits = [f"--dependency=afterany:{':'.join(after)}"] if after else []
    done = _call(["sbatch", "--parsable", "--kill-on-invalid-dep=yes", *waits], script)
    if done.returncode:
        raise _refused(done, script)
    return done.stdout.strip().partition(";")[0]


def queued(names: Sequence[str]) -> list[QueuedJob]:
    """Return the jobs of these names that wait or run, those of other users included.

    Raises:
        UnreachableError: SLURM can't be asked.
    """
    done = _call(["squeue", "-h", "-r", f"--name={','.join(names)}", "-o", _QUEUE])
    if done.returncode:
        raise UnreachableError(f"squeue failed: {_said(done)}.", hint="Try again later.")
    rows = [line.split("|") for line in done.stdout.splitlines() if line.count("|") == 8]
    return [job for job in (QueuedJob(*row) for row in rows) if job.state not in _ENDED]


def ended(jobs: Sequence[str]) -> list[EndedJob] | None:
    """Return what is known of jobs and their elements that ended; None without accounting."""
    try:
        done = _call(
            ["sacct", "-n", "-P", "-X", "-D", "-j", ",".join(jobs), "-o", "JobID,State,ExitCode"]
        )
    except UnreachableError:
        return None
    if done.returncode:
        return None
    found: dict[str, EndedJob] = {}
    for line in done.stdout.splitlines():
        if line.count("|") == 2:
            job, state, code = line.split("|")
            starts = found[job].starts + 1 if job in found else 1
            found[job] = EndedJob(job, state.partition(" ")[0], code, starts)
    return [job for job in found.values() if job.state in _ENDED]


def cancel(numbers: Sequence[str]) -> None:
    """Cancel jobs by their numbers.

    Raises:
        StoreError: SLURM refuses, or can't be asked.
    """
    done = _call(["scancel", *numbers])
    if done.returncode:
        raise StoreError(f"scancel failed: {_said(done)}.", hint="Jobs of others are theirs.")


def is_running(number: str) -> bool:
    """Return whether a job runs and nobody has ended it yet."""
    done = _call(["squeue", "-h", "-j", number, "-o", "%T"])
    return done.returncode == 0 and done.stdout.strip() == "RUNNING"


def requeue(number: str) -> str | None:
    """Have a job end now and begin anew later; return why that can't be, None if it can."""
    done = _call(["scontrol", "requeue", number])
    return _said(done) or "scontrol gave no reason" if done.returncode else None


def send(number: str, signal: str) -> str | None:
    """Send a signal to the tasks of a job, not to its script; return why that can't be."""
    done = _call(["scancel", f"--signal={signal}", number])
    return _said(done) or "scancel gave no reason" if done.returncode else None


def _call(command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C"}
    # formats of a user's own would be taken for those that are asked for here
    for name in ("SQUEUE_FORMAT", "SQUEUE_FORMAT2", "SACCT_FORMAT", "SLURM_TIME_FORMAT"):
        environment.pop(name, None)
    try:
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=_MOST_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise UnreachableError(
            f"There is no {command[0]} on this machine.",
            hint="Jobs are submitted from a login node of a SLURM cluster.",
        ) from None
    except subprocess.TimeoutExpired:
        raise UnreachableError(
            f"{command[0]} gave no answer within {_MOST_SECONDS:.0f} seconds.",
            hint="The controller of the cluster may be down; try again later.",
        ) from None


def _refused(done: subprocess.CompletedProcess[str], script: str) -> ConfigError | UnreachableError:
    said = _said(done)
    if "contact slurm controller" in said.lower():
        return UnreachableError(f"sbatch failed: {said}.", hint="Try again later.")
    asked = " ".join(word for word in script.split() if word.startswith(_ASKED))
    return ConfigError(
        f"SLURM refuses the job: {said}. It asked for {asked or 'nothing'}.",
        hint="Correct the profile (partition, account, limits, models).",
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return "; ".join(line.removeprefix("sbatch: ").removeprefix("error: ") for line in lines)
