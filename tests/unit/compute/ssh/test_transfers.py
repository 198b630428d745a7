"""What is on a host is taken before anything is put there; hosts are folders of this machine."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from segment_rows import row, write_files
from small_run import make_parts

from trimtab.cli.main import app
from trimtab.compute.ssh import noted, rounds, transfers
from trimtab.compute.ssh.copies import LEFT_OUT, sums
from trimtab.compute.ssh.hosts import Host, Hosts
from trimtab.compute.ssh.state import State, note, standing
from trimtab.compute.ssh.transfers import RemoteCopy
from trimtab.core.errors import HeldError, StoreError
from trimtab.core.files import make_dir
from trimtab.core.locks import locked
from trimtab.core.plan import Plan
from trimtab.core.seals import seal
from trimtab.runs.store.processes import Process
from trimtab.runs.store.run import Run
from trimtab.runs.store.verify import examine

ROWS = "completions/cell-1/a1001-aa.jsonl"
_IGNORED = shutil.ignore_patterns(*(pattern.strip("/") for pattern in LEFT_OUT))


class LocalLink:
    """Stands for ssh and rsync; notes what was asked."""

    asked: list[str]

    def __init__(self, host: Host) -> None:
        self.host = host

    def ask(self, *words: str) -> str:
        _, what, there, *more = words
        self.asked.append(what)
        if what == "look":
            make_dir(Path(there))
            return standing(Path(there)).model_dump_json()
        return json.dumps(sums(Path(there), whole="--whole" in more)) if what == "sums" else ""

    def push(self, folder: Path, there: str, exclude: object) -> None:
        self._copy(folder, Path(there))

    def fetch(self, there: str, folder: Path, exclude: object) -> None:
        with pytest.raises(HeldError), locked(folder.parent / ".copies.lock", wait=False):
            pass
        self._copy(Path(there), folder)

    def _copy(self, source: Path, target: Path) -> None:
        shutil.copytree(source, target, ignore=_IGNORED, dirs_exist_ok=True)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Run.create(tmp_path / "run", **make_parts()).dir


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    LocalLink.asked = []
    monkeypatch.setattr(transfers, "Link", LocalLink)
    return Host(address="there", folder=str(tmp_path / "host"))


@pytest.fixture
def copy(run: Path, host: Host) -> RemoteCopy:
    """Return a copy that was made, and on which workers went on afterwards."""
    made = RemoteCopy.of(run, host)
    made.push(run)
    write_files(run, {ROWS: row("a")})
    write_files(Path(made.there), {ROWS: row("a") + row("b")})
    return made


def test_rows_that_were_never_fetched_are_taken_before_the_host_is_given_the_run(
    run: Path, copy: RemoteCopy
) -> None:
    assert copy.push(run) == 1
    assert (run / ROWS).read_text() == row("a") + row("b")
    assert (Path(copy.there) / ROWS).read_text() == row("a") + row("b")


def test_what_was_left_out_is_gone_from_the_host_once_it_was_given_the_run(
    run: Path, copy: RemoteCopy
) -> None:
    scores = "scores/j/c/a1002-cc.jsonl"
    late = "completions/cell-1/a1003-dd.jsonl"
    write_files(run, {"completions/cell-1/a2001-bb.jsonl": row("k", "b") + row("l", "b")})
    theirs = {ROWS: row("k", "a") + row("m"), late: row("l", "a"), scores: row("k") + row("l")}
    write_files(Path(copy.there), theirs)
    for _ in range(2):
        copy.push(run)
        copy.fetch(run)
        assert (run / scores).read_text() == "", "scores of rows that do not count"
    assert (Path(copy.there) / late).read_text() == (Path(copy.there) / scores).read_text() == ""
    assert not [line for line in examine(run).unknown if "rows without" in line]


def test_rows_of_one_training_do_not_stand_under_the_artifact_of_another(
    tmp_path: Path, host: Host
) -> None:
    parts = make_parts()
    plain, steered = parts["plan"].cells
    steered = steered.model_copy(update={"artifacts": {"vector": "k"}})
    run = Run.create(
        tmp_path / "fits",
        **{**parts, "plan": Plan.single(recipe="matrix", name="fits", cells=(plain, steered))},
    ).dir
    made = RemoteCopy.of(run, host)
    made.push(run)
    for folder, digits in ((run, b"1"), (Path(made.there), b"2")):
        seal(folder / "artifacts/k/tensors.safetensors", digits)
        write_files(folder / "artifacts/k", {"tensors.safetensors": "", "artifact.json": ""})
    theirs = "completions/cell-2/a1001-aa.jsonl", "scores/exact-1/cell-2/a1001-bb.jsonl"
    write_files(Path(made.there), {ROWS: row("a"), **dict.fromkeys(theirs, row("a"))})
    assert made.push(run) == 1
    assert (run / ROWS).read_text() == row("a")
    assert [(Path(made.there) / name).read_text() for name in theirs] == ["", ""]


def test_a_copy_where_workers_are_is_given_nothing(run: Path, copy: RemoteCopy) -> None:
    note(Path(copy.there), State(process=Process.current()))
    with pytest.raises(HeldError, match="Workers are at work on there"):
        copy.push(run)
    assert (Path(copy.there) / ROWS).read_text() == row("a") + row("b")


def test_another_run_in_the_folder_of_one_has_another_copy(
    run: Path, host: Host, copy: RemoteCopy
) -> None:
    shutil.rmtree(run)
    parts = make_parts()
    with pytest.raises(StoreError, match="does not exist"):
        copy.fetch(run)
    assert not run.exists()
    Run.create(run, **{**parts, "plan": parts["plan"].model_copy(update={"name": "other"})})
    assert RemoteCopy.of(run, host).there != copy.there
    with pytest.raises(StoreError, match="is a copy of another run than"):
        copy.fetch(run)
    assert not (run / "completions").exists()


def test_a_training_that_moves_is_fetched_another_time_and_all_else_now(
    run: Path, copy: RemoteCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Path(copy.there)
    step = "artifacts/k/training/step-000005"
    write_files(there, {f"{step}/model": "1", f"{step}/optimizer": "1", "artifacts/l/state": "1"})

    def fetch(link: LocalLink, folder: str, mirror: Path, exclude: object) -> None:
        link._copy(there, mirror)
        (mirror / step / "optimizer").unlink(missing_ok=True)  # the training had gone on

    with monkeypatch.context() as patch:
        patch.setattr(LocalLink, "fetch", fetch)
        copy.fetch(run)
        assert [path.name for path in (run / "artifacts").iterdir()] == ["l"]
        assert (run / ROWS).read_text() == row("a") + row("b")
        with pytest.raises(StoreError, match="1 files differ"):
            copy.push(run)  # nobody works there, so nothing may differ
    copy.fetch(run)
    assert (run / step / "optimizer").is_file()


def test_who_lost_the_work_to_another_process_starts_nothing(run: Path, host: Host) -> None:
    asked = iter([None])

    def check() -> None:
        if next(asked, HeldError("taken over")) is not None:
            raise HeldError("taken over")

    task = rounds.Work(run, Hosts(hosts=(host,)), tuple, lambda: 1, print, check)
    with pytest.raises(HeldError, match="taken over"):
        rounds.work(task)
    assert "sums" in LocalLink.asked and "start" not in LocalLink.asked


def test_status_and_cancel_know_which_hosts_work(
    run: Path, copy: RemoteCopy, capsys: pytest.CaptureFixture
) -> None:
    copy.fetch(run)
    copy.start()
    (line,) = noted.standing(run, owes=True)
    assert line == f"host there: workers were at work just now, fetched just now; {copy.there}"
    with pytest.raises(HeldError, match=r"where only ssh reaches: there: .*`trimtab ssh stop"):
        app(["cancel", str(run)], standalone_mode=False)
    assert not noted.standing(run, owes=False)
    copy._note(asked=time.time() - 3600)
    app(["cancel", str(run)], standalone_mode=False)
    said = capsys.readouterr().err
    assert "nobody follows there: workers were at work 60 min ago" in said
    copy.look()
    assert "no workers were there" in noted.standing(run, owes=True)[0]


def test_what_another_run_did_is_not_noted_of_the_one_that_took_its_place(
    run: Path, copy: RemoteCopy
) -> None:
    RemoteCopy.at(run, copy.host, f"{copy.there}0").start()
    (kept,) = noted.copies(run)
    assert kept.there == copy.there and not kept.working


def test_who_copies_now_is_told_before_it_is_waited_for(
    run: Path, copy: RemoteCopy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @contextmanager
    def held(path: Path, *, wait: bool = True) -> Iterator[None]:
        if not wait:
            raise HeldError("held")
        assert f"Another process copies {run} now" in caplog.text
        with locked(path):
            yield

    monkeypatch.setattr(transfers, "locked", held)
    assert copy.fetch(run) == 1


def test_checkpoints_that_a_host_has_no_more_are_kept_nowhere_here(
    run: Path, copy: RemoteCopy
) -> None:
    training = "artifacts/k/training"
    for step in (5, 10):
        write_files(Path(copy.there), {f"{training}/step-{step:06d}/model": str(step)})
        copy.fetch(run)
        shutil.rmtree(Path(copy.there) / training)
    for root in (run, copy.mirror):
        assert [path.read_text() for path in (root / training).rglob("model")] == ["10"]
