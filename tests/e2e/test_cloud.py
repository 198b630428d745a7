"""A rented machine through the command line: a provider on loopback, and a real sshd for it."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import yaml
from cli_process import Command, Finished, with_variables
from loopback_lambda import KEY, Lambda, loopback_lambda
from loopback_sshd import Sshd, missing, sshd

from trimtab.compute.chaos.comparison import records
from trimtab.compute.cloud.ledger import Ledger

if reason := missing():
    pytest.skip(reason, allow_module_level=True)


class Cloud:
    """A provider, one machine that is this one, and a user's home."""

    def __init__(self, folder: Path, server: Sshd, provider: Lambda) -> None:
        self.folder, self.server, self.provider = folder, server, provider
        self.home = folder / 'Jane "J" Doe\'s 100%'
        self.home.mkdir()
        self.ledger = Ledger(self.home / "cloud")
        self.write()

    def write(self, **changes: object) -> None:
        """Write the user's settings."""
        kept = {n: os.environ[n] for n in os.environ if n.startswith(("TRIMTAB_", "HF_"))}
        kept |= {n: os.environ.get(n, "") for n in ("PYTHONPATH",)}
        kept |= {"TRIMTAB_HOME": str(self.folder / "there"), "OMP_NUM_THREADS": "1"}
        variables = [f"{name}={value}" for name, value in kept.items() if value]
        machine = {
            "port": self.server.port,
            "options": [*self.server.options[:2], "-o", "LogLevel=ERROR"],  # else as for a user
            "folder": str(self.folder / "machine"),
            "command": ["env", *variables, sys.executable, "-m", "trimtab"],
            "workers": "1",
            "setup": [f"touch {self.folder}/prepared"],
            "shutdown": ["touch", str(self.folder / "shut-down")],
            **changes,
        }
        provider = {"name": "lambda", "ssh_key": "mine", "base_url": self.provider.url}
        settings = {"provider": provider, "machine": machine, "fetch_minutes": 0.02}
        (self.home / "cloud.yaml").write_text(yaml.safe_dump(settings))

    def command(self, *argv: object) -> Command:
        """Begin a command."""
        variables = {"TRIMTAB_HOME": str(self.home), "LAMBDA_API_KEY": KEY}
        words = ["cloud", *map(str, argv)]
        return Command(words, self.folder / "logs", prepare=partial(with_variables, variables))

    def __call__(self, *argv: object) -> Finished:
        """Run a command to its end."""
        return self.command(*argv).wait()

    def timers(self) -> list[int]:
        """Return the processes that hold a deadline on the machine."""
        return [int(path.read_text()) for path in self.folder.glob("machine/deadline-*.pid")]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with sshd() as server, loopback_lambda(address="root@127.0.0.1") as provider:
        made = Cloud(tmp_path, server, provider)
        yield made
        for pid in made.timers():  # a real machine would be gone
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


LAUNCH = ("launch", "gpu_1x_a10", "--max-usd", "1.5", "--no-keeper")


def test_a_machine_is_launched_when_its_price_is_confirmed_used_and_ended(
    cloud: Cloud, tmp_path: Path
) -> None:
    refused = cloud(*LAUNCH)
    assert refused.code == 2 and "--yes-spend 1.50" in refused.err and not cloud.provider.rented
    launched = cloud(*LAUNCH, "--yes-spend", "1.50")
    assert launched.code == 0, launched.err
    assert "gpu_1x_a10 in us-east-1: $0.75 an hour (1 A10 of 24 GiB, 200 GiB)" in launched.out
    assert "at most $1.50: 2 h 00 min are paid for" in launched.out
    (timer,) = cloud.timers()
    os.kill(timer, 0)
    assert f"deadline-{cloud.provider.rented[0].name}" in Path(f"/proc/{timer}/cmdline").read_text()
    assert (tmp_path / "prepared").is_file() and not (tmp_path / "shut-down").exists()
    assert cloud.ledger.known_hosts(cloud.provider.rented[0].name).is_file()
    status = cloud("status")
    assert status.code == 0 and "$1.50" in status.out and "active" in status.out
    inside = cloud("ssh", cloud.provider.rented[0].name, "--", "test", "-d", tmp_path / "machine")
    assert inside.code == 0, inside.err
    ended = cloud("terminate")
    assert ended.code == 0 and "has ended; it cost at most $0." in ended.out, ended.err
    assert not cloud.provider.alive()
    for path in [*cloud.ledger.folder.iterdir(), *(tmp_path / "logs").iterdir()]:
        assert KEY.encode() not in path.read_bytes(), path


@pytest.mark.campaign
def test_a_run_on_a_rented_machine_gives_the_records_of_one_process(
    cloud: Cloud, config: Path, finished: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert Command(["plan", str(config), "--out", str(run)], tmp_path / "logs").wait().code == 0
    assert cloud(*LAUNCH, "--yes-spend", "2").code == 0
    worked = cloud("run", run, "--terminate")
    assert worked.code == 0, worked.err
    assert records(run) == records(finished)
    assert not cloud.provider.alive() and "No machine is there." in cloud("status").out


@pytest.mark.campaign
def test_results_that_can_not_be_fetched_keep_a_machine_unless_it_is_forced(
    cloud: Cloud, config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert Command(["plan", str(config), "--out", str(run)], tmp_path / "logs").wait().code == 0
    assert cloud(*LAUNCH, "--yes-spend", "2").code == 0
    assert cloud("sync", run).code == 0
    cloud.write(port=1)
    refused = cloud("terminate")
    assert refused.code == 6 and "could not be fetched" in refused.err and "--force" in refused.err
    assert cloud.provider.alive()
    assert cloud("terminate", "--force").code == 0 and not cloud.provider.alive()


@pytest.mark.campaign
def test_a_launch_that_is_killed_before_it_knows_the_id_leaves_nothing(cloud: Cloud) -> None:
    cloud.provider.hang_s = 30.0
    cloud.provider.faults["launch"].append("timeout done")
    command = cloud.command(*LAUNCH, "--yes-spend", "2")
    assert command.kill_when(lambda: bool(cloud.provider.alive()))
    (record,) = cloud.ledger.open_records()
    assert record.id is None
    cloud.provider.alive()[0].seen = time.time()
    reaped = cloud("reap")
    assert reaped.code == 0 and "died before it was there" in reaped.err, reaped.err
    assert not cloud.provider.alive() and not cloud.ledger.open_records()


@pytest.mark.campaign
def test_a_keeper_ends_a_machine_though_nobody_gives_a_command(cloud: Cloud) -> None:
    assert cloud(*LAUNCH, "--yes-spend", "2").code == 0
    (record,) = cloud.ledger.open_records()
    cloud.ledger.note(record.tag, deadline=time.time() + 1, hours=1 / 3600, start=time.time())
    keeper = cloud.command("reap", "--every", "5m")
    try:
        until = time.monotonic() + 60
        while cloud.provider.alive() and time.monotonic() < until:
            time.sleep(0.1)
        assert not cloud.provider.alive()
    finally:
        keeper.process.kill()


@pytest.mark.campaign
def test_launch_starts_a_keeper_that_outlives_it(cloud: Cloud) -> None:
    launched = cloud(*LAUNCH[:-1], "--no-wait", "--yes-spend", "2")
    assert launched.code == 0 and "looks every 5 minutes" in launched.out, launched.err
    keepers = [pid for pid in _processes("reap") if str(cloud.home) in _environment(pid)]
    for pid in keepers:
        os.kill(pid, signal.SIGKILL)
    assert len(keepers) == 1, (cloud.ledger.folder / "keeper.log").read_text()


def _processes(word: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word in path.read_text().split("\0"):
                found.append(int(path.parent.name))
    return found


def _environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text(errors="replace")
    except OSError:
        return ""
