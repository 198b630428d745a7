"""A run on hosts that ssh reaches, over a real sshd on loopback: the records of one process."""

import os
import sys
import time
from pathlib import Path

import pytest
import yaml
from cli_process import Command, trimtab
from loopback_sshd import Sshd, missing, sshd

from trimtab.compute.chaos.comparison import num_records, records
from trimtab.compute.ssh.state import standing

if reason := missing():
    pytest.skip(reason, allow_module_level=True)

pytestmark = pytest.mark.timeout(900)


def _hosts(server: Sshd, folder: Path, number: int) -> Path:
    """Write a file of hosts: one machine under several names, each with a folder and a home."""
    hosts = []
    kept = {name: os.environ[name] for name in os.environ if name.startswith(("TRIMTAB_", "HF_"))}
    kept |= {name: os.environ.get(name, "") for name in ("PYTHONPATH", "OMP_NUM_THREADS")}
    for i in range(number):
        given = {**kept, "TRIMTAB_HOME": str(folder / f"home{i}"), "OMP_NUM_THREADS": "1"}
        variables = [f"{name}={value}" for name, value in given.items() if value]
        hosts.append(
            {
                "address": "root@127.0.0.1",
                "port": server.port,
                "options": server.options,
                "folder": str(folder / f"host{i}"),
                "command": ["env", *variables, sys.executable, "-m", "trimtab"],
                "workers": "1",
            }
        )
    path = folder / "hosts.yaml"
    path.write_text(yaml.safe_dump({"hosts": hosts, "fetch_minutes": 0.02}))
    return path


@pytest.mark.parametrize(
    ("number", "cuts"), [(1, 5), pytest.param(2, 0, marks=pytest.mark.campaign)]
)
def test_hosts_give_the_records_of_one_process_though_connections_are_cut(
    number: int, cuts: int, config: Path, finished: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    assert trimtab(["plan", str(config), "--out", str(run)], logs).code == 0
    with sshd() as server:
        hosts = _hosts(server, tmp_path, number)
        command = Command(["submit", str(run), "--on", "ssh", "--hosts", str(hosts)], logs)
        done = 0
        while done < cuts and command.process.exitcode is None:
            done += bool(server.cut_connections())
            time.sleep(0.7)
        ended = command.wait(800)
    assert ended.code == 0, ended.err
    assert done == cuts, "it was over before"
    assert ended.err.count("trying again") >= min(cuts, 1), ended.err
    assert records(run) == records(finished)
    assert (run / "summary.json").read_bytes() == (finished / "summary.json").read_bytes()
    verified = trimtab(["verify", str(run)], logs)
    assert verified.code == 0, verified.err + verified.out


@pytest.mark.campaign
def test_what_was_killed_here_goes_on_there_and_is_followed_again(
    config: Path, finished: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    assert trimtab(["plan", str(config), "--out", str(run)], logs).code == 0
    with sshd() as server:
        argv = ["submit", str(run), "--on", "ssh", "--hosts", str(_hosts(server, tmp_path, 1))]
        command = Command(argv, logs)
        there = tmp_path / "host0"
        assert command.kill_when(
            lambda: (
                any(map(num_records, there.glob("*/")))
                and any(list(there.glob("*/completions/*/*.jsonl")))
            )
        )
        ended = Command(argv, logs).wait(800)
    assert ended.code == 0, ended.err
    assert records(run) == records(finished)


@pytest.mark.campaign
def test_what_a_host_did_after_the_command_was_killed_is_fetched_and_not_done_again(
    config: Path, finished: Path, tmp_path: Path
) -> None:
    run, logs = tmp_path / "run", tmp_path / "logs"
    assert trimtab(["plan", str(config), "--out", str(run)], logs).code == 0
    with sshd() as server:
        hosts = _hosts(server, tmp_path, 1)
        hosts.write_text(hosts.read_text().replace("0.02", "60"))
        argv = ["submit", str(run), "--on", "ssh", "--hosts", str(hosts)]
        command = Command(argv, logs)
        there = tmp_path / "host0"
        assert command.kill_when(lambda: any(list(there.glob("*/completions/*/*.jsonl"))))
        end = time.monotonic() + 300
        while time.monotonic() < end:
            (copy,) = there.glob("*/")
            if not standing(copy).running:
                break
            time.sleep(0.5)
        assert num_records(run) < num_records(copy), "all was fetched before"
        ended = Command(argv, logs).wait(800)
    assert ended.code == 0, ended.err
    assert ended.err.index("files fetched") < ended.err.index("started"), ended.err
    assert records(run) == records(finished)
    segments = {path.name: path.read_bytes() for path in copy.glob("completions/*/*.jsonl")}
    assert segments == {path.name: path.read_bytes() for path in run.glob("completions/*/*.jsonl")}
