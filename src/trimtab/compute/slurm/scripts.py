"""Job scripts that a person can read, change and submit by hand."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from trimtab.compute.resources import Resources
from trimtab.compute.slurm.groups import FINISH, Group
from trimtab.compute.slurm.profile import Profile
from trimtab.core.counted import counted
from trimtab.core.errors import ConfigError
from trimtab.runs.work.units import KINDS

_PATIENCE = ("--patience", "5s")
"""Units of other kinds are for later jobs, which begin only when the workers of this one leave."""


@dataclass(frozen=True)
class Script:
    """One job.

    Attributes:
        name: Of the stage.
        workers: Elements of the job array; 0 is a job without one.
        text: The file.
    """

    name: str
    workers: int
    text: str

    @property
    def file(self) -> str:
        """Its name in the folder of the submission."""
        return f"{self.name}.sh"


def stage_script(
    group: Group, run_dir: Path, folder: Path, job_name: str, profile: Profile
) -> Script:
    """Return the script of a stage: an array of workers, each of which is started again by itself.

    Args:
        group: The stage.
        run_dir: The run, absolute.
        folder: Where script and logs lie, absolute.
        job_name: What the job is called.
        profile: What the cluster wants.
    """
    which = [] if group.kinds == KINDS else ["--kinds", ",".join(group.kinds)]
    options = [
        f"--array=0-{group.workers - 1}",
        f"--output={_quoted_path(folder / f'{group.name}-%A_%a.log')}",
        "--requeue",
        f"--signal=USR2@{profile.signal_seconds}",
    ]
    body = [
        "# What is owed is noted before and after. Where a signal or the end of the time left work",
        "# (exit code 75), `slurm end` asks for another start, if the last one came any further.",
        '"${trimtab[@]}" slurm begin "$run" || exit',
        f'srun "${{trimtab[@]}}" work "$run" {shlex.join([*which, *_PATIENCE])}',
        f'exec "${{trimtab[@]}}" slurm end "$run" $? {shlex.join(which)}'.rstrip(),
    ]
    about = f"{counted(group.num_units, 'unit')} of {', '.join(group.kinds)}"
    head = _head(job_name, group.resources, options, profile)
    return Script(group.name, group.workers, _text(about, head, run_dir, profile, body))


def finish_script(run_dir: Path, folder: Path, job_name: str, profile: Profile) -> Script:
    """Return the script of the last job: checks and report, and what is still owed."""
    options = [f"--output={_quoted_path(folder / f'{FINISH}-%j.log')}", "--requeue"]
    head = _head(job_name, profile.of_models(()), options, profile)
    body = ['exec srun "${trimtab[@]}" slurm finish "$run"']
    about = "checks and report, when the other jobs have ended"
    return Script(FINISH, 0, _text(about, head, run_dir, profile, body))


def _head(job_name: str, resources: Resources, options: list[str], profile: Profile) -> list[str]:
    named = {"partition": profile.partition, "account": profile.account, "qos": profile.qos}
    gpus = [f"--gres={profile.gres}:{resources.gpus}"] if resources.gpus else []
    return [
        f"--job-name={job_name}",
        *options,
        "--open-mode=append",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={resources.cpus}",
        f"--mem={resources.memory_gib}G",
        f"--time={resources.time}",
        *gpus,
        *(f"--{name}={value}" for name, value in named.items() if value is not None),
        *profile.lines,
    ]


def _text(about: str, options: list[str], run_dir: Path, profile: Profile, body: list[str]) -> str:
    lines = [
        "#!/bin/bash",
        f"# trimtab: {about}. It may be changed, and submitted by hand: sbatch FILE",
        *(f"#SBATCH {option}" for option in options),
        "",
        *profile.setup,
        "# srun takes the cores of a task from here alone",
        'export SRUN_CPUS_PER_TASK="${SLURM_CPUS_PER_TASK:-1}"',
        f"trimtab=({shlex.join(profile.command)})",
        f"run={shlex.quote(str(run_dir))}",
        "",
        *body,
        "",
    ]
    return "\n".join(lines)


def check_path(run_dir: Path) -> None:
    """Raise ConfigError for a run whose path no job script can hold."""
    text = str(run_dir)
    if not text.isprintable() or "\\" in text:
        raise ConfigError(
            f"The path {text!r} can't stand in a job script.",
            hint="Move the run to a path without backslashes and control characters.",
        )


def _quoted_path(path: Path) -> str:
    """Return a path for an option: SLURM reads quotes there, and what follows a percent sign."""
    folder = str(path.parent).replace("%", "%%").replace('"', '\\"')
    return f'"{folder}/{path.name}"'
