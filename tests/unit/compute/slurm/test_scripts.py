"""Scripts: what a shell makes of them, and which stages there are."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from trimtab.compute.slurm.groups import groups
from trimtab.compute.slurm.profile import Profile
from trimtab.compute.slurm.scripts import check_path
from trimtab.compute.slurm.submit import draft
from trimtab.core.errors import ConfigError
from trimtab.runs.store.run import Run


def test_a_shell_reads_the_paths_that_were_meant(small_run: Run, tmp_path: Path) -> None:
    hostile = tmp_path / "a 'b' $(c) \"d\" 50%"
    small_run.dir.rename(hostile)
    command = ["echo", "it's", "$HOME"]
    profile = Profile(command=tuple(command), setup=('srun() { "$@"; }; export -f srun',))
    first, *_, last = draft(Run.open(hostile), profile, hostile / "slurm", grows=False).scripts
    run = subprocess.run(["bash", "-c", first.text], capture_output=True, text=True, check=True)
    words = ["it's", "$HOME"]
    assert run.stdout.splitlines() == [
        " ".join([*words, "slurm", "begin", str(hostile)]),
        " ".join([*words, "work", str(hostile), "--kinds", "generate", "--patience", "5s"]),
        " ".join([*words, "slurm", "end", str(hostile), "0", "--kinds", "generate"]),
    ]
    (output,) = [line for line in first.text.splitlines() if "--output" in line]
    assert shlex.split(output.removeprefix("#SBATCH --output="))[0].count("50%%") == 1
    assert "slurm finish" in last.text and last.workers == 0


@pytest.mark.parametrize("path", ["/a\nb", "/a\\b"])
def test_a_path_that_no_script_can_hold_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="can't stand in a job script"):
        check_path(Path(path))


@pytest.mark.parametrize("name", ["setup", "lines", "command"])
def test_a_line_with_a_key_is_refused_and_not_repeated(name: str, tmp_path: Path) -> None:
    line = "--export=HF_TOKEN=hf_ABCdef0123456789"
    path = tmp_path / "slurm.yaml"
    path.write_text(json.dumps({name: ["--x", line]}))
    with pytest.raises(
        ConfigError, match=rf"slurm.yaml: Line 2 of `{name}` holds .* `source FILE`"
    ) as told:
        Profile.read(path)
    assert "hf_ABC" not in str(told.value)


def test_stages_are_of_what_is_owed(small_run: Run) -> None:
    profile = Profile(workers=3)
    assert [(g.name, g.workers) for g in groups(small_run, profile, grows=False)] == [
        ("generate", 2),
        ("score", 1),
    ]
    (whole,) = groups(small_run, profile, grows=True)
    assert (whole.name, whole.workers) == ("fit-generate-score", 3)


def test_a_worker_of_all_kinds_is_told_none(small_run: Run) -> None:
    first, _ = draft(small_run, Profile(), small_run.dir / "slurm", grows=True).scripts
    assert "--kinds" not in first.text
