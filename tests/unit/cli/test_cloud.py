"""Nothing is launched before what it may cost was confirmed, to the cent, at today's price."""

import io
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from loopback_lambda import KEY, Lambda, loopback_lambda
from small_run import make_parts

from trimtab.cli import cloud_ends, cloud_launch, cloud_use
from trimtab.cli.cloud import Cloud, is_being_ended
from trimtab.cli.cloud_use import _until
from trimtab.cli.main import app
from trimtab.compute.cloud.clock import Clock
from trimtab.compute.cloud.ledger import Copy, Ledger
from trimtab.compute.ssh.state import Standing
from trimtab.compute.ssh.transfers import RemoteCopy
from trimtab.core.errors import ConfigError, HeldError, StoreError
from trimtab.core.locks import locked
from trimtab.runs.store.run import Run


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lambda]:
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    monkeypatch.setenv("LAMBDA_API_KEY", KEY)
    with loopback_lambda() as state:
        provider = {"name": "lambda", "ssh_key": "mine", "base_url": state.url}
        (tmp_path / "cloud.yaml").write_text(yaml.safe_dump({"provider": provider}))
        yield state


@pytest.fixture
def launch(server: Lambda, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def call(*more: str, typed: str | None = None) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO() if typed is None else Terminal(typed))
        words = ["cloud", "launch", "gpu_1x_a10", "--max-usd", "1.5", "--no-wait", "--no-keeper"]
        app([*words, *more], standalone_mode=False)

    return call


@pytest.mark.parametrize(
    ("more", "typed", "message"),
    [
        ((), None, "Nobody can confirm this here; nothing was launched. .*--yes-spend 1.50"),
        ((), "yes\n", "not the figure; nothing was launched"),
        ((), "", "not the figure"),
        (("--yes-spend", "1.4"), None, r"--yes-spend 1.4 does not cover the \$1.50"),
        (("--yes-spend", "0"), None, "--yes-spend 0 does not cover"),
        (("--max-usd", "0"), None, "--max-usd 0 is no cap"),
        (("--max-usd", "1e9"), None, r"\$1,000,000,000.00 pay gpu_1x_a10 for .* hours"),
        (("--yes-spend", "2", "--region", "mars"), None, "can't be had in mars"),
        (("--yes-spend", "2", "--max-hours", "0.1"), None, "The caps allow 6.0 minutes"),
    ],
)
def test_without_the_figure_nothing_is_launched(
    launch: Callable[..., None], server: Lambda, more: tuple, typed: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        launch(*more, typed=typed)
    assert not server.rented and not Ledger().records()


@pytest.mark.parametrize(
    ("more", "typed"), [((), "1.50\n"), ((), "$1.50\n"), (("--yes-spend", "1.5"), None)]
)
def test_the_figure_launches_one_machine(
    launch: Callable[..., None], server: Lambda, more: tuple, typed: str | None
) -> None:
    launch(*more, typed=typed)
    (record,) = Ledger().open_records()
    assert [each.name for each in server.alive()] == [record.tag] and record.dollars == 1.5


def test_a_price_that_rose_while_somebody_thought_is_not_paid(
    launch: Callable[..., None], server: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm = cloud_launch._confirm

    def slowly(*what: object) -> None:
        confirm(*what)
        server.cents = 80

    monkeypatch.setattr(cloud_launch, "_confirm", slowly)
    with pytest.raises(ConfigError, match=r"is \$0.80 an hour now; nothing was launched"):
        launch("--yes-spend", "2")
    assert not server.rented


@pytest.mark.parametrize("code", [0, 1])
def test_nothing_is_launched_before_a_keeper_of_this_key_has_listed_the_machines(
    launch: Callable[..., None], server: Lambda, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    class Process:
        def poll(self) -> int:
            if code == 0:  # another one of this key holds the lock
                Cloud.read(None).keeper._note(())
            return code

    Cloud.read(None).keeper._note(())
    monkeypatch.setenv("LAMBDA_API_KEY", "another_0123456789")
    monkeypatch.setattr(cloud_launch.subprocess, "Popen", lambda *what, **how: Process())
    if code == 0:
        launch("--yes-spend", "2", "--keeper")
        assert len(server.alive()) == 1
        return
    with pytest.raises(StoreError, match=r"so none was launched; its log: .*keeper\.log"):
        launch("--yes-spend", "2", "--keeper")
    assert not server.rented and not Ledger().open_records()


@pytest.mark.parametrize(
    ("code", "minutes", "launches"), [(0, 5, True), (0, 60, False), (None, 5, False)]
)
def test_a_keeper_on_another_computer_counts_by_when_it_listed_the_machines(
    launch: Callable[..., None],
    server: Lambda,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    code: int | None,
    minutes: int,
    launches: bool,
) -> None:
    keeper = Cloud.read(None).keeper
    keeper._clock = Clock(lambda: time.time() - 60 * minutes)
    keeper._note(())
    process = SimpleNamespace(poll=lambda: code)
    monkeypatch.setattr(cloud_launch.subprocess, "Popen", lambda *what, **how: process)
    for name, seconds in (("_KEEPER_S", 0.3), ("_MOST_KEEPER_S", 0.3), ("_TELL_S", 0.1)):
        monkeypatch.setattr(cloud_launch, name, seconds)
    if launches:
        launch("--yes-spend", "2", "--keeper")
        assert len(server.alive()) == 1
        return
    with pytest.raises(StoreError, match="so none was launched"):
        launch("--yes-spend", "2", "--keeper")
    assert not server.rented and "waiting until the process" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["fetch", "terminate"])
def test_who_fetches_and_ends_by_hand_uses_a_machine_unless_its_end_has_begun(
    launch: Callable[..., None], server: Lambda, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    launch("--yes-spend", "2")
    cloud = Cloud.read(None)
    (record,) = cloud.ledger.open_records()
    cloud.ledger.note(record.tag, address="127.0.0.1")
    ages, held = [], []

    def fetch(*what: object) -> list[str]:
        ages.append(time.time() - cloud.ledger.last_beat(record.tag))
        held.append(is_being_ended(cloud, record))
        return []

    monkeypatch.setattr(cloud_ends, "fetch_copies", fetch)
    monkeypatch.setattr(cloud_use, "fetch_copies", fetch)
    monkeypatch.setattr("trimtab.compute.cloud.endings._LOOK_S", 0.0)
    cloud.ledger.beat(record.tag, 0.0)
    with locked(cloud.ledger.end_lock(record.tag)):
        if command == "fetch":  # as what ends it has it do
            app(["cloud", "fetch"], standalone_mode=False)
            assert ages.pop() > 60
        else:
            with pytest.raises(HeldError, match=r"fetches from .*, and ends it"):
                app(["cloud", "terminate"], standalone_mode=False)
            assert server.alive() and not ages
    held.clear()
    app(["cloud", command], standalone_mode=False)
    assert ages[0] < 60 and held == [command == "terminate"]
    assert bool(server.alive()) == (command == "fetch")


def test_a_machine_that_may_be_there_after_a_failure_is_named(
    launch: Callable[..., None],
    server: Lambda,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def broken(*what: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("trimtab.compute.cloud.launches._settle", broken)
    with pytest.raises(ZeroDivisionError):
        launch("--yes-spend", "2")
    (machine,) = server.alive()
    assert f"`trimtab cloud terminate {machine.name}` ends it" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a\nb", "a${HOME}b"])
def test_a_home_that_ssh_can_not_be_told_of_is_refused_before_anything_is_asked(
    launch: Callable[..., None],
    server: Lambda,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    (tmp_path / "cloud.yaml").rename(tmp_path / "settings.yaml")
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / name))
    with pytest.raises(ConfigError, match="ssh can't be told of the path"):
        launch("--yes-spend", "2", "--settings", str(tmp_path / "settings.yaml"))
    assert not server.calls


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh here")
def test_ssh_reads_the_path_of_a_home_that_was_meant(
    launch: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / 'Jane "J" Doe\'s 100% \\x'
    monkeypatch.setenv("TRIMTAB_HOME", str(home))
    launch("--yes-spend", "2", "--settings", str(tmp_path / "cloud.yaml"))
    cloud = Cloud.read(tmp_path / "cloud.yaml")
    (record,) = cloud.ledger.open_records()
    record = cloud.ledger.note(record.tag, address="127.0.0.1")
    ssh, *words = cloud.reach.words(record, ())
    said = subprocess.run([ssh, "-G", *words], capture_output=True, text=True, check=True).stdout
    assert f"userknownhostsfile {cloud.ledger.known_hosts(record.tag)}" in said.splitlines()


def test_workers_end_before_their_machine_and_none_start_when_it_is_over(
    launch: Callable[..., None],
) -> None:
    launch("--yes-spend", "2")
    (record,) = Ledger().open_records()
    (word, seconds) = _until(record)
    assert word == "--deadline" and int(seconds[:-1]) == pytest.approx(0.9 * 1.75 * 3600, abs=60)
    over = record.model_copy(update={"deadline": time.time() + 60})
    with pytest.raises(StoreError, match="is over"):
        _until(over)


def test_another_copy_of_a_folder_is_seen_to_before_the_ledger_forgets_it(
    launch: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.create(tmp_path / "run", **make_parts()).dir
    launch("--yes-spend", "2")
    (record,) = Ledger().open_records()
    Ledger().note(record.tag, address="127.0.0.1")
    Ledger().note_copy(record.tag, run, Copy(there="trimtab-runs/old", fetched=1.0))
    running, fetched = [True], []

    def look(copy: RemoteCopy) -> Standing:
        return Standing(running=running[0], silence=0, code=None, line="")

    monkeypatch.setattr(RemoteCopy, "look", look)
    monkeypatch.setattr(RemoteCopy, "fetch", lambda copy, run: fetched.append(copy.there))
    monkeypatch.setattr("trimtab.cli.ssh_jobs.work_on_hosts", lambda *what, **how: None)
    with pytest.raises(
        HeldError, match=r"in trimtab-runs/old, for .* -- trimtab ssh stop trimtab-runs/old"
    ):
        app(["cloud", "run", str(run)], standalone_mode=False)
    assert Ledger().read(record.tag).copies[str(run)].there == "trimtab-runs/old"
    running[0] = False
    app(["cloud", "run", str(run)], standalone_mode=False)
    app(["cloud", "run", str(run)], standalone_mode=False)
    assert fetched == ["trimtab-runs/old"]
    assert Ledger().read(record.tag).copies[str(run)].there.startswith(f"trimtab-runs/{run.name}-")


def test_a_missing_key_or_file_is_told(server: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAMBDA_API_KEY")
    with pytest.raises(ConfigError, match="LAMBDA_API_KEY holds no key"):
        app(["cloud", "types"], standalone_mode=False)
    with pytest.raises(ConfigError, match=r"no settings of a cloud: nowhere\.yaml"):
        app(["cloud", "types", "--settings", "nowhere.yaml"], standalone_mode=False)
    assert not server.calls
    with pytest.raises(StoreError, match="holds no key"):  # nobody looked: that is no "0 ended"
        app(["cloud", "reap"], standalone_mode=False)
